"""A judged set on disk, read for evaluation: BEIR's layout, or a folder of documents in place of the corpus.

DATASET/corpus.jsonl         one document a line, or
DATASET/documents/           files, whose names are the corpus ids
DATASET/queries.jsonl        {"_id": …, "text": …} a line
DATASET/qrels/<split>.tsv    query-id, corpus-id, grade, with tabs between

Training reads such folders too (`rerank.training.beir`), but all splits at once and without the documents
that were judged not relevant; figures like trec_eval's need one split with every grade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ingest.errors import DamagedFileError, UsageError
from ingest.intake import Source
from ingest.pipeline import walk
from ingest.readers import read_documents
from rerank.evaluation.records import JudgedSet
from rerank.search import MAX_QUERY_CHARACTERS

CORPUS = "corpus.jsonl"
DOCUMENTS = "documents"
QUERIES = "queries.jsonl"
QRELS = "qrels"


def read_judged_set(folder: Path, split: str) -> JudgedSet:
    """The queries that ``split`` judges, with their judgements; the documents stay files.

    Raises `UsageError` where the folder is not laid out so or the split is not there, and
    `DamagedFileError` for a line that cannot be read or a query that has no text.
    """
    folder = folder.resolve()  # what is asked of must keep its name, from wherever it is called
    corpus = _corpus(folder)
    qrels = read_qrels(_table(folder, split))
    texts = _read_queries(folder / QUERIES)
    missing = [query for query in qrels if query not in texts]
    if missing:
        raise DamagedFileError(
            f"{folder / QUERIES} has no text for {len(missing)} queries of qrels/{split}.tsv, “{missing[0]}” "
            "the first. Add them, or take their judgements out."
        )
    overlong = sum(len(texts[query]) > MAX_QUERY_CHARACTERS for query in qrels)
    cut = f"{overlong} queries are longer than {MAX_QUERY_CHARACTERS:,} characters and were cut there."
    queries = {query: texts[query][:MAX_QUERY_CHARACTERS] for query in qrels}
    return JudgedSet(folder, split, queries, qrels, corpus, (cut,) if overlong else ())


def document_id(path: str) -> str:
    """The corpus id of a document that the library shows as ``path``: a corpus entry's, else the file's name."""
    _, fence, identity = path.partition(f"{CORPUS}#")
    return identity if fence else Path(path).name


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """``{query id: {document id: grade}}`` in the file's order, all grades. Raises `DamagedFileError`."""
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        if number == 1 and line.startswith("query-id"):
            continue
        try:
            query, document, grade = line.split("\t")
            qrels.setdefault(query, {})[document] = int(grade)
        except ValueError as error:
            raise DamagedFileError(
                f"Line {number} of {path} is not “query-id, corpus-id, grade” with tabs between: “{line[:80]}”. "
                "Mend it and evaluate again."
            ) from error
    if not qrels:
        raise DamagedFileError(f"{path} holds no judgements; nothing can be measured with it.")
    return qrels


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
    path = folder / QRELS / f"{split}.tsv"
    if not path.is_file():
        found = ", ".join(sorted(other.stem for other in (folder / QRELS).glob("*.tsv")))
        raise UsageError(
            f"{path} is not there. Splits of this dataset: {found or 'none'}. Choose with --split."
        )
    return path


def _read_queries(path: Path) -> Mapping[str, str]:
    """``{query id: text}``: a line of queries has the form of a line of a corpus, so ingest's reader reads it."""
    if not path.is_file():
        raise UsageError(f"{path} is not there; a judged set needs its queries.")
    entries = read_documents(path, name=str(path), key=str(path))
    return {str(entry.source_id): entry.text.strip() for entry in entries}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, numbered from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is not in UTF-8 ({error}). Save it as UTF-8.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
