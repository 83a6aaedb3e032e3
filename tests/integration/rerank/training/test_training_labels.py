"""Training from a library's own labels: what is read, what is a negative, and the command from end to end."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import LibraryNotFoundError, UsageError
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.rebuild import rebuild
from ingest.records import digest
from ingest.sources import Source
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.training.data import read_labelled_set, read_library_labels, read_training_set
from rerank.training.mining import MinedQuery, mine, opening
from rerank.training.sampling import Mixture, Sampler
from rerank.training.sampling import Source as TrainingSource
from tests.conftest import Desk
from tests.parts.later import later
from tests.parts.training_parts import SUBJECTS, HashEncoder, tiny_bi_encoder, write_set
from ui.command_line.options import record_of
from ui.command_line.train_arguments import TrainArguments, add_train_arguments

run_train = later("ui.command_line.train", "run_train")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bi_encoder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def judged_library(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight passages of twelve subjects; every question has its answer and another passage judged."""
    folder = tmp_path_factory.mktemp("judged")
    labelled = read_labelled_set(write_set(folder / "facts"))
    encoder = SentenceTransformerEncoder(resolve_encoder(str(base), Hub(allow_downloads=False)))
    library = Library.create(folder / "library", Manifest.of(encoder.model.spec))
    ingest([Source.of_path(folder / "facts" / "corpus.jsonl")], library, encoder)
    labels = Labels(library)

    def passage(name: str) -> str:
        entry = labelled.documents[name]
        return digest(f"{entry.title}\n{entry.text}")

    for query in labelled.queries:
        subject = query.id.split("-")[1]
        labels.set(query.text, passage(next(iter(query.grades))), Grade.RELEVANT)
        other = SUBJECTS[(SUBJECTS.index(subject) + 5) % len(SUBJECTS)]
        labels.set(query.text, passage(f"{other}-price"), Grade.NOT)
    return library.folder


def test_a_library_is_read_as_what_was_judged_among_all_its_passages(desk: Desk) -> None:
    desk.add(
        desk.write("crane.txt", "The crane is a bird."),
        desk.write("steel.txt", "A crane lifts steel."),
        desk.write("long.txt", " ".join(f"river{n}" for n in range(60))),
    )
    labels = Labels(desk.library)
    with desk.library.connection() as db:
        crane, steel, first, second = [
            row[0] for row in db.execute("SELECT passage_hash FROM chunks ORDER BY id")
        ]
    for name, grade in ((crane, Grade.RELEVANT), (steel, Grade.NOT), (first, Grade.PARTLY)):
        labels.set("which bird wades", name, grade)
    labels.set("nothing answers this", steel, Grade.NOT)
    read = read_training_set(desk.library.folder)
    (query,) = read.queries
    assert query.text == "which bird wades"
    assert (query.grades, query.not_relevant) == ({crane: 2, first: 1}, (steel,))
    assert set(read.documents) == {crane, steel, first, second}
    assert (read.documents[crane].title, read.documents[crane].text) == ("crane", "The crane is a bird.")
    rebuild(desk.library, desk.encoder, 16)
    cut = read_library_labels(desk.library.folder)
    assert cut.queries == read.queries
    assert cut.documents[first] == read.documents[first], "a judged passage that was cut otherwise is lost"
    assert second not in cut.documents
    assert cut.sha256 != read.sha256
    labels.remove("which bird wades", crane)
    labels.remove("which bird wades", first)
    with pytest.raises(UsageError, match=r"No passage of the library .* is judged relevant"):
        read_library_labels(desk.library.folder)
    with pytest.raises(LibraryNotFoundError):
        read_library_labels(desk.folder)


def test_what_was_judged_not_relevant_is_a_negative_beside_the_mined_ones(judged_library: Path) -> None:
    read = read_library_labels(judged_library)
    assert len(read.queries) == 48
    mined = mine(read, read.queries, frozenset(read.documents), HashEncoder(), depth=5)
    for query, found in zip(read.queries, mined, strict=True):
        assert found.judged == query.not_relevant
        assert len(found.negatives) == 5
        assert not set(found.negatives) & {*found.judged, *found.positives}


def test_every_group_holds_what_was_judged(judged_library: Path) -> None:
    read = read_library_labels(judged_library)
    query = read.queries[0]
    others = tuple(name for name in read.documents if name not in {*query.grades, *query.not_relevant})
    card = MinedQuery(query.text, tuple(query.grades), others[:9], judged=query.not_relevant)
    rows = {name: row for row, name in enumerate(read.documents)}
    vectors = HashEncoder().passages([opening(entry) for entry in read.documents.values()])
    source = TrainingSource(read, (card,), others, {}, HashEncoder().queries([query.text]), vectors, rows)
    (subject,) = (read.documents[name].title for name in query.not_relevant)
    mixture = Mixture(groups=1, hard=2, easy=0, short_steps=0, untitled=0)
    groups = [Sampler([source], mixture, 0).step(number)[0] for number in range(12)]
    assert all(len(group.passages) == 3 for group in groups)
    assert all(any(subject in passage for passage in group.passages[1:]) for group in groups)


@pytest.mark.parametrize("named", ["--labels", "DATASET"])
def test_the_command_trains_on_a_library(
    base: Path, judged_library: Path, tmp_path: Path, named: str
) -> None:
    output = tmp_path / "model"
    given = ["--labels", str(judged_library)] if named == "--labels" else [str(judged_library)]
    given += ["--base", str(base), "--encoder", str(base), "--output", str(output), "--steps", "2"]
    given += ["--questions", "2", "--validate-every", "2", "--max-length", "64"]
    assert run_train(arguments(given)) == 0
    report: dict[str, Any] = json.loads((output / "training.json").read_text(encoding="utf-8"))
    assert (report["data"][0]["set"], report["data"][0]["queries"]) == ("library", 48)
    scorer = open_scorer(resolve_reranker(str(output), Hub(allow_downloads=False)))
    scores = scorer.score(
        "what is the colour of mint", ["mint\nIts colour is red", "bat\nIt costs nine coins"]
    )
    assert np.isfinite(scores.logits).all()


def test_a_call_without_anything_to_learn_from_is_refused(judged_library: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to train on"):
        run_train(arguments(["--output", str(tmp_path / "o")]))
    twice = [str(judged_library), "--labels", str(judged_library), "--output", str(tmp_path / "o")]
    with pytest.raises(UsageError, match="Two sets are called library"):
        run_train(arguments(twice))


def arguments(given: list[str]) -> TrainArguments:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    return record_of(TrainArguments, parser.parse_args(given))
