"""What both faces say of help: of every remedy there is, and of errors on their way to a person."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import pytest

from ingest.errors import (
    EncoderMismatchError,
    LibraryNotFoundError,
    ModelNotFoundError,
    SecondLookError,
)
from ingest.library.library import Library
from ingest.notices import Help, Message, Remedy
from ingest.services.access import Service
from rerank.factory import ModelChoice, open_searcher, resolve_models
from rerank.registry import RERANKERS
from tests.conftest import Desk
from ui.command_line.main import main
from ui.log import WholeErrors
from ui.presentation.remedies import Face, told, with_help

PICKLED = next(name for name, spec in RERANKERS.items() if spec.pickled)
SUBJECTS = {Remedy.CONVERT: PICKLED, Remedy.SET_ADDRESS: Service.COHERE, Remedy.SET_KEY: Service.COHERE}


@pytest.mark.parametrize("face", Face)
@pytest.mark.parametrize("remedy", Remedy)
def test_every_face_has_words_for_every_remedy(remedy: Remedy, face: Face) -> None:
    """Also for a library whose folder has braces in its name."""
    text = with_help("Do it.", Help(remedy, "a{b}c", SUBJECTS.get(remedy, "it")), face)
    assert text.startswith("Do it")
    assert "{" not in text.replace("a{b}c", "")
    assert ".." not in text.replace("./", "")
    if face is Face.PAGE and remedy in (
        Remedy.INGEST,
        Remedy.JUDGE,
        Remedy.CALIBRATE,
        Remedy.TRUST,
        Remedy.ALLOW,
    ):
        assert "secondlook" not in text.lower()
        assert "--" not in text


def test_what_a_help_is_told_as() -> None:
    no_library = Message("There is no library in here. Make one.", Help(Remedy.INGEST, "here"))
    assert (
        told(no_library)
        == "There is no library in here. Make one with: secondlook ingest FILES --library here"
    )
    assert told(no_library, Face.PAGE) == (
        "There is no library in here. Make one by dropping files into the side bar."
    )
    damaged = Message("It is damaged. Repair it.", Help(Remedy.REPAIR, "here"))
    assert told(damaged, Face.PAGE) == (
        "It is damaged. Repair it in a terminal with: secondlook doctor --repair --library here"
    )
    both = Help(Remedy.REBUILD, "here", "bundled", also=Help(Remedy.FETCH, subject="a/b"))
    assert with_help("Rebuild it.", both) == (
        "Rebuild it with: secondlook rebuild --library here --encoder bundled; or fetch the model with: secondlook "
        "models prefetch a/b"
    )
    assert told(Message("It is whole.")) == "It is whole."


def test_help_comes_through_a_pickle_and_a_nested_error(desk: Desk) -> None:
    error = ModelNotFoundError("Fetch it.", ("a",), "why", Help(Remedy.FETCH, subject="a/b"))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.help, again.tried) == ("Fetch it.", error.help, ("a",))
    with desk.library.connection() as db:
        db.execute(
            "UPDATE manifest SET value = ? WHERE key = 'encoder'", (json.dumps("sentence-transformers/gone"),)
        )
    choice = ModelChoice(allow_downloads=False, trusting=True)
    with pytest.raises(EncoderMismatchError) as caught:
        open_searcher(Library(desk.library.folder), resolve_models(choice, Library(desk.library.folder)))
    assert told(caught.value).endswith(
        f"have the bundled encoder rebuild the library with: secondlook rebuild --library {desk.library.folder} "
        "--encoder bundled; or fetch the model with: secondlook models prefetch sentence-transformers/gone"
    )


def test_errors_that_are_logged_are_whole() -> None:
    error: SecondLookError = LibraryNotFoundError("Make one.", Help(Remedy.INGEST, "here"))
    record = logging.LogRecord("a", logging.WARNING, "b", 1, "%s", (error,), None)
    assert WholeErrors().filter(record)
    assert record.getMessage() == "Make one with: secondlook ingest FILES --library here"


def test_the_command_line_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["documents", "--library", str(tmp_path)]) == 1
    assert f"Make one with: secondlook ingest FILES --library {tmp_path}\n" in capsys.readouterr().err
