"""Labels as files: the round trip, what other tools read of it, and rows that are refused by their line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytrec_eval

from ingest.errors import DamagedFileError, UsageError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.records import digest
from rerank.judged.dataset import read_judged_set
from rerank.labels.files import export_labels, query_id, read_labels
from rerank.training.data import read_labelled_set
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def labels(desk: Desk) -> Labels:
    """Two questions on three passages; the text of one is gone."""
    desk.add(
        desk.write("crane.txt", "The crane is a bird\tof “wetlands”.\u2028It wades."),
        desk.write("bank.txt", "The bank by the river."),
        desk.write("secret.txt", "The vault opens with marmalade."),
    )
    found = Labels(desk.library)
    with desk.library.connection() as db:
        names = [row[0] for row in db.execute("SELECT passage_hash FROM chunks ORDER BY id")]
    found.set("which bird wades?", names[0], Grade.RELEVANT)
    found.set("which bird wades?", names[1], Grade.NOT)
    found.set("was steht am Fluss – “hier”?", names[1], Grade.PARTLY)
    found.set("was steht am Fluss – “hier”?", names[2], Grade.NOT)
    with writing(desk.library) as writer:
        writer.delete([desk.library.find("secret").id])
    return found


def other_library(folder: Path) -> Labels:
    return Labels(Library.create(folder, Manifest.of(WORD_ENCODER, 32)))


def take_in(labels: Labels, path: Path, now: datetime = NOW) -> tuple[int, int, int]:
    known = {query_id(label.query): label.query for label in labels.all()}
    done = labels.merge(read_labels(path, known, now))
    return done.added, done.changed, done.kept


@pytest.mark.parametrize("theirs", ["queries.jsonl", "corpus.jsonl", "qrels/labels.tsv"])
def test_a_judged_set_is_not_written_over(labels: Labels, tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "my-questions" / theirs
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match="of no earlier export"):
        export_labels(labels.all(), tmp_path / "my-questions")
    assert [found for found in (tmp_path / "my-questions").rglob("*") if found.is_file()] == [path]
    assert path.read_text() == "mine"


def test_an_earlier_export_is_replaced(labels: Labels, tmp_path: Path) -> None:
    export_labels(labels.all()[:1], tmp_path / "out")
    assert export_labels(labels.all(), tmp_path / "out").labels == 4
    assert take_in(other_library(tmp_path / "other"), tmp_path / "out")[0] == 4


def test_what_goes_out_comes_back_into_another_library(labels: Labels, tmp_path: Path) -> None:
    done = export_labels(labels.all(), tmp_path / "out")
    assert (done.queries, done.labels, done.without_text) == (2, 4, 1)
    there = other_library(tmp_path / "other")
    assert take_in(there, tmp_path / "out") == (4, 0, 0), (
        "three labels stand in both tables, and are one each"
    )
    assert take_in(there, tmp_path / "out") == (0, 0, 4)
    mine = {(x.query, x.passage_hash): (x.grade, x.judged, x.passage) for x in labels.all()}
    assert {(x.query, x.passage_hash): (x.grade, x.judged, x.passage) for x in there.all()} == mine
    export_labels(there.all(), tmp_path / "again")
    for name in ("queries.jsonl", "corpus.jsonl", "qrels/labels.tsv", "labels.qrels"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert b"marmalade" not in b"".join(p.read_bytes() for p in tmp_path.glob("out/**/*.*l*") if p.is_file())


def test_evaluation_training_and_trec_eval_read_it(labels: Labels, tmp_path: Path) -> None:
    export_labels(labels.all(), tmp_path / "out")
    judged = read_judged_set(tmp_path / "out", "labels")
    asked = {text: name for name, text in judged.queries.items()}
    assert set(asked) == {"which bird wades?", "was steht am Fluss – “hier”?"}
    assert sorted(judged.qrels[asked["which bird wades?"]].values()) == [0, 2]
    learnt = {query.text: query for query in read_labelled_set(tmp_path / "out").queries}
    assert list(learnt["which bird wades?"].grades.values()) == [2]
    assert len(learnt["which bird wades?"].not_relevant) == 1
    with (tmp_path / "out" / "labels.qrels").open() as lines:
        qrels = pytrec_eval.parse_qrel(lines)
    assert {name: sorted(found.values()) for name, found in qrels.items()} == {
        asked["which bird wades?"]: [0, 2], asked["was steht am Fluss – “hier”?"]: [0, 1],
    }  # fmt: skip


def test_the_later_judgement_stands_whichever_way_it_comes(labels: Labels, tmp_path: Path) -> None:
    export_labels(labels.all(), tmp_path / "out")
    bird = next(label for label in labels.all() if label.grade is Grade.RELEVANT)
    labels.set(bird.query, bird.passage_hash, Grade.PARTLY)
    assert take_in(labels, tmp_path / "out") == (0, 0, 4), "an older judgement replaced a newer one"
    export_labels(labels.all(), tmp_path / "newer")
    labels.merge([bird.__class__(bird.query, bird.passage_hash, Grade.NOT, bird.judged - timedelta(days=1))])
    assert labels.grades(bird.query)[bird.passage_hash] is Grade.PARTLY
    plain = tmp_path / "plain.qrels"
    plain.write_text(f"{query_id(bird.query)} 0 {bird.passage_hash} 0\n")
    assert take_in(labels, plain, datetime.now(UTC)) == (0, 1, 0), "qrels without a time are given now"
    assert labels.grades(bird.query)[bird.passage_hash] is Grade.NOT


def test_a_beir_set_of_others_is_taken_by_content_and_found_when_the_text_comes(
    desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text('{"_id": "7", "text": "which  bird?"}\n')
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "title": "crane", "text": "A crane wades."}\n')
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n7\td1\t2\n")
    labels = Labels(desk.library)
    assert take_in(labels, folder) == (1, 0, 0)
    assert [label.indexed for label in labels.all()] == [False]
    desk.add(desk.write("crane.txt", "A crane wades."))
    assert [label.indexed for label in labels.all()] == [True]
    assert labels.grades("which bird?") == {digest("crane\nA crane wades."): Grade.RELEVANT}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("q\tp", "neither “query, passage, grade” nor a row of TREC qrels"),
        ("q\tp\t3", "the grade “3” is none of 0"),
        ("q\tp\t-1", "the grade “-1”"),
        ("q\tp\t1.0", "the grade “1.0”"),
        ("other\tp\t1", "the query “other” has no text in queries.jsonl"),
        ("q\tnowhere\t1", "“nowhere” is neither in corpus.jsonl nor the hash of a passage"),
        ("q 0 p 1 0.5", "nor a row of TREC qrels"),
        (f"q\t{'a' * 64}\t1", "another text in corpus.jsonl than its hash says"),
        ("q\tbad time\t1", "the time “yesterday” of its label cannot be read"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_nothing_is_taken(
    desk: Desk, tmp_path: Path, row: str, words: str
) -> None:
    (tmp_path / "qrels").mkdir()
    table = tmp_path / "qrels" / "labels.tsv"
    query = {"_id": "q", "text": "what?", "metadata": {"judged": {"bad time": "yesterday"}}}
    (tmp_path / "queries.jsonl").write_text(json.dumps(query) + "\n")
    corpus = [{"_id": name, "text": name} for name in ("p", "a" * 64, "bad time")]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    table.write_text(f"query-id\tcorpus-id\tscore\nq\tp\t1\n\n{row}\n")
    labels = Labels(desk.library)
    with pytest.raises(DamagedFileError) as error:
        take_in(labels, table)
    assert f"line 4 of {table}: " in str(error.value)
    assert words in str(error.value)
    assert labels.all() == []


def test_nothing_to_export_or_import_is_said(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no labels to export"):
        export_labels([], tmp_path / "out")
    with pytest.raises(UsageError, match="holds no labels: give a folder"):
        read_labels(tmp_path / "out", {}, NOW)
    (tmp_path / "empty.qrels").write_text("\n")
    with pytest.raises(UsageError, match="holds no labels"):
        read_labels(tmp_path / "empty.qrels", {}, NOW)
    (tmp_path / "latin.qrels").write_bytes("q 0 é 1".encode("latin-1"))
    with pytest.raises(DamagedFileError, match="UTF-8"):
        read_labels(tmp_path / "latin.qrels", {}, NOW)


@pytest.mark.parametrize(
    "said",
    ['"half \\ud800"', "[" * 100_000, "9" * 5000],
    ids=["half a surrogate", "brackets", "a long number"],
)
def test_words_that_cannot_be_kept_are_refused_by_their_line(tmp_path: Path, said: str) -> None:
    write_labels(tmp_path, '{"_id": "q", "text": "snake"}\n{"_id": "r", "text": ' + said + "}\n", {})
    with pytest.raises(DamagedFileError, match=r"Line 2 of .*queries\.jsonl"):
        read_labels(tmp_path, {}, NOW)


def test_a_place_beyond_all_numbers_is_no_place(tmp_path: Path) -> None:
    write_labels(tmp_path, '{"_id": "q", "text": "snake"}\n', {"page": 10**30, "start": -1, "end": 7})
    labels = other_library(tmp_path / "library")
    assert take_in(labels, tmp_path) == (1, 0, 0)
    (label,) = labels.all()
    assert label.passage is not None
    assert (label.passage.page, label.passage.start, label.passage.end) == (None, None, 7)


def write_labels(folder: Path, queries: str, place: dict[str, int]) -> None:
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tp\t1\n")
    (folder / "queries.jsonl").write_text(queries)
    passage = {"_id": "p", "title": "Boa", "text": "A boa.", "metadata": place}
    (folder / "corpus.jsonl").write_text(json.dumps(passage) + "\n")
