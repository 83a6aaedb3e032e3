"""A trained reranker as an ONNX graph with int8 weights in blocks, as it is shipped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from sentence_transformers import CrossEncoder

from rerank.engines.export import BLOCK, SMALLEST, export_fp32


def export_int8(model: CrossEncoder, path: Path) -> None:
    """Writes ``model`` (left unchanged, put on the CPU) to ``path`` with int8 weights."""
    model = model.to("cpu").eval()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        exported = Path(folder) / "model.onnx"
        export_fp32(model, exported, int8_embeddings=True)
        graph = onnx.load(str(exported))
    store_weights_as_int8(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def store_weights_as_int8(graph: onnx.ModelProto) -> None:
    """Replaces, in place, the weights of the linear layers by int8 tables and the nodes that scale them back.

    ONNX Runtime folds these nodes into fp32 weights when it loads the file, so they cost nothing in a run.
    """
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    turned = {
        node.input[1]: node.op_type == "Gemm" and _transposed(node)
        for node in graph.graph.node
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights
    }
    for name, transposed in turned.items():
        values = numpy_helper.to_array(weights[name])
        if values.ndim != 2 or values.size < SMALLEST:
            continue
        rounded, scale = quantise(values, 1 if transposed else 0)
        graph.graph.initializer.remove(weights[name])
        shape = np.array(values.shape, dtype=np.int64)
        parts: dict[str, NDArray[Any]] = {"int8": rounded, "scale": scale, "shape": shape}
        for part, array in parts.items():
            graph.graph.initializer.append(numpy_helper.from_array(array, f"{name}.{part}"))
        for node in reversed(_scaled_back(name)):
            graph.graph.node.insert(0, node)


def _transposed(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i == 1 for attribute in node.attribute)


def _scaled_back(name: str) -> list[onnx.NodeProto]:
    """The nodes that make the fp32 weights ``name`` of its int8 table and scales."""
    single = onnx.TensorProto.FLOAT
    return [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.wide"], to=single),
        helper.make_node("Cast", [f"{name}.scale"], [f"{name}.step"], to=single),
        helper.make_node("Mul", [f"{name}.wide", f"{name}.step"], [f"{name}.blocks"]),
        helper.make_node("Reshape", [f"{name}.blocks", f"{name}.shape"], [name]),
    ]


def quantise(values: NDArray[np.float32], inputs: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Weights in int8, one scale for each output and each ``BLOCK`` inputs.

    ``values`` has its inputs on axis ``inputs`` (0 or 1). That axis becomes two: blocks, and places in a
    block; the scales have the same shape with 1 place in a block.
    """
    count = values.shape[inputs]
    block = BLOCK if count % BLOCK == 0 else count
    rows, columns = values.shape
    shape = (rows // block, block, columns) if inputs == 0 else (rows, columns // block, block)
    blocks = values.reshape(shape)
    scale = np.maximum(np.abs(blocks).max(axis=inputs + 1, keepdims=True), 1e-6) / 127
    scale = scale.astype(np.float16)
    rounded = np.clip(np.rint(blocks / scale.astype(np.float32)), -127, 127).astype(np.int8)
    return rounded, scale
