"""What the last layer computes: the first token's, where the head reads no other, and the same score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper

from rerank.engines.first_token import first_token_only
from rerank.engines.fused_graph import constants, fused, linears, split_attention
from rerank.engines.int8_graph import input_ranges, with_int8
from tests.parts.later import later

CrossEncoder = later("sentence_transformers", "CrossEncoder")
export_fp32 = later("rerank.engines.export", "export_fp32")

Inputs = dict[str, NDArray[np.int64]]


@pytest.fixture(scope="module")
def graph(tiny_cross_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    model = CrossEncoder(str(tiny_cross_encoder), device="cpu", model_kwargs={"attn_implementation": "eager"})
    path = tmp_path_factory.mktemp("first") / "exported.onnx"
    export_fp32(model.eval(), path)
    return fused(path)


@pytest.fixture(scope="module")
def padded() -> Inputs:
    """Five rows of 30 tokens, two of them padded."""
    drawn = np.random.default_rng(0)
    mask = np.ones((5, 30), dtype=np.int64)
    mask[1, 12:] = mask[4, 3:] = 0
    ids = drawn.integers(5, 60, mask.shape) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def run(model: onnx.ModelProto, inputs: Inputs, names: list[str] | None = None) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(found) for found in session.run(names, inputs)]


def rows_multiplied(model: onnx.ModelProto, inputs: Inputs) -> list[int]:
    """How many tokens of a row each product is given, in the order in which they run."""
    names = [linear.input for linear in linears(model)]
    for name in dict.fromkeys(names):
        model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return [found.shape[1] for found in run(model, inputs, names)]


def test_the_last_layer_is_computed_for_the_first_token_alone_and_the_score_stands(
    graph: onnx.ModelProto, padded: Inputs
) -> None:
    narrow = first_token_only(graph)
    assert np.abs(run(narrow, padded)[0] - run(graph, padded)[0]).max() < 1e-6
    # A layer: queries, keys, values, the attention's output, and the two of the feed-forward.
    assert rows_multiplied(split_attention(narrow), padded) == [30] * 6 + [1, 30, 30, 1, 1, 1]
    assert rows_multiplied(split_attention(graph), padded) == [30] * 12


def test_it_can_be_int8_as_well(graph: onnx.ModelProto, padded: Inputs) -> None:
    split = split_attention(first_token_only(graph))
    exact = run(graph, padded)[0]
    rounded = run(with_int8(split, input_ranges(split, [padded])), padded)[0]
    assert 0 < np.abs(rounded - exact).max() < 0.05 * float(np.ptp(exact))


@pytest.mark.parametrize("place", [1, -1])
def test_a_head_that_reads_another_token_is_left_alone(graph: onnx.ModelProto, place: int) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    (pooled,) = (node for node in other.graph.node if node.op_type == "Gather" and "pooler" in node.output[0])
    weights = constants(other)
    assert int(weights[pooled.input[1]]) == 0
    other.graph.initializer.append(onnx.numpy_helper.from_array(np.array(place, dtype=np.int64), "elsewhere"))
    pooled.input[1] = "elsewhere"
    assert [node.op_type for node in first_token_only(other).graph.node] == [
        node.op_type for node in other.graph.node
    ]
