"""A library that is made anew under whoever has it open: never the old index with the new rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import EncoderMismatchError, LibraryNotFoundError
from ingest.library.archive.export import export_library
from ingest.library.archive.importing import import_library
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.models.spec import ModelSpec
from ingest.rebuild import rebuild
from rerank.evaluation.cache import look_prefix
from rerank.languages import LanguageWarnings
from retrieval.records import CandidateSource
from retrieval.retriever import Retriever
from tests.conftest import Desk
from tests.fakes import WORD_ENCODER, WordEncoder

GERMAN = "Der Kran steht am Fluss und die Bank liegt in der Stadt, in der es nachts sehr ruhig ist. "
Remake = Callable[[Desk], None]


def _again(desk: Desk, *texts: str) -> None:
    shutil.rmtree(desk.library.folder)
    Library.create(desk.library.folder, Manifest.of(WORD_ENCODER, 32))
    desk.add(*(desk.write(f"new{number}.txt", text) for number, text in enumerate(texts)))


def anew(desk: Desk) -> None:
    """As many passages, generations and vectors as before, in the other order."""
    _again(desk, "bank river flood " + GERMAN, "snake venom " + GERMAN)


def same_index(desk: Desk) -> None:
    """Other texts of the very same vectors: number and checksum of the index are those of before."""
    _again(desk, "snake venom, said anew, " + "x " * 3, "bank river flood, said anew, " + "x " * 3)


def put_back(desk: Desk) -> None:
    """A copy of before a deletion is put back, and another document deleted in it."""
    shutil.rmtree(desk.library.folder)
    shutil.copytree(desk.folder / "copy", desk.library.folder)
    with writing(Library(desk.library.folder)) as writer:
        writer.delete([desk.library.find("old1").id])


def imported(desk: Desk) -> None:
    """An export of other documents is imported in its place."""
    other = Desk(
        desk.folder / "other",
        Library.create(desk.folder / "lib", Manifest.of(WORD_ENCODER, 32)),
        desk.encoder,
    )
    other.add(other.write("a.txt", "bank river flood"), other.write("b.txt", "snake venom"))
    export_library(other.library, desk.folder / "other.zip")
    shutil.rmtree(desk.library.folder)
    import_library(desk.folder / "other.zip", desk.library.folder)


def answers(retriever: Retriever) -> list[tuple[str, float]]:
    found = [retriever.retrieve(query, 5).candidates for query in ("snake venom", "river bank")]
    return [(candidate.chunk.text, candidate.score) for one in found for candidate in one]


@pytest.mark.parametrize("remake", [anew, same_index, put_back, imported])
def test_an_open_retriever_answers_as_one_that_is_opened_now(desk: Desk, remake: Remake) -> None:
    desk.add(
        desk.write("old0.txt", "snake venom, said once, " + "x " * 3),
        desk.write("old1.txt", "bank river flood, said once, " + "x " * 3),
    )
    shutil.copytree(desk.library.folder, desk.folder / "copy")
    if remake is put_back:
        with writing(desk.library) as writer:
            writer.delete([desk.library.find("old0").id])
    held, before = Retriever(desk.library, desk.encoder), desk.library.generation()
    answers(held)
    remake(desk)
    after = desk.library.generation()
    assert after.id == before.id, "the case is about equal numbers"
    assert answers(held) == answers(Retriever(Library(desk.library.folder), desk.encoder))
    prefixes = {look_prefix(state, desk.encoder.model, CandidateSource.VECTORS) for state in (before, after)}
    assert len(prefixes) == 2, "an evaluation would find the old library's first looks"


def test_warnings_about_languages_are_of_the_library_that_is_there(desk: Desk) -> None:
    desk.add(
        desk.write("a.txt", "The crane stands by the river, and the bank is in the middle of the town. " * 3)
    )
    english = ModelSpec(
        **{**{n: getattr(WORD_ENCODER, n) for n in ModelSpec.__dataclass_fields__}, "languages": "English"}
    )
    warnings = LanguageWarnings(desk.library, [english])
    assert warnings.of("where is the bank of the town?") == ()
    _again(desk, GERMAN * 3)
    assert any("German" in notice.text for notice in warnings.of("where is the bank of the town?"))


def test_a_library_of_another_encoder_is_not_asked_with_this_ones_vectors(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "snake venom"))
    held = Retriever(desk.library, desk.encoder)
    answers(held)
    rebuild(desk.library, WordEncoder(replace(WORD_ENCODER, name="another", revision="2")), 32)
    with pytest.raises(EncoderMismatchError, match="another"):
        answers(held)


def test_a_library_that_is_gone_is_said_to_be_and_nothing_is_made_in_its_place(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "snake venom"))
    held = Retriever(desk.library, desk.encoder)
    for path in Path(desk.library.folder).glob("library.sqlite*"):
        path.unlink()
    with pytest.raises(LibraryNotFoundError, match="There is no library in"):
        answers(held)
    assert not (desk.library.folder / "library.sqlite").exists()
