"""Jobs beside the page: they can be stopped, and what they raise is never lost."""

from __future__ import annotations

from ingest.errors import CancelledError, LibraryBusyError
from ingest.intake import Source
from ingest.library import Library
from ingest.writer import writing
from tests.conftest import Desk
from ui.jobs import IngestJob, failure, in_background


def raising(error: Exception) -> str:
    def work() -> None:
        raise error

    future = in_background(work)
    future.exception(timeout=10)
    return failure(future)


def test_what_a_job_raises_becomes_its_sentence() -> None:
    assert raising(LibraryBusyError("Another process is writing.")) == "Another process is writing."
    assert raising(CancelledError("Stopped.")) == ""
    assert "ZeroDivisionError: by zero" in raising(ZeroDivisionError("by zero"))


def test_cancel_stops_before_the_next_file_and_cleans_up(desk: Desk) -> None:
    sources = [Source.of_path(desk.write(f"{n}.txt", f"A snake, number {n}.")) for n in range(3)]
    cleaned: list[bool] = []
    with writing(desk.library):  # holds the job at the door, so that the cancel comes first
        job = IngestJob(sources, lambda: desk.library, desk.encoder, lambda: cleaned.append(True))
        job.cancel()
        assert not job.finished
    job.wait(20)
    assert job.failure == ""
    assert [line.doing for line in job.lines()] == ["stopped before it was finished"] * 3
    assert desk.library.documents() == []
    assert cleaned == [True]


def test_lines_end_with_the_report_of_each_file(desk: Desk) -> None:
    sources = [Source.of_path(desk.write("a.txt", "A snake.")), Source.of_path(desk.write("b.txt", ""))]
    job = IngestJob(sources, lambda: Library(desk.library.folder), desk.encoder)
    job.wait(20)
    assert [line.report.status for line in job.lines() if line.report] == ["indexed", "refused"]
