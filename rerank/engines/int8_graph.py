"""A cross-encoder's graph in int8 arithmetic that keeps most of the order.

ONNX Runtime's own dynamic quantisation gives a whole batch of activations one scale. MiniLM's activations have a few
channels ten times as large as the rest, so nearly all other numbers lose most of their bits, and a score
depends on the passages beside it. Here

* each token has its own scale, from its own activations, as in ZeroQuant (Yao et al. 2022): a score is the same in
  any company;
* the few channels with the largest activations stay in fp32, as in LLM.int8() (Dettmers et al. 2022);
* the remaining difference between channels is shared with the weights, as in SmoothQuant (Xiao et al. 2023).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from rerank.engines.fused_graph import (
    MICROSOFT,
    Kind,
    Linear,
    add_constant,
    constants,
    copied,
    linears,
    with_nodes,
)

Inputs = Mapping[str, NDArray[np.int64]]

OUTLIERS = 32  # channels that stay in fp32: of 384, less than a tenth of the work
SMOOTHING = 0.5  # SmoothQuant's α: half of a channel's spread goes into the weights


def input_ranges(model: onnx.ModelProto, batches: Iterable[Inputs]) -> dict[str, NDArray[np.float32]]:
    """The largest absolute activation of each channel (inputs,) before each linear, padding left out."""
    model = copied(model)
    names = sorted({linear.input for linear in linears(model)})
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        read = batch["attention_mask"].reshape(-1) > 0
        for name, output in zip(names, session.run(names, dict(batch)), strict=True):
            values = np.asarray(output)
            tokens = values.reshape(-1, values.shape[-1])
            # The first tokens alone (see `rerank.engines.first_token`) are never padding.
            largest = np.abs(tokens[read] if len(tokens) == len(read) else tokens).max(axis=0)
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
    model = copied(model)
    weights = constants(model)
    turned = {linear.output: linear for linear in linears(model) if linear.kind not in keep}
    for name, value in (("one", np.float32(1)), ("top", np.float32(127)), ("least", np.float32(1e-9))):
        add_constant(model, f"int8.{name}", value)
    add_constant(model, "int8.zero", np.uint8(128))
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
    return with_nodes(model, nodes)


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
    add_constant(model, f"{name}.factor", channels.factor)
    add_constant(model, f"{name}.which", channels.outliers)
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
    add_constant(model, f"{name}.weight", np.rint(even / scale).astype(np.int8))
    add_constant(model, f"{name}.scale", scale)
    add_constant(model, f"{name}.fp32", weight[channels.outliers])
    node, source = helper.make_node, linear.input
    inputs = [f"{source}.int8", f"{name}.weight", "int8.one", f"{name}.scale", "int8.zero"]
    return [
        node("MatMulIntegerToFloat", inputs, [f"{name}.int8"], domain=MICROSOFT),
        node("Mul", [f"{name}.int8", f"{source}.step"], [f"{name}.most"]),
        node("MatMul", [f"{source}.outliers", f"{name}.fp32"], [f"{name}.rest"]),
        node("Add", [f"{name}.most", f"{name}.rest"], [linear.output]),
    ]
