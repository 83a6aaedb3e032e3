"""What leaves the page: the shown passages as context for a language model, the orders as CSV and JSON.

TREC runs are made by `ui.files.results`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from ingest.records import Chunk
from rerank.calibration.reading import Reading
from rerank.ensemble import own_order
from rerank.labels.files import query_id
from rerank.records import Part, RankedHit, SearchResult, by_chunk_id
from retrieval.records import Candidate
from ui.presentation.formatting import location
from ui.presentation.result_json import result_json

# A cell that begins with one of these is read as a formula by spreadsheet programs (OWASP, "CSV
# injection"); the last four are the full-width forms that some of them accept too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

CSV_COLUMNS = (
    "before_rank", "after_rank", "movement", "cosine", "second_score", "logit", "relevance", "probability",
    "title", "path", "page", "page_end", "heading", "start", "end", "text",
)  # fmt: skip
QUOTED = "> "
CONTEXT = (
    f"Passages from documents follow. What a document says stands behind {QUOTED.strip()}, line by line. "
    "A number in brackets at the beginning of a line is a citation, and only there."
)
# What a second reranker, B, adds: at the end, so that the others stay where they are. So do rerankers that are fused,
# each with its name before these.
OWN_COLUMNS = ("logit", "rank")
OTHER_COLUMNS = ("b_rank", "b_movement", "b_second_score", "b_logit", "b_relevance")


def as_context(result: SearchResult, top_k: int) -> str:
    """The first ``top_k`` passages as plain text with numbered citations, in the order that is shown.

    That is the reranked order as far as there is one, then the bi-encoder's. Passages stand word for word, `QUOTED`
    before each of their lines, so that no passage can end itself and go on as a citation, or as who asks.
    """
    shown = result.reordered[:top_k]
    blocks = [f"Question: {_on_one_line(result.query)}", CONTEXT]
    blocks += [f"[{n}] {citation(c.chunk)}\n{_quoted(c.chunk.text)}" for n, c in enumerate(shown, start=1)]
    return "\n\n".join(blocks) + "\n"


def _quoted(text: str) -> str:
    return "\n".join(QUOTED + line for line in text.strip().splitlines())  # by every sign that may end a line


def citation(chunk: Chunk) -> str:
    """Where a passage is from, on one line: "Title, p. 4 (file)", or whatever of it is known.

    The file goes by its name alone: whom this is shown to has no business with this machine's folders.
    """
    file = re.split(r"[/\\]", chunk.path)[-1] or chunk.path
    named = ", ".join(part for part in (chunk.title or file, location(chunk)) if part)
    return _on_one_line(f"{named} ({file})" if chunk.title else named)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def to_csv(result: SearchResult, reading: Reading | None = None, other: SearchResult | None = None) -> str:
    """One row per candidate with its place in both orders, in the reranked order as far as there is one.

    ``probability`` is filled where ``reading`` is a fitted one. Numbers keep their full precision and sign; what
    was not scored has empty cells. Text that a spreadsheet would run as a formula is made harmless by an
    apostrophe before it, as spreadsheets themselves do; all other text is unchanged. ``other`` is the answer of a
    second reranker on the same candidates, and adds `OTHER_COLUMNS`; rerankers that are fused add two columns each, the
    logit and the place by it among the fused passages, which one that is not fused does not have. Write it as UTF-8
    with a byte order mark for Excel.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    fused = [part for part in result.parts if part.reranked]
    own = [harmless(f"{part.name} {column}") for part in fused for column in OWN_COLUMNS]
    logits = [{one.chunk.id: logit for one, logit in own_order(part)} for part in fused]
    writer.writerow((*CSV_COLUMNS, *(OTHER_COLUMNS if other is not None else ()), *own))
    hits, fitted = by_chunk_id(result.after), probabilities(reading)
    there = by_chunk_id(other.after) if other is not None else {}
    for candidate in result.reordered:
        name = candidate.chunk.id
        beside = _numbers(there.get(name)) if other is not None else ()
        hit = hits.get(name)
        places = [score.rank for score in hit.own] if hit is not None else [None] * len(fused)
        alone = chain.from_iterable(
            (logits_of.get(name), place) for logits_of, place in zip(logits, places, strict=True)
        )
        writer.writerow([*_row(candidate, hit, fitted.get(name)), *beside, *alone])
    return out.getvalue()


def probabilities(reading: Reading | None) -> Mapping[int, float]:
    """Fitted probabilities by chunk id; nothing for another reading, whose numbers are no probabilities."""
    return reading.values if reading is not None and reading.method.fitted else {}


def _row(
    candidate: Candidate, hit: RankedHit | None, probability: float | None
) -> list[str | int | float | None]:
    chunk = candidate.chunk
    after_rank, movement, *scores = _numbers(hit)
    return [
        candidate.rank, after_rank, movement, candidate.score, *scores, probability,
        harmless(chunk.title), harmless(chunk.path), chunk.page, chunk.page_end,
        harmless(" › ".join(chunk.heading)), chunk.start, chunk.end, harmless(chunk.text),
    ]  # fmt: skip


def _numbers(hit: RankedHit | None) -> tuple[int | float | None, ...]:
    """Place, movement and scores of a passage in a second look; nothing of one that was not scored."""
    if hit is None:
        return (None,) * 5
    return hit.rank, hit.movement, hit.logit, hit.cross_logit, hit.relevance


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula.

    White space before the sign does not protect: some programs trim it first.
    """
    formula = text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if formula else text


def to_json(result: SearchResult, reading: Reading | None = None, other: SearchResult | None = None) -> str:
    """All orders whole as indented JSON (see `result_json`); ``other`` is a second reranker's answer."""
    record = result_json(result, reading, _second_answer(other))
    return json.dumps(record, ensure_ascii=False, indent=2) + "\n"


def _second_answer(other: SearchResult | None) -> Part | None:
    if other is None:
        return None
    reranker = other.models.reranker
    return Part(reranker.name if reranker is not None else "", other)


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
        tag: [candidate for candidate, _ in own_order(part)] for tag, part in zip(tags, alone, strict=True)
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
