"""Jobs beside the page: they can be stopped, and what they raise is never lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from ingest.errors import CancelledError, LibraryBusyError
from ingest.library.library import Library, Manifest
from ingest.library.writer import writing
from ingest.pipeline import ingest
from ingest.records import FileStatus, IngestProgress
from ingest.sources import Source
from rerank.request import SearchRequest
from rerank.scorers.base import Scores
from rerank.search import Searcher
from retrieval.retriever import Retriever
from secondlook import default_encoder
from tests.conftest import Desk
from tests.parts.stand_ins import MoodyScorer
from ui.jobs.ingest import FileLine, IngestJob
from ui.jobs.job import failure, in_background
from ui.jobs.search import SearchJob, second_looks_under_way
from ui.page.search.polling import WATCH_SECONDS, watch_seconds


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
        job = IngestJob(
            sources, lambda: desk.library, desk.encoder, lambda needed: cleaned.append(True)
        ).start()
        job.cancel()
        assert not job.finished
    job.wait(20)
    assert job.failure == ""
    assert [line.doing for line in job.lines()] == ["stopped before it was finished"] * 3
    assert desk.library.documents() == []
    assert cleaned == [True]


def test_lines_end_with_the_report_of_each_file(desk: Desk) -> None:
    sources = [Source.of_path(desk.write("a.txt", "A snake.")), Source.of_path(desk.write("b.txt", ""))]
    job = IngestJob(sources, lambda: Library(desk.library.folder), desk.encoder).start()
    job.wait(20)
    assert [line.report.status for line in job.lines() if line.report] == ["indexed", "refused"]


def test_a_cancel_in_the_middle_of_a_file_is_heard_within_a_batch(tmp_path: Path) -> None:
    encoder = default_encoder()
    library = Library.create(tmp_path / "library", Manifest.of(encoder.model.spec, 64))
    long = tmp_path / "long.txt"  # less than a window: the only places to stop are the encoder's own batches
    long.write_text(
        "\n\n".join(f"Part {n} of the lease: the tenant of room {n} pays {n + 400}. " * 4 for n in range(150))
    )
    (tmp_path / "short.txt").write_text("The tenant may leave early.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing more")
    names = ("short.txt", "broken.pdf", "long.txt")
    sources = [Source.of_path(tmp_path / name) for name in names]
    under_way: list[tuple[int, float]] = []

    def ingesting() -> IngestJob:
        job = IngestJob(sources, lambda: library, encoder)
        hear = job._hear

        def cancel_at_once(progress: IngestProgress) -> None:
            hear(progress)
            if progress.done:
                if not under_way:
                    lines.extend(job.lines())
                    job.cancel()
                under_way.append((progress.done, progress.rate))

        job._hear = cancel_at_once  # type: ignore[method-assign]
        return job

    lines: list[FileLine] = []
    job = ingesting().start()
    job.wait(60)
    assert job.cancelled
    assert job.failure == ""
    assert [(line.doing, line.report and line.report.status) for line in lines] == [
        ("embedding", None), ("embedding", "refused"), ("embedding", None)
    ]  # fmt: skip
    assert under_way[0][1] > 0, "0 a second while passages were embedded"
    assert len(under_way) == 1, "batches were embedded after the cancel"
    assert library.documents() == []
    assert ingest(sources, library, encoder).count(FileStatus.INDEXED) == 2


class Silent(MoodyScorer):
    """Says nothing of its batches, as a scorer whose slice is one batch does until it is too late."""

    def score(self, query: str, passages: Sequence[str], on_batch: object = None) -> Scores:
        return super().score(query, passages)


def test_an_overtaken_search_stops_between_slices(desk: Desk) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"A snake, number {n}.") for n in range(40)))
    scorer = Silent()
    scorer.gate.clear()
    searcher = Searcher(Retriever(desk.library, desk.encoder), scorer)
    job = SearchJob(searcher, searcher.first_look(SearchRequest("snake number 7")), 10).start()
    assert scorer.waiting.wait(10)
    job.cancel()
    scorer.gate.set()
    job.wait(20)
    assert [count for _, count in scorer.calls] == [10]
    assert (job.failure, job.result, job.partial) == ("", None, None)


def test_a_search_that_nobody_waits_for_stops_between_slices(desk: Desk) -> None:
    desk.add(*(desk.write(f"{n}.txt", f"A snake, number {n}.") for n in range(40)))
    scorer, gone = Silent(), threading.Event()
    scorer.gate.clear()
    searcher = Searcher(Retriever(desk.library, desk.encoder), scorer)
    first = searcher.first_look(SearchRequest("snake number 7"))
    job = SearchJob(searcher, first, 10, wanted=lambda: not gone.is_set()).start()
    assert scorer.waiting.wait(10)
    gone.set()
    scorer.gate.set()
    job.wait(20)
    assert [count for _, count in scorer.calls] == [10]
    assert (job.cancelled, job.failure, job.result) == (True, "", None)


def test_the_more_second_looks_are_under_way_the_less_often_each_is_drawn_without_news(desk: Desk) -> None:
    desk.add(desk.write("a.txt", "A snake."))
    scorer = MoodyScorer()
    scorer.gate.clear()
    searcher = Searcher(Retriever(desk.library, desk.encoder), scorer)
    assert watch_seconds() == WATCH_SECONDS
    jobs = [
        SearchJob(searcher, searcher.first_look(SearchRequest(f"snake {n}")), 10).start() for n in range(20)
    ]
    while second_looks_under_way() < len(jobs):
        assert scorer.waiting.wait(10)
    assert watch_seconds() == 5 * WATCH_SECONDS
    scorer.gate.set()
    for job in jobs:
        job.wait(20)
    assert watch_seconds() == WATCH_SECONDS
