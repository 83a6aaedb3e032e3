"""Faster forms of an exported cross-encoder: fused nodes, and int8 arithmetic that keeps most of the order.

ONNX Runtime's own dynamic quantisation gives a whole batch of activations one scale. MiniLM's activations have a few
channels ten times as large as the rest, so nearly all other numbers lose most of their bits, and a score
depends on the passages beside it. Here

* each token has its own scale, from its own activations, as in ZeroQuant (Yao et al. 2022): a score is the same in
  any company;
* the few channels with the largest activations stay in fp32, as in LLM.int8() (Dettmers et al. 2022);
* the remaining difference between channels is shared with the weights, as in SmoothQuant (Xiao et al. 2023).
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Kind = Literal["attention in", "attention out", "feed-forward in", "feed-forward out"]
Inputs = Mapping[str, NDArray[np.int64]]

MICROSOFT = "com.microsoft"
OUTLIERS = 32  # channels that stay in fp32: of 384, less than a tenth of the work
SMOOTHING = 0.5  # SmoothQuant's α: half of a channel's spread goes into the weights


@dataclass(frozen=True, slots=True)
class Linear:
    """A product of activations ``input`` (…, inputs) with the constant ``weight`` (inputs, outputs)."""

    output: str
    input: str
    weight: str
    kind: Kind


def fused(exported: Path) -> onnx.ModelProto:
    """The graph in ``exported`` with constants folded and attention, layer norm and GELU as single nodes.

    What ONNX Runtime finds no fusion for stays as it is, so the numbers are the same up to rounding.
    """
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        session = onnxruntime.SessionOptions()
        session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session.optimized_model_filepath = str(folded)
        session.log_severity_level = 3
        onnxruntime.InferenceSession(str(exported), session, providers=["CPUExecutionProvider"])
        heads, width = _heads(onnx.load(str(folded)))
        options = FusionOptions("bert")
        model = optimizer.optimize_model(
            str(folded), "bert", num_heads=heads, hidden_size=width, optimization_options=options, opt_level=0
        )
    graph: onnx.ModelProto = model.model
    return graph


def _heads(model: onnx.ModelProto) -> tuple[int, int]:
    """Attention heads and the width of all of them together; (0, 0), which fuses no attention, where it is not clear.

    Queries are reshaped to (batch, length, heads, size) and then turned to (batch, heads, length, size).
    """
    weights = _constants(model)
    makers = {name: node for node in model.graph.node for name in node.output}
    widths = [
        weight.shape[0] for weight in weights.values() if weight.ndim == 2 and len(set(weight.shape)) == 1
    ]
    for node in model.graph.node:
        turned = node.op_type == "Transpose" and list(node.attribute[0].ints) == [0, 2, 1, 3]
        reshape = makers.get(node.input[0]) if turned else None
        if reshape is None or reshape.op_type != "Reshape" or not widths:
            continue
        shape = makers.get(reshape.input[1])
        last = shape.input[-1] if shape is not None and shape.op_type == "Concat" else reshape.input[1]
        size = int(weights[last].reshape(-1)[-1]) if last in weights else 0
        width = max(set(widths), key=widths.count)
        if size > 0 and width % size == 0:
            return width // size, width
    return 0, 0


def split_attention(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which the products inside each Attention node are nodes of their own, so that they can be int8."""
    model = _copy(model)
    weights = _constants(model)
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Attention" or node.input[1] not in weights or len(node.input) < 4:
            nodes.append(node)
            continue
        parts = []
        for name, part in zip("qkv", np.split(weights[node.input[1]], 3, axis=1), strict=True):
            parts.append(f"attention.{number}.{name}")
            _constant(model, f"{parts[-1]}.weight", part)
            nodes.append(helper.make_node("MatMul", [node.input[0], f"{parts[-1]}.weight"], [parts[-1]]))
        heads = next(attribute.i for attribute in node.attribute if attribute.name == "num_heads")
        nodes.append(
            helper.make_node(
                "MultiHeadAttention",
                [*parts, node.input[2], node.input[3]],
                list(node.output),
                domain=MICROSOFT,
                num_heads=heads,
            )
        )
    return _with_nodes(model, nodes)


def linears(model: onnx.ModelProto) -> list[Linear]:
    """The transformer's products, in the order in which they run."""
    weights = _constants(model)
    found = []
    for node in model.graph.node:
        values = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if values is not None and values.ndim == 2:
            kind = _kind(node.output[0], *values.shape)
            found.append(Linear(node.output[0], node.input[0], node.input[1], kind))
    return found


def _kind(output: str, inputs: int, outputs: int) -> Kind:
    if output.startswith("attention."):
        return "attention in"
    if inputs == outputs:
        return "attention out"
    return "feed-forward in" if inputs < outputs else "feed-forward out"


def input_ranges(model: onnx.ModelProto, batches: Iterable[Inputs]) -> dict[str, NDArray[np.float32]]:
    """The largest absolute activation of each channel (inputs,) before each linear, padding left out."""
    model = _copy(model)
    names = sorted({linear.input for linear in linears(model)})
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        read = batch["attention_mask"].reshape(-1) > 0
        for name, values in zip(names, session.run(names, dict(batch)), strict=True):
            largest = np.abs(np.asarray(values).reshape(len(read), -1)[read]).max(axis=0)
            ranges[name] = np.maximum(ranges.get(name, largest), largest)
    return ranges


def with_int8(
    model: onnx.ModelProto,
    ranges: Mapping[str, NDArray[np.float32]],
    keep: Collection[Kind] = (),
    levels: int = 127,
) -> onnx.ModelProto:
    """A copy that multiplies in int8, but for the linears of a kind in ``keep``.

    ``ranges`` is what `input_ranges` found for this graph. ``levels`` 63 keeps weights to 7 bits, for processors
    without VNNI, on which sums of 8-bit products can overflow.
    """
    model = _copy(model)
    weights = _constants(model)
    turned = {linear.output: linear for linear in linears(model) if linear.kind not in keep}
    for name, value in (("one", np.float32(1)), ("top", np.float32(127)), ("least", np.float32(1e-9))):
        _constant(model, f"int8.{name}", value)
    _constant(model, "int8.zero", np.uint8(128))
    nodes: list[onnx.NodeProto] = []
    shared: dict[str, _Channels] = {}
    for node in model.graph.node:
        linear = turned.get(node.output[0])
        if linear is None:
            nodes.append(node)
            continue
        if linear.input not in shared:
            beside = [weights[other.weight] for other in turned.values() if other.input == linear.input]
            shared[linear.input] = _channels(ranges[linear.input], beside)
            nodes += _rounded_tokens(linear.input, shared[linear.input], model)
        nodes += _int8_product(linear, weights[linear.weight], shared[linear.input], model, levels)
    return _with_nodes(model, nodes)


@dataclass(frozen=True, slots=True)
class _Channels:
    """How the channels of one activation are treated: ``factor`` (inputs,) before rounding, ``outliers`` in fp32."""

    factor: NDArray[np.float32]
    outliers: NDArray[np.int64]


def _channels(largest: NDArray[np.float32], weights: list[NDArray[np.float32]]) -> _Channels:
    in_weights = np.max([np.abs(values).max(axis=1) for values in weights], axis=0)
    spread = np.maximum(largest, 1e-4) ** SMOOTHING / np.maximum(in_weights, 1e-5) ** (1 - SMOOTHING)
    factor = (np.exp(np.log(spread).mean()) / spread).astype(np.float32)
    outliers = np.sort(np.argsort(-largest)[: min(OUTLIERS, len(largest) // 4)])
    factor[outliers] = 0
    return _Channels(factor, outliers)


def _rounded_tokens(name: str, channels: _Channels, model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes that make ``name``.int8 with a step for each token (``name``.step), and its outlier channels."""
    _constant(model, f"{name}.factor", channels.factor)
    _constant(model, f"{name}.which", channels.outliers)
    node = helper.make_node
    return [
        node("Mul", [name, f"{name}.factor"], [f"{name}.even"]),
        node("ReduceMax", [f"{name}.even"], [f"{name}.most"], axes=[-1], keepdims=1),
        node("ReduceMin", [f"{name}.even"], [f"{name}.least"], axes=[-1], keepdims=1),
        node("Neg", [f"{name}.least"], [f"{name}.below"]),
        node("Max", [f"{name}.most", f"{name}.below", "int8.least"], [f"{name}.largest"]),
        node("Div", ["int8.top", f"{name}.largest"], [f"{name}.stretch"]),
        node("Mul", [f"{name}.even", f"{name}.stretch"], [f"{name}.wide"]),
        node("QuantizeLinear", [f"{name}.wide", "int8.one", "int8.zero"], [f"{name}.int8"]),
        node("Reciprocal", [f"{name}.stretch"], [f"{name}.step"]),
        node("Gather", [name, f"{name}.which"], [f"{name}.outliers"], axis=-1),
    ]


def _int8_product(
    linear: Linear, weight: NDArray[np.float32], channels: _Channels, model: onnx.ModelProto, levels: int
) -> list[onnx.NodeProto]:
    """Nodes for the product: int8 for most channels, fp32 for the outliers, summed."""
    name, even = f"{linear.output}.product", weight.copy()
    even[channels.outliers] = 0
    usual = channels.factor > 0
    even[usual] /= channels.factor[usual, None]
    scale = (np.maximum(np.abs(even).max(axis=0), 1e-8) / levels).astype(np.float32)
    _constant(model, f"{name}.weight", np.rint(even / scale).astype(np.int8))
    _constant(model, f"{name}.scale", scale)
    _constant(model, f"{name}.fp32", weight[channels.outliers])
    node, source = helper.make_node, linear.input
    inputs = [f"{source}.int8", f"{name}.weight", "int8.one", f"{name}.scale", "int8.zero"]
    return [
        node("MatMulIntegerToFloat", inputs, [f"{name}.int8"], domain=MICROSOFT),
        node("Mul", [f"{name}.int8", f"{source}.step"], [f"{name}.most"]),
        node("MatMul", [f"{source}.outliers", f"{name}.fp32"], [f"{name}.rest"]),
        node("Add", [f"{name}.most", f"{name}.rest"], [linear.output]),
    ]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _constant(model: onnx.ModelProto, name: str, values: Any) -> None:
    model.graph.initializer.append(
        numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name)
    )


def _with_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """``model`` with these nodes, and without the constants that none of them reads."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model
