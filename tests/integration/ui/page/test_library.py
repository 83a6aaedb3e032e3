"""The library in the side bar: adding, deleting, the states in which there is nothing to search."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingest.library.library import Library
from ingest.library.writer import writing
from tests.fakes import WORD_ENCODER, WordEncoder
from tests.integration.ui.page.conftest import TEXTS, Screen
from ui.page import visitors
from ui.page.sidebar import library as sidebar
from ui.server.access import Protection, Way


def titles(folder: Path) -> list[str]:
    return [document.title for document in Library(folder).documents()]


@pytest.fixture
def sample_files(tmp_path: Path, screen: Screen) -> Path:
    folder = tmp_path / "data" / "sample" / "documents"
    folder.mkdir(parents=True)
    for name in ("vipers.txt", "python.txt"):
        (folder / name).write_text(TEXTS[name], encoding="utf-8")
    rows = [
        {"_id": "1", "text": "does a $5 *snake* :smile:?", "example": True},
        {"_id": "2", "text": "not an example", "example": False},
    ]
    (folder.parent / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def test_without_a_library_the_page_offers_the_sample_documents(screen: Screen, sample_files: Path) -> None:
    screen.open()
    assert [s.value for s in screen.app.subheader] == ["There is no library yet"]
    screen.press("Add the sample documents")
    assert titles(screen.library) == ["python", "vipers"]
    assert "✓ vipers.txt: indexed, 1 passage." in screen.texts()


def drop(screen: Screen, name: str, text: str) -> None:
    screen.app.file_uploader[0].set_value([(name, text.encode(), "text/plain")])
    screen.app.run()
    screen.settle()


def test_an_upload_replaces_an_earlier_one_of_its_name_only_where_it_is_told_to(screen: Screen) -> None:
    screen.open()
    drop(screen, "minutes.txt", "The snake was heard.")
    screen.app.checkbox[0].uncheck()
    drop(screen, "minutes.txt", "The bank was closed.")
    kept = "✓ minutes (2).txt: indexed, 1 passage. Another file called minutes.txt is in the library; both are kept."
    assert kept in screen.texts()
    assert titles(screen.library) == ["minutes", "minutes (2)"]
    assert screen.app.checkbox[0].value, "the choice is made anew for each drop"
    drop(screen, "minutes.txt", "The river was high.")
    assert "✓ minutes.txt: replaced the earlier one, 1 passage." in screen.texts()
    assert titles(screen.library) == ["minutes", "minutes (2)"]
    screen.ask("river")
    assert screen.columns()[0] == ["minutes", "minutes (2)"]
    screen.press("Put the earlier file back")
    screen.settle()
    assert "✓ minutes.txt: replaced the earlier one, 1 passage." in screen.texts()
    assert "The snake was heard." in passages(screen.library)
    assert "The river was high." not in passages(screen.library)
    screen.press("Put the earlier file back")
    screen.settle()
    assert "The river was high." in passages(screen.library)


def passages(folder: Path) -> list[str]:
    with Library(folder).snapshot() as snapshot:
        return snapshot.sample_texts(100)


def test_on_a_shared_page_nobody_replaces_a_file_by_its_name(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.open()
    drop(screen, "minutes.txt", "The snake was heard.")
    screen.app.checkbox[
        0
    ].check()  # before the server is seen to be on a network: what is forged counts for nothing
    guarded = SimpleNamespace(
        protection=Protection(Way.PASSWORD), uploads=SimpleNamespace(refusal=lambda session: "")
    )
    monkeypatch.setattr(visitors, "standing", lambda: guarded)
    drop(screen, "minutes.txt", "The bank was closed.")
    assert [box.label for box in screen.app.checkbox if box.label.startswith("Replace")] == []
    assert titles(screen.library) == ["minutes", "minutes (2)"]


def test_an_empty_library_says_what_to_do(screen: Screen, fill) -> None:
    fill({}, screen.library, screen.encoder)
    screen.open()
    assert [s.value for s in screen.app.subheader] == ["The library is empty"]
    assert "Drop files into the side bar" in screen.texts()
    assert screen.app.get("bidi_component") == []


def test_dropped_files_end_with_a_line_each(screen: Screen) -> None:
    screen.open()
    files = [
        ("vipers.txt", TEXTS["vipers.txt"].encode(), "text/plain"),
        ("again.txt", TEXTS["vipers.txt"].encode(), "text/plain"),
        ("picture.gif", b"GIF89a", "image/gif"),
        ("empty.md", b"", "text/markdown"),
    ]
    screen.app.file_uploader[0].set_value(files)
    screen.app.run()
    screen.settle()
    shown = screen.texts()
    assert "✓ vipers.txt: indexed, 1 passage." in shown
    assert "= again.txt: a duplicate. The same content is in the library already, as vipers.txt." in shown
    assert "! picture.gif is a GIF picture, which is not read." in shown
    assert "! empty.md" in shown
    assert screen.app.file_uploader[0].value == []
    assert titles(screen.library) == ["vipers"]


def test_uploaded_bytes_do_not_stay_behind(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "private"))
    (tmp_path / "private").mkdir()
    screen.open()
    screen.app.file_uploader[0].set_value([("../../vipers.txt", b"A snake.", "text/plain")])
    screen.app.run()
    screen.settle()
    assert "✓ vipers.txt: indexed, 1 passage." in screen.texts()
    assert list((tmp_path / "private").iterdir()) == []


def test_delete_asks_first_and_then_the_passages_are_gone(screen: Screen, fill) -> None:
    library = fill(
        {name: TEXTS[name] for name in ("vipers.txt", "python.txt")}, screen.library, screen.encoder
    )
    doomed = library.find("vipers").id
    screen.open(q="snake venom")
    assert "vipers" in screen.columns()[0]
    screen.app.button(key=f"delete-{doomed}").click().run()
    assert "Delete it with its 1 passage?" in screen.texts()
    assert titles(screen.library) == ["python", "vipers"]
    screen.press("Yes, delete")
    assert titles(screen.library) == ["python"]
    assert screen.columns() == (["python"], ["python"])
    assert "Deleted: vipers" in screen.texts()


def test_keep_keeps(screen: Screen, fill) -> None:
    library = fill(TEXTS, screen.library, screen.encoder)
    screen.open()
    screen.app.button(key=f"delete-{library.find('vipers').id}").click().run()
    screen.press("Keep")
    assert len(titles(screen.library)) == len(TEXTS)
    assert all(button.label != "Yes, delete" for button in screen.app.button)


def test_what_a_document_was_found_by_stays_when_the_first_of_all_is_deleted(
    screen: Screen, fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidebar, "MOST_ROWS", 2)
    fill(TEXTS, screen.library, screen.encoder)
    screen.open()
    find = next(box for box in screen.app.text_input if box.label == "Find a document")
    find.input("an").run()
    assert titles(screen.library)[0] == "banks"
    screen.app.button(key=f"delete-{Library(screen.library).documents()[0].id}").click().run()
    screen.press("Yes, delete")
    assert titles(screen.library) == ["cranes", "python", "vipers"]
    kept = [box.value for box in screen.app.text_input if box.label == "Find a document"]
    assert kept == ["an"]


def test_a_busy_library_says_so(screen: Screen, fill, monkeypatch: pytest.MonkeyPatch) -> None:
    library = fill(TEXTS, screen.library, screen.encoder)
    monkeypatch.setattr("ui.page.sidebar.library.writing", lambda chosen: writing(chosen, wait=0.0))
    screen.open()
    screen.app.button(key=f"delete-{library.find('vipers').id}").click().run()
    with writing(library):
        screen.press("Yes, delete")
    assert "Nothing was deleted." in screen.errors()
    assert "Another process is writing to the library" in screen.texts()
    assert "vipers" in titles(screen.library)


def test_example_questions_come_with_the_samples_and_go_with_them(screen: Screen, sample_files: Path) -> None:
    screen.open().press("Add the sample documents")
    assert "Try:" in screen.texts()
    screen.app.button(key="example-0").click().run()
    screen.settle()
    assert screen.payload()["query"] == "does a $5 *snake* :smile:?"
    screen.app.session_state["samples"] = True
    screen.app.run()
    screen.press("Remove the sample documents")
    screen.press("Yes, delete")
    assert titles(screen.library) == []
    assert "Try:" not in screen.texts()


def test_a_library_of_another_encoder_is_refused_with_the_command(screen: Screen, fill) -> None:
    fill(TEXTS, screen.library, WordEncoder(replace(WORD_ENCODER, name="another-encoder")))
    screen.app.run()
    assert "Second Look cannot go on like this." in screen.errors()
    assert "was made with the encoder another-encoder; word-encoder" in screen.texts()
    assert f"secondlook rebuild --library {screen.library} --encoder word-encoder" in screen.texts()


def test_a_damaged_library_is_a_sentence(screen: Screen) -> None:
    screen.library.mkdir()
    (screen.library / "library.sqlite").write_bytes(b"this is no database" * 100)
    screen.app.run()
    assert not screen.app.exception
    assert "Second Look cannot go on like this." in screen.errors()
    assert "is damaged" in screen.texts()


def test_a_setting_that_cannot_be_read_is_a_sentence(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "perhaps")
    screen.app.run()
    assert not screen.app.exception
    assert "SECONDLOOK_DOWNLOADS is “perhaps”" in screen.texts()
