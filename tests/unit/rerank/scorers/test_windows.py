"""Which part of a long passage is scored, and that short ones are left alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.encoders.base import counting_tokenizer
from ingest.models.spec import ResolvedModel
from ingest.records import Chunk
from rerank.scorers.base import joined, pair_room
from rerank.scorers.cached import CachedScorer
from rerank.scorers.score_store import ScoreStore
from rerank.scorers.windowed import WHOLE, WindowedScorer, window_places, windowed
from rerank.search import Searcher
from retrieval.records import Candidate
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WordScorer, whitespace_tokenizer

TITLE = "Snakes of the valley\n"
DULL = "The valley is long and it has many rivers in it. "
KILLS = "A python kills by a slow long squeeze. "


class Listening(WordScorer):
    """A scorer with a real tokenizer, a token a word, that remembers what it was given to read."""

    def __init__(self, folder: Path, max_length: int = 512) -> None:
        super().__init__()
        if not (folder / "tokenizer.json").exists():  # a file written anew is another model
            whitespace_tokenizer().save(str(folder / "tokenizer.json"))
        spec = replace(self.model.spec, max_length=max_length)
        self.model = ResolvedModel(spec, self.model.source, folder)
        self.read: list[str] = []

    def room(self, query: str) -> int:
        return pair_room(counting_tokenizer(self.model), query, self.model.spec.max_length)

    def score(self, query: str, passages, on_batch=None):  # type: ignore[no-untyped-def]
        self.read.extend(passages)
        return super().score(query, passages, on_batch)


def read_of(folder: Path, query: str, passage: str, tokens: int | None = 24, max_length: int = 512) -> str:
    inner = Listening(folder, max_length)
    WindowedScorer(inner, tokens).score(query, [passage])
    (text,) = inner.read
    return text


def test_a_search_says_how_much_is_read(desk: Desk, tmp_path: Path) -> None:
    for tokens, said in ((24, 24), (WHOLE, None)):
        scorer = windowed(Listening(tmp_path), tokens)
        assert Searcher(Retriever(desk.library, desk.encoder), scorer).models.window == said
    assert Searcher(Retriever(desk.library, desk.encoder), WordScorer()).models.window is None


def test_the_part_with_the_querys_words_is_read_with_the_title_in_front(tmp_path: Path) -> None:
    passage = TITLE + DULL * 5 + KILLS + DULL * 3
    text = read_of(tmp_path, "how does a python kill?", passage)
    assert text.startswith(TITLE)
    assert KILLS.strip() in text
    assert len(whitespace_tokenizer().encode(text).ids) <= 24
    assert not text[len(TITLE) :].startswith(
        KILLS
    )  # the window is full: what fits before or after is read too


def test_a_rare_word_of_the_query_counts_for_more_than_one_that_is_everywhere(tmp_path: Path) -> None:
    passage = "The river valley is long. " * 12 + "Cranes rest. " + "The river valley is long. " * 3
    assert "Cranes" in read_of(tmp_path, "river valley cranes", passage, tokens=8)


def test_words_count_by_how_they_begin(tmp_path: Path) -> None:
    passage = DULL * 6 + "Pythons were squeezing. " + DULL * 2
    assert "Pythons" in read_of(tmp_path, "python squeezes", passage)


@pytest.mark.parametrize("query", ["what is it?", "an unknown word"])
def test_without_any_word_to_go_by_the_head_is_read(tmp_path: Path, query: str) -> None:
    passage = TITLE + DULL * 5
    text = read_of(tmp_path, query, passage)
    assert passage.startswith(text.rstrip())
    assert len(whitespace_tokenizer().encode(text).ids) == 24


def test_the_earliest_of_equal_windows_is_read(tmp_path: Path) -> None:
    inner = Listening(tmp_path)
    passage = DULL * 4 + KILLS + DULL * 4 + KILLS + DULL
    scores = WindowedScorer(inner, 16).score("python", [passage])
    assert scores.windows[0] is not None
    assert scores.windows[0][1] <= 4 * len(DULL) + len(KILLS)


def test_a_passage_without_sentence_ends_is_cut_all_the_same(tmp_path: Path) -> None:
    passage = " ".join(f"word{number}" for number in range(300)) + " python " + "end " * 50
    text = read_of(tmp_path, "python", passage)
    assert "python" in text
    assert len(whitespace_tokenizer().encode(text).ids) <= 24


def test_what_fits_is_read_whole_and_says_so(tmp_path: Path) -> None:
    inner = Listening(tmp_path)
    short, long = TITLE + KILLS, TITLE + DULL * 9
    scores = WindowedScorer(inner, 24).score("python", [short, long, short])
    assert inner.read[0] == inner.read[2] == short
    assert [window is None for window in scores.windows] == [True, False, True]
    assert WindowedScorer(inner, 24).score("python", [short]).windows == ()


def test_without_a_size_the_model_decides_what_is_too_long(tmp_path: Path) -> None:
    passage = DULL * 6 + KILLS  # 74 tokens
    query = "python kills"
    assert read_of(tmp_path, query, passage, None, max_length=100) == passage
    text = read_of(tmp_path, query, passage, None, max_length=60)
    assert KILLS.strip() in text
    assert 40 < len(whitespace_tokenizer().encode(text).ids) <= 58


def test_a_query_that_fills_the_model_leaves_half_for_the_passage(tmp_path: Path) -> None:
    text = read_of(tmp_path, "python " * 90, DULL * 8 + KILLS, None, max_length=60)
    assert 15 < len(whitespace_tokenizer().encode(text).ids) <= 30


def test_a_window_depends_on_no_other_passage_so_slices_change_nothing(tmp_path: Path) -> None:
    scorer = WindowedScorer(Listening(tmp_path), 24)
    passages = [DULL * number + KILLS + DULL * 3 for number in range(6)] + [KILLS]
    whole = scorer.score("python kills", passages)
    sliced = joined(scorer.score("python kills", passages[:2]), scorer.score("python kills", passages[2:]))
    assert sliced.windows == whole.windows
    assert sliced.logits.tolist() == whole.logits.tolist()


def test_a_cache_remembers_the_window_and_tells_sizes_apart(tmp_path: Path) -> None:
    path, model, passage = tmp_path / "scores.sqlite", tmp_path / "model", DULL * 3 + KILLS + DULL * 3
    model.mkdir()
    store = ScoreStore(path)
    first = CachedScorer(WindowedScorer(Listening(model), 24), store).score("python kills", [passage])
    later = CachedScorer(WindowedScorer(Listening(model), 24), ScoreStore(path))
    again = later.score("python kills", [passage, KILLS])
    assert again.cached == 1
    assert again.windows == (first.windows[0], None)
    assert joined(first, again).windows == (first.windows[0], *again.windows)
    assert (
        CachedScorer(WindowedScorer(Listening(model), 20), store).score("python kills", [passage]).cached == 0
    )


def test_places_count_characters_of_the_chunks_own_text() -> None:
    text = DULL + KILLS
    chunk = Chunk(7, "d", TITLE.strip(), "d.txt", None, None, (), 0, len(text), text)
    start = len(TITLE) + len(DULL)
    places = window_places([Candidate(chunk, 1, 0.5)], [(start, start + len(KILLS))])
    assert text[slice(*places[7])] == KILLS
    assert window_places([Candidate(chunk, 1, 0.5)], ()) == {}


def test_threads_share_one_scorer(tmp_path: Path) -> None:
    scorer = WindowedScorer(Listening(tmp_path), 24)
    passages = [DULL * (number % 7) + KILLS + DULL * 3 for number in range(40)]
    wanted = scorer.score("python kills", passages).windows
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(scorer.score("python kills", passages).windows))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 8


def test_a_window_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds nothing"):
        WindowedScorer(Listening(tmp_path), 0)


@pytest.mark.parametrize(
    ("asked", "of_the_model", "most"), [(None, 24, 24), (None, None, 73), (WHOLE, 24, 73), (40, 24, 40)]
)
def test_the_models_own_window_is_used_unless_another_is_asked_for(
    tmp_path: Path, asked: int | None, of_the_model: int | None, most: int
) -> None:
    inner = Listening(tmp_path)
    inner.model = replace(inner.model, spec=replace(inner.model.spec, window=of_the_model))
    windowed(inner, asked).score("python", [TITLE + DULL * 3 + KILLS + DULL * 2])
    (text,) = inner.read
    read = len(whitespace_tokenizer().encode(text).ids)
    assert most - 13 < read <= most  # whole sentences, of which the longest has twelve tokens
