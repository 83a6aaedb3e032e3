"""What do headings do for finding a section? Measured on the pages of a documentation, both looks, bundled pair.

    python -m tests.benchmarks.headings FOLDER [--pages 80] [--questions 100]

The folder holds HTML, as Debian's -doc packages bring it. A seeded sample of its pages is read and cut in three
ways; the questions are headings word for word, of two words or more, that no other page has and that stand over 200
characters or more of their own text. A passage answers where it holds at least 100 characters of that section's text.

- coverage: the share of questions whose heading and the first 200 characters below it stand in one passage;
- found first, nDCG@10: of the order that each look gives (100 candidates);
- lone, stranded: passages that are headings and nothing else, or end with one.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.chunker import Chunker, chunks_of
from ingest.encoders.base import Encoder, counting_tokenizer
from ingest.encoders.onnx import open_encoder
from ingest.errors import ReadError
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.readers.registry import read_documents
from ingest.records import Chunk, Document
from rerank.factory import open_scorer
from rerank.judged.measures import measure
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from tests.benchmarks.machine import machine

CANDIDATES = 100
BEGINNING = 200  # characters of a section that a reader wants beside its heading
ANSWER = 100  # characters of a section that a passage must hold to answer


@dataclass(frozen=True)
class Question:
    """A heading asked word for word: where its section's own text lies."""

    text: str
    document: str
    start: int
    body: int
    end: int


def read_pages(folder: Path, count: int) -> list[Document]:
    paths = sorted(
        path for path in folder.rglob("*.html") if path.is_file() and path.stat().st_size < 400_000
    )
    documents = []
    for path in random.Random(1).sample(paths, min(count, len(paths))):
        try:
            documents += [
                part
                for part in read_documents(path, name=str(path.relative_to(folder)))
                if isinstance(part, Document)
            ]
        except ReadError:
            continue
    return documents


def questions_of(documents: Sequence[Document], count: int) -> list[Question]:
    met: dict[str, int] = {}
    asked = []
    for document in documents:
        starts = [heading.start for heading in document.headings]
        ends = [*starts[1:], len(document.text)][: len(starts)]
        for heading, end in zip(document.headings, ends, strict=True):
            name = heading.text.casefold()
            met[name] = met.get(name, 0) + 1
            body = heading.start + len(heading.text)
            if len(heading.text.split()) > 1 and end - body >= BEGINNING and heading.text != document.title:
                asked.append(Question(heading.text, document.id, heading.start, body, end))
    asked = [question for question in asked if met[question.text.casefold()] == 1]
    return random.Random(2).sample(asked, min(count, len(asked)))


def cut(documents: Sequence[Document], chunker: Chunker) -> dict[str, list[Chunk]]:
    """The passages of each way, all with their title."""
    at_headings = [chunk for document in documents for chunk in chunker.chunks(document)]
    anywhere = [
        chunk
        for document in documents
        for chunk in chunks_of(document, chunker.spans(document.text), chunker.tokenizer)
    ]
    return {
        "cut anywhere, no headings above": [replace(chunk, context="") for chunk in anywhere],
        "cut at headings, none above": [replace(chunk, context="") for chunk in at_headings],
        "cut at headings, those above read": at_headings,
    }


def answers(question: Question, chunks: Sequence[Chunk]) -> dict[str, int]:
    return {
        str(number): 1
        for number, chunk in enumerate(chunks)
        if chunk.document_id == question.document
        and min(chunk.end, question.end) - max(chunk.start, question.body) >= ANSWER
    }


def is_covered(question: Question, chunks: Sequence[Chunk]) -> bool:
    return any(
        chunk.document_id == question.document
        and chunk.start <= question.start
        and chunk.end >= question.body + BEGINNING
        for chunk in chunks
    )


def astray(documents: Sequence[Document], chunks: Sequence[Chunk]) -> tuple[int, int]:
    """Passages that are nothing but headings, and others whose last line is one."""
    bounds = {
        document.id: [(heading.start, heading.start + len(heading.text)) for heading in document.headings]
        for document in documents
    }
    lone = stranded = 0
    for chunk in chunks:
        within = [span for span in bounds[chunk.document_id] if chunk.start <= span[0] < chunk.end]
        own = len("".join(chunk.text.split()))
        headed = sum(len("".join(chunk.text[a - chunk.start : b - chunk.start].split())) for a, b in within)
        lone += bool(within) and headed >= own
        stranded += bool(within) and headed < own and within[-1][1] >= chunk.end
    return lone, stranded


def orders(
    questions: Sequence[Question], chunks: Sequence[Chunk], encoder: Encoder, scorer: Scorer
) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """The first and the second order of every question, as numbers of passages."""
    vectors = encoder.encode_passages([chunk.passage for chunk in chunks])
    first, second = {}, {}
    for question in questions:
        cosines = vectors @ encoder.encode_query(question.text)
        best = np.argsort(-cosines, kind="stable")[:CANDIDATES]
        scores = scorer.score(question.text, [chunks[number].passage for number in best])
        mixed = scores.logits + scorer.model.spec.bi_weight * cosines[best]
        first[question.text] = [str(number) for number in best]
        second[question.text] = [str(number) for number in best[np.argsort(-mixed, kind="stable")]]
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=80)
    parser.add_argument("--questions", type=int, default=100)
    options = parser.parse_args()
    hub = Hub(allow_downloads=False)
    encoder = open_encoder(resolve_encoder("bundled", hub))
    scorer = open_scorer(resolve_reranker("bundled", hub))
    documents = read_pages(options.folder, options.pages)
    questions = questions_of(documents, options.questions)
    print(machine())
    print(
        f"{options.folder.name}: {len(documents)} pages, "
        f"{sum(len(document.headings) for document in documents)} headings, {len(questions)} questions"
    )
    print(
        f"{'':<36}{'passages':>9}{'lone':>6}{'stranded':>10}{'coverage':>10}{'first look':>22}{'second look':>22}"
    )
    print(f"{'':<71}{'found first  nDCG@10':>22}{'found first  nDCG@10':>22}")
    for name, chunks in cut(documents, Chunker(counting_tokenizer(encoder.model))).items():
        qrels = {question.text: answers(question, chunks) for question in questions}
        covered = sum(is_covered(question, chunks) for question in questions) / len(questions)
        lone, stranded = astray(documents, chunks)
        line = f"{name:<36}{len(chunks):>9}{lone:>6}{stranded:>10}{covered:>10.2f}"
        for order in orders(questions, chunks, encoder, scorer):
            figures = measure(qrels, order, ("success@1", "nDCG@10"))
            first = sum(figures["success@1"].values())
            line += f"{first:>11.0f}{np.mean(list(figures['nDCG@10'].values())):>11.3f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
