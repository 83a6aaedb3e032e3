"""Of the last layer, only what the head reads: BERT's own heads judge a pair by its first token alone.

All tokens go into the last attention as keys and values, but only the first one's query, and what follows it, reach
the score. Nothing else of that layer is computed: of six layers this saves a seventh, and no number changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from rerank.engines.fused_graph import (
    add_constant,
    attention_apart,
    constants,
    copied,
    is_attention,
    with_nodes,
)

# What treats each token by itself: (batch, length, width) in and out, its constants without a length.
EACH_TOKEN = frozenset({"MatMul", "Add", "Mul", "LayerNormalization", "BiasGelu", "Gelu", "FastGelu", "Tanh"})


def first_token_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes the first token alone after its last attention, where nothing else of it is read.

    ``model`` is what `fused_graph.fused` made. Where the head reads other tokens too it comes back as it was.
    """
    model = copied(model)
    weights = constants(model)
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    outputs = {output.name for output in model.graph.output}
    narrow: dict[str, onnx.NodeProto] = {}  # by output: nodes that are to see the first token alone
    for node in reversed(model.graph.node):
        name = node.output[0]
        if name in outputs or not (is_attention(node, weights) or _is_each_tokens(node, weights)):
            continue
        if readers[name] and all(
            _takes_first(reader, weights) or _narrow_input(reader, name, narrow) for reader in readers[name]
        ):
            narrow[name] = node
    if not any(is_attention(node, weights) for node in narrow.values()):
        return model
    add_constant(model, "first.place", np.array([0], dtype=np.int64))
    cut: set[str] = set()
    nodes: list[onnx.NodeProto] = []

    def first(name: str) -> str:
        """``name``, of which there is the first token alone."""
        if not name or name in narrow or name in weights:
            return name
        if name not in cut:
            cut.add(name)
            nodes.append(helper.make_node("Gather", [name, "first.place"], [f"{name}.first"], axis=1))
        return f"{name}.first"

    for node in model.graph.node:
        if node.output[0] not in narrow:
            nodes.append(node)
        elif is_attention(node, weights):
            query = first(node.input[0])
            nodes += attention_apart(model, node, weights, query)
        else:
            inputs = [first(name) for name in node.input]
            del node.input[:]
            node.input.extend(inputs)
            nodes.append(node)
    del model.graph.value_info[:]  # shapes that held for all tokens
    return with_nodes(model, nodes)


def _is_each_tokens(node: onnx.NodeProto, weights: Mapping[str, NDArray[np.generic]]) -> bool:
    """Whether ``node`` is known to treat each token by itself."""
    if node.op_type not in EACH_TOKEN or len(node.output) != 1:
        return False
    if node.op_type == "MatMul":
        return node.input[1] in weights and weights[node.input[1]].ndim == 2
    return all(weights[name].ndim <= 1 for name in node.input if name in weights)


def _takes_first(node: onnx.NodeProto, weights: Mapping[str, NDArray[np.generic]]) -> bool:
    """Whether ``node`` takes the first token and no other."""
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    place = weights.get(node.input[1]) if node.op_type == "Gather" else None
    return place is not None and axis == 1 and place.size == 1 and int(place.reshape(-1)[0]) == 0


def _narrow_input(node: onnx.NodeProto, name: str, narrow: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether ``node`` reads of ``name`` no more than the first token."""
    attends = node.op_type == "Attention"  # whose keys and values are made of all tokens
    return bool(node.output) and node.output[0] in narrow and not attends
