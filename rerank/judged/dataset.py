"""A judged set on disk, read for evaluation: BEIR's layout, or a folder of documents in place of the corpus.

DATASET/corpus.jsonl         one document a line, or
DATASET/documents/           files, whose names are the corpus ids
DATASET/queries.jsonl        {"_id": …, "text": …} a line
DATASET/qrels/<split>.tsv    query-id, corpus-id, grade, with tabs between; or, here or in <split>.qrels or
                             <split>.txt, TREC's four columns: query-id, 0, corpus-id, grade

Training reads such folders too (`rerank.training.data`), but all splits at once and without the documents
that were judged not relevant; figures like trec_eval's need one split with every grade.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ingest.errors import DamagedFileError, UsageError
from ingest.notices import Help, Notice, NoticeKind, Remedy
from ingest.readers.registry import read_documents
from ingest.records import Document
from ingest.sources import Source, walk
from rerank.judged.beir import CORPUS, QRELS, QUERIES, read_qrels
from rerank.judged.records import JudgedSet
from rerank.request import MAX_QUERY_CHARACTERS

DOCUMENTS = "documents"
SUFFIXES = (".tsv", ".qrels", ".txt")

# Weights are chosen on this split, and on so many of its queries: more would cost hours and change little.
TUNING_SPLIT, TUNING_QUERIES, TUNING_SEED = "train", 200, 0


def read_judged_set(folder: Path, split: str) -> JudgedSet:
    """The queries that ``split`` judges, with their judgements; the documents stay files.

    Raises `UsageError` where the folder is not laid out so or the split is not there, and
    `DamagedFileError` for a line that cannot be read, a query that has no text, or judgements of which none says
    relevant.
    """
    folder = folder.resolve()  # what is asked of must keep its name, from wherever it is called
    corpus = _corpus(folder)
    table = _table(folder, split)
    qrels = read_qrels(table)
    if not any(grade > 0 for grades in qrels.values() for grade in grades.values()):
        raise DamagedFileError(
            f"{table} calls no document relevant: no grade is above 0. Nothing can be measured with it."
        )
    texts = _read_queries(folder / QUERIES)
    missing = [query for query in qrels if query not in texts]
    if missing:
        raise DamagedFileError(
            f"{folder / QUERIES} has no text for {len(missing)} of {len(qrels)} queries of {QRELS}/{table.name}, "
            f"“{missing[0]}” the first. Add them, or take their judgements out."
        )
    overlong = sum(len(texts[query]) > MAX_QUERY_CHARACTERS for query in qrels)
    text = f"{overlong} queries are longer than {MAX_QUERY_CHARACTERS:,} characters and were cut there."
    cut = Notice(NoticeKind.DATASET, text)
    queries = {query: texts[query][:MAX_QUERY_CHARACTERS] for query in qrels}
    return JudgedSet(folder, split, queries, qrels, corpus, (cut,) if overlong else ())


def read_tuning_set(reported: JudgedSet) -> JudgedSet | None:
    """The training split beside a set, to choose weights on: at most 200 queries, drawn by a fixed seed.

    ``None`` where there is none or it is the one that is reported. A question that the reported split asks
    too, under whatever id, is left out. Raises as `read_judged_set`.
    """
    if reported.split == TUNING_SPLIT or TUNING_SPLIT not in _tables(reported.folder):
        return None
    whole = read_judged_set(reported.folder, TUNING_SPLIT)
    texts = set(reported.queries.values())
    free = [
        query for query, text in whole.queries.items() if query not in reported.queries and text not in texts
    ]
    if len(free) > TUNING_QUERIES:
        free = random.Random(TUNING_SEED).sample(free, TUNING_QUERIES)
    if not free:
        return None
    queries = {query: whole.queries[query] for query in free}
    return replace(whole, queries=queries, qrels={query: whole.qrels[query] for query in free}, notices=())


def splits(folder: Path) -> tuple[str, ...]:
    """The splits that a judged set in ``folder`` has tables of judgements for, sorted."""
    return tuple(_tables(folder))


def document_id(path: str) -> str:
    """The corpus id of a document that the library shows as ``path``: a corpus entry's, else the file's name."""
    _, fence, identity = path.partition(f"{CORPUS}#")
    return identity if fence else Path(path).name


def _corpus(folder: Path) -> tuple[Source, ...]:
    if (folder / CORPUS).is_file():
        return (Source.of_path(folder / CORPUS),)
    sources = tuple(walk([folder / DOCUMENTS])) if (folder / DOCUMENTS).is_dir() else ()
    if not sources or not (folder / QUERIES).is_file():
        raise UsageError(
            f"{folder} is not a judged set: it needs {CORPUS} or a folder {DOCUMENTS}, {QUERIES}, and a folder "
            f"{QRELS} with a table of judgements (BEIR's layout)."
        )
    return sources


def _table(folder: Path, split: str) -> Path:
    tables = _tables(folder)
    if split not in tables:
        raise UsageError(
            f"{folder / QRELS / split}.tsv is not there. Splits of this dataset: {', '.join(tables) or 'none'}. "
            "Choose one of them.",
            Help(Remedy.CHOOSE, subject="split"),
        )
    return tables[split]


def _tables(folder: Path) -> dict[str, Path]:
    """The tables of judgements by split, sorted; .tsv goes before the other suffixes."""
    paths = sorted(path for path in (folder / QRELS).glob("*") if path.is_file())
    by_suffix = [path for suffix in reversed(SUFFIXES) for path in paths if path.suffix == suffix]
    return dict(sorted({path.stem: path for path in by_suffix}.items()))


def _read_queries(path: Path) -> Mapping[str, str]:
    """``{query id: text}``: a line of queries has the form of a line of a corpus, so ingest's reader reads it."""
    if not path.is_file():
        raise UsageError(f"{path} is not there; a judged set needs its queries.")
    entries = read_documents(path, name=str(path), key=str(path))
    return {str(entry.source_id): entry.text.strip() for entry in entries if isinstance(entry, Document)}
