"""Judging a passage of a result, with where it stood in both orders, so that no verdict needs a model again."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.errors import ModelError
from ingest.library.label_records import Grade, JudgedRanks, ModelPair, Places
from ingest.library.labels import Labels
from rerank.records import Models, SearchResult
from rerank.request import SearchRequest
from rerank.search import OnProgress, Searcher
from retrieval.records import Candidate, CandidateSource


def judge(labels: Labels, result: SearchResult, passage_hash: str, grade: Grade) -> None:
    """Keep a judgement of a passage of ``result``, and the places of all judged passages of its query.

    Raises `LibraryError` where the library stays locked for half a minute.
    """
    labels.set(result.query, passage_hash, grade, judged_ranks(result))


def note_ranks(labels: Labels, result: SearchResult) -> None:
    """Note the places of what was judged before: to be called with every result that is shown.

    So a question that is asked again, of a grown library or of another reranker, counts for that one too.
    """
    ranks = judged_ranks(result)
    if ranks is not None:
        labels.note_ranks(result.query, ranks)


def ask_again(labels: Labels, searcher: Searcher, candidates: int, on_progress: OnProgress) -> int:
    """Ask every judged question that this pair of models was never asked, imported ones say; how many those were.

    Raises `ModelError` where no reranker could be loaded.
    """
    pair = pair_of(searcher.models)
    if pair is None:
        raise ModelError("There is no second look to judge: no reranker could be loaded.")
    ranks = labels.places(pair)
    unseen = sorted(set(labels.judgements()) - set(ranks))
    for number, query in enumerate(unseen, start=1):
        note_ranks(labels, searcher.search(SearchRequest(query, candidates)))
        on_progress(number, len(unseen))
    return len(unseen)


def judged_ranks(result: SearchResult) -> JudgedRanks | None:
    """Both orders of a result by passage; ``None`` where it was not reranked, or is still being.

    Nor where words found the candidates or the order is a fusion: a verdict on a pair of models is not about those.
    A second look that was stopped early counts as it was shown: what it did not score comes after what it did. Of
    passages with the same text, which are one to a label, the best place counts.
    """
    pair = pair_of(result.models)
    under_way = not result.complete and result.stopped is None
    plain = result.source is CandidateSource.VECTORS and result.fusion is None
    if pair is None or not plain or not result.reranked or under_way:
        return None
    before, after = _ranks(result.before), _ranks(result.reordered)
    return JudgedRanks(pair, {name: Places(rank, after[name]) for name, rank in before.items()})


def _ranks(order: Sequence[Candidate]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for rank, candidate in enumerate(order, start=1):
        ranks.setdefault(candidate.chunk.passage_hash, rank)
    return ranks


def pair_of(models: Models) -> ModelPair | None:
    """The two models that ranked, ``None`` without a reranker."""
    if models.reranker is None:
        return None
    encoder, reranker = models.encoder.spec, models.reranker.spec
    return ModelPair(encoder.name, encoder.revision, reranker.name, reranker.revision)
