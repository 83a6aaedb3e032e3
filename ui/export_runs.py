"""TREC runs that leave the page: a file for each order of a search."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence

from rerank.ensemble import own_order
from rerank.labels.files import query_id
from rerank.records import SearchResult
from retrieval.records import Candidate


def to_trec(result: SearchResult, other: SearchResult | None = None) -> dict[str, str]:
    """TREC run files by their names, one an order: before and after, or before, A and B with a second reranker.

    Rerankers that are fused have a run each besides, by their own logits alone and of all that they scored, under their
    names; one that failed has none. The query and the passages go by the ids that judgements are exported with, so that
    trec_eval can hold one against the other. Passages with the same text are one, at their best place.
    """
    from rerank.judged.measures import falling_scores  # what measures is loaded when it is asked for

    query, files = query_id(result.query), {}
    for tag, order in _orders(result, other).items():
        names = dict.fromkeys(candidate.chunk.passage_hash for candidate in order)
        rows = enumerate(falling_scores(list(names)).items(), start=1)
        files[f"{tag}.run"] = "".join(
            f"{query} Q0 {name} {n} {score:.0f} {tag}\n" for n, (name, score) in rows
        )
    return files


def _orders(result: SearchResult, other: SearchResult | None) -> dict[str, Sequence[Candidate]]:
    """Each order by the name of its run."""
    runs: dict[str, Sequence[Candidate]] = {"before": result.before}
    if other is not None:
        return runs | {"A": _order(result), "B": _order(other)}
    runs["after"] = _order(result)
    alone = [part for part in result.parts if part.reranked]
    tags = _tags([part.name for part in alone], runs)
    return runs | {
        tag: [found for found, _ in own_order(part)] for tag, part in zip(tags, alone, strict=True)
    }


def _order(result: SearchResult) -> tuple[Candidate, ...]:
    return tuple(hit.candidate for hit in result.after)


def _tags(names: Sequence[str], taken: Mapping[str, object]) -> Iterator[str]:
    """A name for each run that is safe in a file's, and its own even where letters' case makes no difference."""
    from rerank.judged.trec import run_tag

    seen = {name.lower() for name in taken}
    for name in names:
        tag = plain = run_tag(name)
        number = 2
        while tag.lower() in seen:
            tag, number = f"{plain}-{number}", number + 1
        seen.add(tag.lower())
        yield tag


def zipped(files: Mapping[str, str]) -> bytes:
    """Files of text, in UTF-8, as one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()
