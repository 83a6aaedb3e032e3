"""Batches that run at once: every row once, about as much for each thread, and nothing runs on when nobody waits."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from ingest.runtime.session import GraphSession, batched, cores, padded


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that sums the ids of each row: (n, longest) to (n, 1)."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "longest"])
    sums = helper.make_tensor_value_info("sums", TensorProto.INT64, ["n", 1])
    node = helper.make_node("ReduceSum", ["input_ids"], ["sums"], noop_with_empty_axes=0, keepdims=1)
    node.input.append("axes")
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    made = helper.make_graph([node], "sums", [ids], [sums], [axes])
    path = tmp_path_factory.mktemp("graph") / "sums.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def rows(count: int) -> list[tuple[list[int], list[int]]]:
    return [(list(range(1, length + 1)), [0] * length) for length in range(1, count + 1)]


@pytest.mark.parametrize("threads", [1, 3])
def test_all_batches_give_what_each_gives_alone(graph: Path, threads: int) -> None:
    """The arrays that the graph does not read, such as the mask, are left out."""
    session, batches = GraphSession(graph, threads), [padded([row, row]) for row in rows(40)]
    found = dict(session.run_all("sums", batches))
    assert sorted(found) == list(range(40))
    for number, batch in enumerate(batches):
        assert found[number].tolist() == session.run("sums", batch).tolist()
        assert found[number].tolist() == [[(number + 1) * (number + 2) / 2]] * 2


def test_so_many_threads_work_at_once_and_one_for_each_core_unless_told(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert GraphSession(graph).threads == cores()
    together = threading.Barrier(3, timeout=20)
    session = GraphSession(graph, 3)
    monkeypatch.setattr(session, "run", lambda output, batch: np.array([together.wait()]))
    assert len(list(session.run_all("sums", [padded(rows(2))] * 6))) == 6


def test_who_closes_waits_for_what_has_begun_and_drops_the_rest(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, begun, ended = GraphSession(graph, 2), Counter[str](), Counter[str]()
    real = session.run

    def slowly(output: str, batch: Any) -> np.ndarray[Any, Any]:
        begun["batches"] += 1
        threading.Event().wait(0.05)
        found = real(output, batch)
        ended["batches"] += 1
        return found

    monkeypatch.setattr(session, "run", slowly)
    running = session.run_all("sums", [padded(rows(2))] * 50)
    next(running)
    running.close()
    assert begun == ended
    assert ended["batches"] < 10
    threading.Event().wait(0.15)
    assert begun == ended, "something began after the end"


def test_what_a_batch_raises_is_raised(graph: Path) -> None:
    with pytest.raises(Exception, match=r"INVALID_ARGUMENT|input data type"):
        list(GraphSession(graph, 2).run_all("sums", [{"input_ids": np.zeros((1, 1), np.float32)}] * 3))  # type: ignore[dict-item]


@given(
    lengths=st.lists(st.integers(1, 320), max_size=120),
    budget=st.integers(1, 2048),
    threads=st.integers(1, 16),
)
def test_batches_hold_every_row_once_longest_first_within_the_budget(
    lengths: list[int], budget: int, threads: int
) -> None:
    found = batched(lengths, budget, threads)
    flat = [row for batch in found for row in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[row] for row in flat] == sorted(lengths, reverse=True)
    assert all(len(batch) * lengths[batch[0]] <= max([budget, *lengths]) for batch in found)


def test_each_thread_has_about_as_much_to_do() -> None:
    """Ten passages are the first slice of a second look: two threads should take half of the time for them."""
    lengths = [80, 90, 70, 85, 75, 95, 60, 88, 92, 78]
    sizes = [sum(lengths[row] for row in batch) for batch in batched(lengths, 512, 2)]
    assert len(sizes) == 2
    assert max(sizes) <= 0.6 * sum(lengths)
    assert len(batched(lengths, 512, 16)) == 10
