"""The index by size: recall against exact search, exact scores, deletions at once, extension, and staying exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.library import index_files, vector_index
from ingest.library.vector_index import build, is_quantised
from retrieval import dense

DIM, K = 32, 20
NOBODY = np.empty(0, dtype=np.int64)


@dataclass
class Rows:
    """A source in memory that remembers the most rows it was ever asked for at once."""

    ids: NDArray[np.int64]
    array: NDArray[np.float32]
    dim: int = DIM
    largest: int = 0

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        self.largest = max(self.largest, len(ids))
        return self.array[np.searchsorted(self.ids, ids)]

    def only(self, keep: NDArray[np.bool_]) -> Rows:
        return Rows(self.ids[keep], self.array[keep])


def unit(array: NDArray[np.float64]) -> NDArray[np.float32]:
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def source() -> Rows:
    """6,000 vectors in 60 loose clusters, as topics lie; ids with gaps, as chunk ids have."""
    draw = np.random.default_rng(3)
    centres = draw.standard_normal((60, DIM))
    array = unit(centres[draw.integers(60, size=6000)] + 0.5 * draw.standard_normal((6000, DIM)))
    return Rows(np.arange(6000, dtype=np.int64) * 3 + 7, array)


@pytest.fixture
def in_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 1,000 vectors be many."""
    monkeypatch.setattr(vector_index, "EXACT_LIMIT", 1000)


def best(source: Rows, query: NDArray[np.float32]) -> list[int]:
    scores = source.array @ query
    return source.ids[np.lexsort((source.ids, -scores))[:K]].tolist()


def ask(
    index: object, source: Rows, query: NDArray[np.float32], dead: NDArray[np.int64] = NOBODY
) -> list[int]:
    return dense.search(index, query, K, dead, source.rows)[0].tolist()  # type: ignore[arg-type]


def queries(source: Rows) -> NDArray[np.float32]:
    near = source.array[::100]
    return unit(near + 0.1 * np.random.default_rng(4).standard_normal(near.shape))


def recall(index: object, source: Rows, dead: NDArray[np.int64] = NOBODY) -> float:
    living = source.only(~np.isin(source.ids, dead))
    found = [set(ask(index, source, query, dead)) & set(best(living, query)) for query in queries(source)]
    return sum(map(len, found)) / (K * len(found))


def test_up_to_the_limit_search_is_exact(source: Rows) -> None:
    built = build(source)
    assert built.recall == 1.0
    assert not is_quantised(built.index)
    for query in queries(source):
        assert ask(built.index, source, query) == best(source, query)


@pytest.mark.usefixtures("in_lists")
def test_lists_recall_what_they_claim_and_give_exact_cosines(source: Rows) -> None:
    built = build(source)
    assert is_quantised(built.index)
    assert built.index.nprobe < built.index.nlist
    assert built.recall >= vector_index.TARGET_RECALL
    assert recall(built.index, source) >= 0.98
    for query in queries(source)[:10]:
        ids, scores = dense.search(built.index, query, K, NOBODY, source.rows)
        np.testing.assert_allclose(scores, source.rows(ids) @ query, atol=1e-6)
        assert np.all(np.diff(scores) <= 0)


@pytest.mark.usefixtures("in_lists")
def test_the_same_vectors_give_the_same_file(source: Rows, tmp_path: Path) -> None:
    files = [index_files.publish(tmp_path, f"{n}.faiss", source, lambda _: None) for n in range(2)]
    assert files[0].sha256 == files[1].sha256


@pytest.mark.usefixtures("in_lists")
def test_deleted_passages_are_never_found_and_do_not_thin_the_answer(source: Rows) -> None:
    index = build(source).index
    query = queries(source)[0]
    dead = np.array(best(source, query), dtype=np.int64)
    found = ask(index, source, query, dead)
    assert len(found) == K
    assert not set(found) & set(dead.tolist())
    assert recall(index, source, dead) >= 0.98


@pytest.mark.usefixtures("in_lists")
def test_a_publication_extends_trained_lists_and_reads_only_what_is_new(source: Rows, tmp_path: Path) -> None:
    first = source.only(source.ids % 5 != 0)
    before = index_files.publish(tmp_path, "1.faiss", first, lambda _: None)
    second = source.only(source.ids % 7 != 0)  # some came, some went
    wanted: list[int] = []
    watched = Rows(second.ids, second.array)
    watched.rows = _noting(watched.rows, wanted)  # type: ignore[method-assign]
    after = index_files.publish(tmp_path, "2.faiss", watched, lambda _: None, before)
    assert set(wanted) == set(second.ids.tolist()) - set(first.ids.tolist())
    assert (after.vectors, after.recall) == (len(second.ids), before.recall)
    index = index_files.open_index(tmp_path, after, DIM)
    assert recall(index, second) >= 0.98
    assert set(ask(index, second, queries(second)[0])) <= set(second.ids.tolist())


def _noting(
    rows: Callable[[NDArray[np.int64]], NDArray[np.float32]], wanted: list[int]
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    def noting(ids: NDArray[np.int64]) -> NDArray[np.float32]:
        wanted.extend(ids.tolist())
        return rows(ids)

    return noting


@pytest.mark.usefixtures("in_lists")
def test_lists_are_trained_anew_when_the_library_has_outgrown_them(source: Rows, tmp_path: Path) -> None:
    small = source.only(np.arange(6000) < 2950)
    before = index_files.publish(tmp_path, "1.faiss", small, lambda _: None)
    lists = index_files.open_index(tmp_path, before, DIM).nlist  # type: ignore[attr-defined]
    after = index_files.publish(tmp_path, "2.faiss", source, lambda _: None, before)
    assert index_files.open_index(tmp_path, after, DIM).nlist > lists  # type: ignore[attr-defined]


@pytest.mark.usefixtures("in_lists")
def test_a_damaged_file_is_not_extended_but_built_anew(source: Rows, tmp_path: Path) -> None:
    before = index_files.publish(tmp_path, "1.faiss", source, lambda _: None)
    path = tmp_path / before.name
    raw = path.read_bytes()
    path.write_bytes(raw[:-300] + bytes([raw[-300] ^ 0xFF]) + raw[-299:])
    after = index_files.publish(tmp_path, "2.faiss", source, lambda _: None, before)
    assert after.sha256 == before.sha256


def test_vectors_without_structure_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "EXACT_LIMIT", 1000)
    array = unit(np.random.default_rng(5).standard_normal((4000, 256)))
    built = build(Rows(np.arange(4000, dtype=np.int64), array, 256))
    assert not is_quantised(built.index)
    assert built.recall == 1.0


@pytest.mark.usefixtures("in_lists")
def test_vectors_are_streamed(source: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "BATCH", 512)
    build(source)
    assert 0 < source.largest <= 512


def test_equal_scores_are_ordered_by_id_and_cut_there(source: Rows) -> None:
    source.array[:] = source.array[0]
    assert ask(build(source).index, source, source.array[0]) == source.ids[:K].tolist()
