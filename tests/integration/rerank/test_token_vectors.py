"""Token vectors stored with a library: the same order as computed ones, and gone with their document."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from ingest.errors import CancelledError, LibraryError, UsageError
from ingest.library.library import Library, Manifest
from ingest.library.token_vectors import RequestedModel, TokenStore
from ingest.library.writer import writing
from ingest.models.hub import Hub
from ingest.pipeline import ingest
from ingest.sources import Source
from rerank import token_vectors
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from rerank.scorers.maxsim import vectors_identity
from rerank.token_vectors import Filled, keep_up, store_token_vectors
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WordEncoder
from ui.settings import SAMPLE

OFFLINE = Hub(allow_downloads=False)
FILES = ("constrictors-and-their-prey.md", "growing-apple-trees.md", "choosing-a-rubber-seal.txt")
QUERIES = ("which snake kills without venom?", "when do I prune an apple tree?", "seal for hot oil", "grip")
MAXSIM = resolve_reranker("maxsim", OFFLINE)
IDENTITY = vectors_identity(MAXSIM)


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """The bundled encoder is loaded once, however many scorers ask for it."""
    import sentence_transformers

    usual, kept = sentence_transformers.SentenceTransformer, []

    def load(*arguments: object, **named: object) -> object:
        kept.append(kept[0] if kept else usual(*arguments, **named))  # type: ignore[arg-type]
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentence_transformers, "SentenceTransformer", load)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three documents of the sample in pieces of 32 words, with the bundled encoder's token vectors."""
    library = Library.create(tmp_path_factory.mktemp("made") / "library", Manifest.of(WORD_ENCODER, 32))
    ingest([Source.of_path(SAMPLE / "documents" / name) for name in FILES], library, WordEncoder())
    store_token_vectors(library, "maxsim", OFFLINE)
    return library.folder


@pytest.fixture
def filled(made: Path, tmp_path: Path) -> Library:
    return Library(shutil.copytree(made, tmp_path / "library"))


def passages(library: Library) -> list[str]:
    with library.snapshot() as snapshot, library.connection() as db:
        ids = [row[0] for row in db.execute("SELECT id FROM chunks ORDER BY id")]
        return [chunk.passage for chunk in snapshot.chunks(ids).values()]


def with_store(library: Library) -> Scorer:
    return open_scorer(MAXSIM, token_store=TokenStore(library))


def rows(library: Library) -> list[sqlite3.Row]:
    with sqlite3.connect(TokenStore(library).path) as db:
        return db.execute("SELECT passage_hash, data FROM token_vectors ORDER BY passage_hash").fetchall()


def test_stored_vectors_order_as_computed_ones_and_cost_no_encoding(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = passages(filled)
    exact, stored = open_scorer(MAXSIM), with_store(filled)
    expected = [exact.score(query, found) for query in QUERIES]
    with monkeypatch.context() as patch:
        patch.setattr(
            stored, "encode", lambda _: pytest.fail("a passage was encoded though its vectors are stored")
        )
        got = [stored.score(query, found) for query in QUERIES]
    for one, other in zip(got, expected, strict=True):
        assert one.logits == pytest.approx(other.logits, abs=0.002)
        assert kendalltau(one.logits, other.logits).statistic > 0.98
        assert one.tokens.tolist() == other.tokens.tolist()
        assert not one.truncated.any()
    heard: list[int] = []
    mixed = stored.score(QUERIES[0], ["A passage that nobody stored.", *found[:3]], heard.append)
    assert mixed.logits[1:] == pytest.approx(got[0].logits[:3], abs=1e-6)
    assert sorted(heard) == [1, 3]


def rounded(vector: np.ndarray) -> np.ndarray:
    """A token's vector as `rerank.scorers.maxsim` says that it is kept, number by number."""
    scale = float(np.float16(max(abs(float(number)) for number in vector) / 127))
    return np.array([max(-127, min(127, round(float(number) / scale))) * scale for number in vector])


def test_stored_vectors_give_maxsim_by_the_definition(filled: Library) -> None:
    """Against a slow reference: the published encoder's token vectors, one passage and one token at a time."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(MAXSIM.folder))

    def unit(text: str) -> list[np.ndarray]:
        vectors = encoder.encode(text, output_value="token_embeddings").cpu().numpy()
        return [vector / np.linalg.norm(vector) for vector in vectors]

    found = passages(filled)[:6]
    scores = with_store(filled).score(QUERIES[0], found).logits
    asked = unit(QUERIES[0])
    for passage, score in zip(found, scores, strict=True):
        told = [rounded(vector) for vector in unit(passage)]
        best = [max(float(one @ other) for other in told) for one in asked]
        assert score == pytest.approx(sum(best) / len(best), abs=1e-4)


def assert_same_but_for_ties(scores: np.ndarray, expected: np.ndarray) -> None:
    """Scores of vectors that were rounded twice, from the same passages in other batches.

    A matrix product of another shape adds up in another order, so that an fp32 number is off by up to 4e-7, and of
    those that lie between two steps of int8 some go the other way (5 of 759,552 where it was counted). A step is at
    most .002 (a largest number of .25 / 127) and counts as much as the query's mean number there (at most .13 of the
    first question): 2.6e-4 a score. Without rounding no score is the same, and by the median they are off by 1.6e-4.
    """
    apart = np.abs(scores - expected)
    assert apart.max() < 5e-4
    assert (apart < 1e-6).mean() > 0.9


def test_a_score_is_the_same_whether_the_vectors_were_stored_or_rounded_now(filled: Library) -> None:
    found = passages(filled)
    scorer = with_store(filled)
    before = scorer.score(QUERIES[0], found).logits
    assert TokenStore(filled).remove()
    assert_same_but_for_ties(scorer.score(QUERIES[0], found).logits, before)
    with pytest.raises(AssertionError):  # the check above can fail
        assert_same_but_for_ties(open_scorer(MAXSIM).score(QUERIES[0], found).logits, before)
    # Scores are kept under the engine's name: exact ones and rounded ones never meet in one order.
    assert scorer.engine != with_store(filled).engine


def test_a_deleted_document_takes_its_token_vectors_along(filled: Library) -> None:
    before, document = dict(rows(filled)), filled.documents()[0]
    with writing(filled) as writer:
        writer.delete([document.id])
    after = dict(rows(filled))
    gone = set(before) - set(after)
    assert len(gone) == document.chunks
    raw = TokenStore(filled).path.read_bytes()
    assert not any(before[name][100:400] in raw for name in gone)
    assert all(before[name][100:400] in raw for name in after)  # the check above can fail
    # Whoever was computing them meanwhile cannot bring them back.
    assert TokenStore(filled).put(IDENTITY, {name: before[name] for name in gone})
    assert dict(rows(filled)) == after


def test_a_damaged_row_is_computed_anew(filled: Library) -> None:
    found, store = passages(filled), TokenStore(filled)
    expected = with_store(filled).score(QUERIES[0], found).logits
    (name, data), (shorter, cut) = rows(filled)[:2]
    with sqlite3.connect(store.path) as db:
        for where, value in ((name, data[:200] + b"\x55" * 50 + data[250:]), (shorter, cut[:-7])):
            db.execute("UPDATE token_vectors SET data = ? WHERE passage_hash = ?", (value, where))
    assert_same_but_for_ties(with_store(filled).score(QUERIES[0], found).logits, expected)
    (again,) = keep_up(filled, OFFLINE)
    assert again.added == 2
    assert dict(rows(filled))[name] == data


def test_a_damaged_file_costs_its_vectors_and_no_search(filled: Library) -> None:
    found, path = passages(filled), TokenStore(filled).path
    scorer = with_store(filled)
    expected = scorer.score(QUERIES[0], found).logits
    path.write_bytes(b"no database at all " * 2000)
    assert_same_but_for_ties(scorer.score(QUERIES[0], found).logits, expected)
    assert with_store(filled).score(QUERIES[0], found).logits == pytest.approx(expected, abs=0.002)
    with writing(filled) as writer:  # what cannot be read cannot be forgotten row by row
        writer.delete([filled.documents()[0].id])
    assert not path.exists()


def test_a_stopped_filling_goes_on_where_it_was(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_vectors, "BATCH", 4)
    whole = dict(rows(filled))
    TokenStore(filled).remove()
    looks = iter([False, False, True])
    with pytest.raises(CancelledError, match=rf"8 of {len(whole)} passages"):
        store_token_vectors(filled, "maxsim", OFFLINE, cancelled=lambda: next(looks))
    assert len(rows(filled)) == 8
    heard: list[tuple[int, int]] = []
    (rest,) = keep_up(filled, OFFLINE, lambda done, total: heard.append((done, total)))
    assert (rest.added, rest.passages) == (len(whole) - 8, len(whole))
    assert heard[-1] == (len(whole) - 8, len(whole) - 8)
    assert set(dict(rows(filled))) == set(whole)
    monkeypatch.setattr(token_vectors, "open_scorer", lambda _: pytest.fail("a model was loaded for nothing"))
    assert [one.added for one in keep_up(filled, OFFLINE)] == [0]


def test_an_ingest_and_its_end_are_followed_and_removal_stops_a_filling(
    filled: Library, tmp_path: Path
) -> None:
    path = tmp_path / "long.txt"
    path.write_text(
        ("antidisestablishmentarianism" * 2 + " ") * 30
    )  # 32 words at most, and more tokens than the model reads
    ingest([Source.of_path(path)], filled, WordEncoder())
    (after,) = keep_up(filled, OFFLINE)
    assert (after.added, after.too_long) == (0, 1)

    def remove(done: int, total: int) -> None:
        TokenStore(filled).remove()

    with pytest.raises(LibraryError, match="were removed while"):
        store_token_vectors(filled, "maxsim", OFFLINE, remove)
    assert keep_up(filled, OFFLINE) == []


def test_a_reranker_that_reads_both_together_has_none(filled: Library) -> None:
    with pytest.raises(UsageError, match="no token vectors to store"):
        store_token_vectors(filled, "bundled", OFFLINE)


def test_two_processes_write_one_file(desk: Desk) -> None:
    desk.add(desk.write("a.txt", " ".join(f"word{number}" for number in range(32 * 40))))
    TokenStore(desk.library).request(RequestedModel("maxsim", IDENTITY))
    script = (
        "import sys; from pathlib import Path\n"
        "from ingest.library.library import Library; from ingest.library.token_vectors import TokenStore\n"
        "library = Library(Path(sys.argv[1])); store = TokenStore(library)\n"
        "with library.connection() as db: names = [r[0] for r in db.execute('SELECT passage_hash FROM chunks')]\n"
        "for name in names: assert store.put(sys.argv[2], {name: name.encode() * 500})\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(desk.library.folder), IDENTITY]
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    found = rows(desk.library)
    assert len(found) == desk.library.documents()[0].chunks >= 40
    whole = TokenStore(desk.library).stored(IDENTITY, [name for name, _ in found])
    assert all(whole[name] == name.encode() * 500 for name, _ in found)


def test_what_is_stored_is_told(filled: Library) -> None:
    count = len(rows(filled))
    (told,) = keep_up(filled, OFFLINE)
    assert told == Filled(MAXSIM, 0, count, sum(len(data) for _, data in rows(filled)), 0)
    assert np.mean([len(data) for _, data in rows(filled)]) < 60 * (384 + 2)
