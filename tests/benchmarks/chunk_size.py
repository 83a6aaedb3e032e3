"""How many tokens should a passage have? Measured on labelled sets, bi-encoder only.

    python -m tests.benchmarks.chunk_size --squad FOLDER --medquad FOLDER

Two folders in BEIR's layout. SQuAD's paragraphs are joined into their articles again, so that the cutting has
something to decide; what counts is how much of the paragraph that answers stands in the first 1,000 tokens
of passages found (what a person reads, or a language model is given). MedQuAD's answers are long documents; a
document scores as its best passage, and nDCG@10 says how well they are ordered. Queries are a seeded sample.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.chunker import Chunker
from ingest.encoders.base import Encoder
from ingest.encoders.onnx import open_encoder
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.records import Chunk, Document
from rerank.judged.beir import read_judgements, read_rows

SIZES = (64, 96, 128, 160, 192, 224)
READ_TOKENS = 1000


@dataclass(frozen=True)
class Labelled:
    corpus: Mapping[str, Mapping[str, str]]
    queries: Mapping[str, str]
    answers: Mapping[str, str]


def load(folder: Path, sample: int, titles: int | None = None, seed: int = 1) -> Labelled:
    corpus = {row["_id"]: row for row in read_rows(folder / "corpus.jsonl")}
    if titles is not None:
        kept = sorted({row["title"] for row in corpus.values()})
        kept = random.Random(seed).sample(kept, min(titles, len(kept)))
        corpus = {key: row for key, row in corpus.items() if row["title"] in kept}
    texts = {row["_id"]: row["text"] for row in read_rows(folder / "queries.jsonl")}
    judgements = read_judgements(next((folder / "qrels").glob("*.tsv")))
    answers = {query: document for query, document, _ in judgements}
    answers = {query: document for query, document in answers.items() if document in corpus}
    chosen = random.Random(seed).sample(sorted(answers), min(sample, len(answers)))
    return Labelled(corpus, {q: texts[q] for q in chosen}, {q: answers[q] for q in chosen})


def articles(data: Labelled) -> tuple[list[Document], dict[str, tuple[str, int, int]]]:
    """Paragraphs joined by title; and where each one stands: (document id, start, end)."""
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, row in data.corpus.items():
        parts[row["title"]].append((key, row["text"]))
    documents, places = [], {}
    for title, paragraphs in parts.items():
        text = "\n\n".join(paragraph for _, paragraph in paragraphs)
        document = Document(title, title, title, "text", text)
        documents.append(document)
        position = 0
        for key, paragraph in paragraphs:
            places[key] = (document.id, position, position + len(paragraph))
            position += len(paragraph) + 2
    return documents, places


def embed(documents: list[Document], chunker: Chunker, encoder: Encoder) -> tuple[list[Chunk], np.ndarray]:
    chunks = [chunk for document in documents for chunk in chunker.chunks(document)]
    return chunks, encoder.encode_passages([chunk.passage for chunk in chunks])


def coverage(data: Labelled, size: int, encoder: Encoder) -> tuple[int, float]:
    """Passages, and the mean share of the answering paragraph within the first `READ_TOKENS` tokens found."""
    documents, places = articles(data)
    chunks, vectors = embed(documents, Chunker(encoder.tokenizer, size), encoder)
    lengths = [len(encoding.ids) for encoding in encoder.tokenizer.encode_batch([c.text for c in chunks])]
    shares = []
    for query, text in data.queries.items():
        document, start, end = places[data.answers[query]]
        read = covered = 0
        for row in np.argsort(-(vectors @ encoder.encode_query(text)), kind="stable")[:60]:
            read += lengths[row]
            if read > READ_TOKENS:
                break
            chunk = chunks[row]
            if chunk.document_id == document:
                covered += max(0, min(end, chunk.end) - max(start, chunk.start))
        shares.append(covered / (end - start))
    return len(chunks), float(np.mean(shares))


def ndcg(data: Labelled, size: int, corpus_size: int, encoder: Encoder) -> tuple[int, float]:
    """Passages, and nDCG@10 of documents by their best passage, over a sampled corpus with all answers in it."""
    needed = set(data.answers.values())
    others = sorted(set(data.corpus) - needed)
    random.Random(2).shuffle(others)
    keys = sorted(needed) + others[: max(0, corpus_size - len(needed))]
    documents = [Document(k, data.corpus[k]["title"], k, "text", data.corpus[k]["text"]) for k in keys]
    chunks, vectors = embed(documents, Chunker(encoder.tokenizer, size), encoder)
    owner = np.array([keys.index(chunk.path) for chunk in chunks])
    gains = []
    for query, text in data.queries.items():
        best = np.full(len(keys), -1.0, dtype=np.float32)
        np.maximum.at(best, owner, vectors @ encoder.encode_query(text))
        place = int((best > best[keys.index(data.answers[query])]).sum())
        gains.append(1 / np.log2(place + 2) if place < 10 else 0.0)
    return len(chunks), float(np.mean(gains))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--squad", type=Path, required=True)
    parser.add_argument("--medquad", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--corpus", type=int, default=1500)
    parser.add_argument("--articles", type=int, help="use only so many of SQuAD's articles")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    encoder = open_encoder(resolve_encoder("bundled", Hub(allow_downloads=False)))
    squad, medquad = (
        load(options.squad, options.queries, options.articles),
        load(options.medquad, options.queries),
    )
    print("tokens  SQuAD passages  coverage  MedQuAD passages  nDCG@10  seconds", flush=True)
    for size in options.sizes:
        started = time.perf_counter()
        passages, share = coverage(squad, size, encoder)
        more, gain = ndcg(medquad, size, options.corpus, encoder)
        seconds = time.perf_counter() - started
        print(
            f"{size:>6}  {passages:>14}  {share:>8.3f}  {more:>16}  {gain:>7.3f}  {seconds:>7.0f}", flush=True
        )


if __name__ == "__main__":
    main()
