"""A file that needs a password: the page asks for it, reads that file again, and keeps the password nowhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from ingest.library.library import Library, Manifest
from tests.conftest import Desk
from tests.integration.ui.files.test_uploads import Dropped
from tests.integration.ui.page.conftest import Screen
from ui.files.uploads import keep
from ui.jobs.ingest import IngestJob
from ui.page.components import literal

PASSWORD = "hunter2"


def locked(text: str) -> bytes:
    """A PDF of one line behind `PASSWORD`."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=11)
    pdf.add_page()
    pdf.cell(text=text)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(bytes(pdf.output()))))
    writer.encrypt(PASSWORD, "owner", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.fixture
def job(desk: Desk) -> IngestJob:
    """A finished ingest of three uploads, two of which wait for their password."""
    uploads = [
        Dropped("a.pdf", locked("A locked crane.")),
        Dropped("b.txt", b"A river."),
        Dropped("c.pdf", locked("A locked bank.")),
    ]
    sources, clean_up = keep(uploads)
    made = IngestJob(sources, lambda: desk.library, desk.encoder, clean_up).start()
    made.wait(60)
    return made


def statuses(job: IngestJob) -> list[str]:
    return [str(line.report.status) for line in job.lines() if line.report]


def test_only_the_file_with_the_password_is_read_again(job: IngestJob, desk: Desk) -> None:
    folder = job.sources[0].path.parent
    assert statuses(job) == ["refused", "indexed", "refused"]
    assert sorted(path.name for path in folder.iterdir()) == ["upload-0", "upload-2"]
    wrong = job.with_password(1, "hunter3").start()
    wrong.wait(60)
    assert statuses(wrong) == ["refused", "indexed", "refused"]
    assert "does not open it" in str(wrong.lines()[0].report)
    right = wrong.with_password(1, PASSWORD).start()
    right.wait(60)
    assert statuses(right) == ["indexed", "indexed", "refused"]
    assert sorted(desk.texts()) == ["A locked crane.", "A river."]
    assert [path.name for path in folder.iterdir()] == ["upload-2"]
    right.discard()
    assert not folder.exists()


def test_the_password_is_kept_and_shown_nowhere(
    job: IngestJob, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    again = job.with_password(1, PASSWORD).start()
    assert PASSWORD not in repr(again)
    again.wait(60)
    assert again.password == ""
    assert PASSWORD not in repr(vars(again))
    assert PASSWORD not in caplog.text
    for path in desk.library.folder.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()
    again.discard()


def test_the_page_asks_and_the_file_is_searched_afterwards(screen: Screen, tmp_path: Path) -> None:
    library = Library.create(screen.library, Manifest.of(screen.encoder.model.spec))
    sources, clean_up = keep([Dropped("*a* :red[x].pdf", locked("The python is a snake without venom."))])
    screen.app.run()
    job = IngestJob(sources, lambda: library, screen.encoder, clean_up).start()
    job.wait(60)
    screen.state.ingest = job
    screen.app.run()
    (field,) = [box for box in screen.app.text_input if box.key == "password-of-1"]
    assert field.label == "Password of " + literal("*a* :red[x].pdf")
    assert field.proto.type == field.proto.PASSWORD
    field.input(PASSWORD)
    screen.press("Read this file")
    assert "indexed" in screen.texts()
    assert [box for box in screen.app.text_input if box.key == "password-of-1"] == []
    assert PASSWORD not in repr(screen.app.session_state)
    assert [document.path for document in library.documents()] == ["*a* :red[x].pdf"]
