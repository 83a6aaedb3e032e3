"""What every reranker keeps to, whatever it is made of: number, order, batches, edges, threads.

Local ones run real code on small models; services are asked over HTTP, from a server that speaks their protocol.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ingest.encoders.base import counting_tokenizer
from ingest.library.library import Library, Manifest
from ingest.library.token_vectors import TokenStore
from ingest.models.consent import is_service
from ingest.models.hub import Hub
from ingest.pipeline import ingest
from ingest.records import digest
from ingest.services.access import ServiceAccess
from ingest.sources import Source
from rerank import registry
from rerank.engines.choose import open_cross_encoder
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from rerank.scorers.cached import CachedScorer
from rerank.scorers.maxsim import vectors_identity
from rerank.scorers.score_store import ScoreStore
from rerank.scorers.windowed import windowed
from rerank.token_vectors import ARCHITECTURES, store_token_vectors
from tests.fakes import WORD_ENCODER, WordEncoder
from tests.parts.evaluation_parts import write_set
from tests.parts.passages import PASSAGES, QUERY
from tests.parts.rerank_stub import rerank_stub
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_electra,
    make_modern_colbert,
    make_monot5,
    make_xlm_roberta,
)

OFFLINE = Hub(allow_downloads=False)
FOLDERS = {
    "cross-encoder": make_cross_encoder,
    "electra": make_electra,
    "xlm-roberta": make_xlm_roberta,
    "monot5": make_monot5,
    "colbert": make_colbert,
    "colbert of pylate": make_modern_colbert,
}
ROUTES = {"server": "/v1/rerank", "server of TEI": "/rerank", "cohere": ""}


def graph(folder: Path, engine: str) -> Scorer:
    model = resolve_reranker(str(make_cross_encoder(folder / "model")), OFFLINE)
    scorer = open_cross_encoder(model, folder / "graphs", engine)
    assert scorer.engine.startswith(engine.replace("onnx-", "onnxruntime "))
    return scorer


def in_windows(folder: Path) -> Scorer:
    return windowed(
        open_scorer(resolve_reranker(str(make_cross_encoder(folder / "model")), OFFLINE), "torch"), 24
    )


def kept(folder: Path) -> Scorer:
    model = resolve_reranker(str(make_cross_encoder(folder / "model")), OFFLINE)
    return CachedScorer(open_scorer(model, "torch"), ScoreStore(folder / "scores.sqlite"))


def from_token_vectors(folder: Path) -> Scorer:
    """Late interaction with the vectors of this file's passages stored, as far as they are short enough to be."""
    texts = {str(n): passage for n, passage in enumerate(PASSAGES) if passage}
    corpus = write_set(folder / "set", texts, {}, []) / "corpus.jsonl"
    library = Library.create(folder / "library", Manifest.of(WORD_ENCODER, 512))
    ingest([Source.of_path(corpus)], library, WordEncoder())
    assert store_token_vectors(library, "maxsim", OFFLINE).passages >= 4
    store, model = TokenStore(library), resolve_reranker("maxsim", OFFLINE)
    assert digest(PASSAGES[0]) in store.stored(vectors_identity(model), [digest(PASSAGES[0])])
    return open_scorer(model, token_store=store)


AROUND: dict[str, Callable[[Path], Scorer]] = {
    "graph in fp32": partial(graph, engine="onnx-fp32"),
    "graph in int8": partial(graph, engine="onnx-int8"),
    "in windows": in_windows,
    "kept scores": kept,
    "stored token vectors": from_token_vectors,
}


def tolerance(scorer: Scorer, logits: np.ndarray) -> float:
    """int8 quantises activations by batch, so that the last digits depend on what else is in it."""
    is_int8 = scorer.model.spec.architecture == "onnx-cross-encoder" or "int8" in scorer.engine
    return 0.05 * float(np.ptp(logits)) if is_int8 else 1e-4


@pytest.fixture(scope="module", params=[*FOLDERS, *AROUND, "maxsim", "bundled", *ROUTES])
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    if request.param in AROUND:
        yield AROUND[request.param](tmp_path_factory.mktemp("around"))
    elif request.param in FOLDERS:
        folder = FOLDERS[request.param](tmp_path_factory.mktemp("models") / request.param)
        yield open_scorer(resolve_reranker(str(folder), OFFLINE), wait=False)
    elif request.param in ROUTES:
        with served(request.param) as scorer:
            yield scorer
    else:
        yield open_scorer(resolve_reranker(request.param, OFFLINE), wait=False)


@contextmanager
def served(kind: str) -> Iterator[Scorer]:
    if kind == "cohere":
        pytest.importorskip("cohere", reason='pip install "second-look[cohere]"')
    with rerank_stub() as stub:
        access = ServiceAccess(stub.url + ROUTES[kind], "bge", cohere_key="key", cohere_url=stub.url)
        yield open_scorer(resolve_reranker(kind.partition(" ")[0], OFFLINE, access), access=access)


def test_the_contract_holds_for_every_kind_that_is_registered() -> None:
    kept = {
        "cross-encoder",
        "onnx-cross-encoder",
        "late-interaction",
        "monot5",
        "colbert",
        "rerank-server",
        "cohere",
    }
    assert set(registry.kinds()) == kept, "a new reranker belongs into this file's fixture"


def test_one_finite_float32_a_passage_and_tokens_counted(scorer: Scorer) -> None:
    scores = scorer.score(QUERY, PASSAGES)
    assert scores.logits.shape == scores.tokens.shape == scores.truncated.shape == (len(PASSAGES),)
    assert scores.logits.dtype == np.float32
    assert np.isfinite(scores.logits).all()
    assert len(set(scores.logits.tolist())) > 3
    assert (scores.tokens <= scorer.model.spec.max_length).all()
    assert not scores.truncated[:3].any()
    assert [span for span in scores.windows[:3] if span] == []
    assert is_service(scorer.model) or scores.tokens[0] > scores.tokens[1]


def test_a_very_long_passage_is_scored_and_its_cut_is_told(scorer: Scorer) -> None:
    scores = scorer.score(QUERY, ["word " * 20_000])
    assert np.isfinite(scores.logits).all()
    # What a service read is not known; what was cut to a window is told by the window.
    assert scores.truncated.tolist() == [not is_service(scorer.model) and not scores.windows]
    assert bool(scores.windows) == (scorer.window is not None)


def test_what_callers_ask_of_a_scorer_is_said(scorer: Scorer) -> None:
    assert scorer.engine
    assert "\n" not in scorer.engine
    assert scorer.window is None or scorer.window > 0
    vectors = scorer.token_vectors
    assert (vectors is not None) == (scorer.model.spec.architecture in ARCHITECTURES)
    if vectors is not None:
        fits = vectors.fits(PASSAGES).tolist()
        assert fits == [not cut for cut in scorer.score(QUERY, PASSAGES).truncated]
        assert sorted(place for places, _ in vectors.encode(PASSAGES) for place in places) == [
            *range(len(PASSAGES))
        ]


def test_as_many_tokens_are_read_as_there_is_room_for(scorer: Scorer) -> None:
    room = scorer.room(QUERY)
    assert (room is None) == is_service(scorer.model)
    if room is None:
        return
    count = counting_tokenizer(scorer.model).encode
    words = 1
    while len(count(" ".join(["snake"] * (words + 1)), add_special_tokens=False).ids) <= room:
        words += 1
    scores = scorer.score(QUERY, [" ".join(["snake"] * number) for number in (words, words + 1)])
    assert [bool(cut) for cut in scores.windows or scores.truncated] == [False, True]
    long = scorer.room("which snake " * 2000)
    assert long is not None
    assert 0 < long <= room
    assert scorer.window is None or room <= scorer.window


def test_scores_belong_to_their_passages_alone_together_and_in_any_order(scorer: Scorer) -> None:
    together = scorer.score(QUERY, PASSAGES).logits
    near = tolerance(scorer, together)
    alone = np.array([scorer.score(QUERY, [passage]).logits[0] for passage in PASSAGES])
    assert together == pytest.approx(alone, abs=near)
    turned = scorer.score(QUERY, PASSAGES[::-1]).logits[::-1]
    assert together == pytest.approx(turned, abs=near)


def test_no_passage_gives_no_score_and_asks_nobody(scorer: Scorer) -> None:
    heard: list[int] = []
    empty = scorer.score(QUERY, [], heard.append)
    assert empty.logits.shape == empty.tokens.shape == empty.truncated.shape == (0,)
    assert sum(heard) == 0


def test_two_hundred_passages_each_get_their_own_score(scorer: Scorer) -> None:
    some = [f"{PASSAGES[n % 7][:60]} {n % 10}" for n in range(70)]
    passages = [some[n % 70] for n in np.random.default_rng(2).permutation(200)]
    heard: list[int] = []
    found = scorer.score(QUERY, passages, heard.append).logits
    assert sum(heard) == 200
    expected = dict(zip(some, scorer.score(QUERY, some).logits, strict=True))
    near = tolerance(scorer, found)
    assert found == pytest.approx(np.array([expected[passage] for passage in passages]), abs=near)


def test_threads_share_one_model_without_mixing_answers(scorer: Scorer) -> None:
    expected = {n: scorer.score(f"{QUERY} {n}", PASSAGES[:2]).logits for n in range(4)}
    got: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        for _ in range(3):
            got[number] = scorer.score(f"{QUERY} {number}", PASSAGES[:2]).logits

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(got[n] == pytest.approx(expected[n], abs=1e-5) for n in range(4))
