"""Faster forms of an exported cross-encoder: attention, layer norm and GELU as single nodes, and its products found.

What makes int8 of the products is in `rerank.engines.int8_graph`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Kind = Literal["attention in", "attention out", "feed-forward in", "feed-forward out"]

MICROSOFT = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Linear:
    """A product of activations ``input`` (…, inputs) with the constant ``weight`` (inputs, outputs)."""

    output: str
    input: str
    weight: str
    kind: Kind


def fused(exported: Path) -> onnx.ModelProto:
    """The graph in ``exported`` with constants folded, and attention, layer norm and GELU as single nodes.

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
    return _with_quick_norms(model.model)


def _with_quick_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with sums and a layer norm for each fused node of skip and layer norm; the numbers are the same.

    On a CPU the fused node is the slower one: 1.4 ms for 1,275 tokens of 384 channels, against .4 (ONNX Runtime 1.31).
    """
    model = copied(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        fused_norm = node.op_type == "SkipLayerNormalization" and len(node.output) == 1
        nodes += _sums_and_norm(node) if fused_norm else [node]
    return with_nodes(model, nodes)


def _sums_and_norm(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    (output,) = node.output
    added, skipped, scale, shift, bias = [*node.input, "", ""][:5]
    epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-12)
    sums = [helper.make_node("Add", [added, skipped], [f"{output}.skipped"])]
    if bias:
        sums.append(helper.make_node("Add", [f"{output}.skipped", bias], [f"{output}.biased"]))
    inputs = [name for name in (sums[-1].output[0], scale, shift) if name]
    return [*sums, helper.make_node("LayerNormalization", inputs, [output], axis=-1, epsilon=epsilon)]


def _heads(model: onnx.ModelProto) -> tuple[int, int]:
    """Attention heads and the width of all of them together; (0, 0), which fuses no attention, where it is not clear.

    Queries are reshaped to (batch, length, heads, size) and then turned to (batch, heads, length, size).
    """
    weights = constants(model)
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
    model = copied(model)
    weights = constants(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += attention_apart(model, node, weights) if is_attention(node, weights) else [node]
    return with_nodes(model, nodes)


def is_attention(node: onnx.NodeProto, weights: Mapping[str, NDArray[Any]]) -> bool:
    """Whether ``node`` is a fused attention whose products can be taken out of it."""
    return node.op_type == "Attention" and node.input[1] in weights and len(node.input) >= 4


def attention_apart(
    model: onnx.ModelProto, node: onnx.NodeProto, weights: Mapping[str, NDArray[Any]], query: str = ""
) -> list[onnx.NodeProto]:
    """Nodes for ``node`` with its products outside it; their weights become constants of ``model``.

    The queries are made of ``query``, of which there may be fewer tokens, or else of what the keys are made of.
    """
    parts, nodes = [], []
    sources = (query or node.input[0], node.input[0], node.input[0])
    for name, source, part in zip("qkv", sources, np.split(weights[node.input[1]], 3, axis=1), strict=True):
        parts.append(f"attention.{node.output[0]}.{name}")
        add_constant(model, f"{parts[-1]}.weight", part)
        nodes.append(helper.make_node("MatMul", [source, f"{parts[-1]}.weight"], [parts[-1]]))
    heads = next(attribute.i for attribute in node.attribute if attribute.name == "num_heads")
    inputs = [*parts, node.input[2], node.input[3]]
    nodes.append(
        helper.make_node("MultiHeadAttention", inputs, list(node.output), domain=MICROSOFT, num_heads=heads)
    )
    return nodes


def linears(model: onnx.ModelProto) -> list[Linear]:
    """The transformer's products, in the order in which they run."""
    weights = constants(model)
    nodes = []
    for node in model.graph.node:
        values = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if values is not None and values.ndim == 2:
            kind = _kind(node.output[0], *values.shape)
            nodes.append(Linear(node.output[0], node.input[0], node.input[1], kind))
    return nodes


def _kind(output: str, inputs: int, outputs: int) -> Kind:
    if output.startswith("attention."):
        return "attention in"
    if inputs == outputs:
        return "attention out"
    return "feed-forward in" if inputs < outputs else "feed-forward out"


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph again, to be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """The graph's constants by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def add_constant(model: onnx.ModelProto, name: str, values: Any) -> None:
    """Put a constant into the graph."""
    model.graph.initializer.append(
        numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name)
    )


def with_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """``model`` with these nodes, and without the constants that none of them reads."""
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    return model
