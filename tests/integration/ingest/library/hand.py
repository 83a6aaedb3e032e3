"""A hand that changes a library at random until it is killed: what `test_kills.py` runs as a process of its own.

It reads a line of JSON for each life: a library, a folder of files, a journal and a seed. It forks, so that a life
costs no new start of Python, says the child's process id, and says its exit status when it is over. The child writes
to the journal before and after each thing that it does.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ingest import intake
from ingest.chunker import Chunker
from ingest.library.label_records import Grade
from ingest.library.labels import Labels
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.pipeline import ingest
from ingest.readers.registry import read_documents
from ingest.rebuild import rebuild
from ingest.records import Document, IngestProgress
from ingest.sources import Source
from rerank.calibration.calibrate import calibrate
from rerank.calibration.labels import Labelled
from rerank.calibration.methods import Method
from rerank.calibration.records import LibraryState
from rerank.calibration.store import FILE, save
from tests.fakes import VOCABULARY, WORD_SCORER, WordEncoder

FILES = 8


def read_here(path: Path, *, cancelled: object, **options: Any) -> Iterator[Document]:
    """A file read in this process: to start a reading process would take a life longer than all that it does."""
    return read_documents(path, **options)


def cut_here(tokenizer: Tokenizer, tokens: int, *_: object) -> Chunker:
    """What cuts in this process, for the same reason."""
    return Chunker(tokenizer, tokens)


def text_of(number: int, version: int) -> str:
    """Some passages, none of which stands in another file or version."""
    words = f"{VOCABULARY[number % 11]} {VOCABULARY[version % 11]}"
    return " ".join(f"{words} file{number} version{version} part{part}." for part in range(3 + version % 20))


class Hand:
    """One life: what it does is drawn from a seed, and written down before and after."""

    def __init__(self, library: Path, files: Path, journal: Path, seed: int) -> None:
        self.library, self.files = Library(library), files
        self.seed = random.Random(seed)
        self.version = seed * 1000
        self.journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **more: object) -> None:
        os.write(self.journal, (json.dumps({"what": what, **more}) + "\n").encode())

    def live(self) -> None:
        actions: list[Callable[[], None]] = [
            self.add,
            self.add,
            self.add,
            self.delete,
            self.rebuild,
            self.label,
            self.calibrate,
        ]
        while True:
            self.seed.choice(actions)()

    def add(self) -> None:
        """New files, changed ones, and unchanged ones beside them."""
        numbers = self.seed.sample(range(FILES), 3)
        written = {number: self.version + k for k, number in enumerate(numbers[:2], start=1)}
        self.version += 2
        paths = [self.files / f"{number}.txt" for number in numbers]
        self.note("adding", files=written | {numbers[2]: None})
        for number, version in written.items():
            # A file that is being written when it is read is another matter, and not the library's.
            (self.files / "next").write_text(text_of(number, version))
            os.replace(self.files / "next", self.files / f"{number}.txt")

        def hear(progress: IngestProgress) -> None:
            if progress.report is not None:
                self.note(
                    "reported", file=int(Path(progress.report.path).stem), status=progress.report.status
                )

        ingest(
            [Source.of_path(path) for path in paths if path.exists()],
            self.library,
            WordEncoder(),
            on_progress=hear,
        )
        self.note("done")

    def delete(self) -> None:
        documents = self.library.documents()
        if documents:
            document = self.seed.choice(documents)
            self.note("deleting", file=int(Path(document.path).stem))
            with writing(self.library) as writer:
                writer.delete([document.id])
            self.note("done")

    def rebuild(self) -> None:
        self.note("rebuilding")
        rebuild(self.library, WordEncoder(), self.seed.choice([16, 32]))
        self.note("done")

    def label(self) -> None:
        with self.library.connection() as db:
            hashes = [row[0] for row in db.execute("SELECT passage_hash FROM chunks ORDER BY id")]
        if hashes:
            given = {"query": f"question {self.seed.randrange(5)}", "passage": self.seed.choice(hashes)}
            grade = self.seed.choice(list(Grade))
            self.note("labelling", **given, grade=int(grade))
            Labels(self.library).set(given["query"], given["passage"], grade)
            self.note("done")

    def calibrate(self) -> None:
        """Fit a curve to labels worked out here, and keep it under a number of its own."""
        self.note("calibrating")
        self.version += 1
        rows = [Labelled(f"question {n % 4}", self.seed.gauss(n % 2, 1.0), n % 2 == 1) for n in range(8)]
        found = calibrate(rows, WORD_SCORER, LibraryState.of(self.library), Method.PLATT)
        self.note("saving", number=self.version)
        save(self.library.folder / FILE, replace(found, notices=(str(self.version),)))
        self.note("done")


def main() -> None:
    """Fork a life for each line; its id, then its status, on stdout."""
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                hand = Hand(
                    Path(asked["library"]), Path(asked["files"]), Path(asked["journal"]), asked["seed"]
                )
                hand.live()
            except BaseException as error:
                print(f"the hand failed: {error!r}", file=sys.stderr, flush=True)
                os._exit(3)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(status, flush=True)


if __name__ == "__main__":
    intake.read_in_worker = read_here  # type: ignore[assignment]  # here only: tests import this module too
    intake.WorkerChunker = cut_here  # type: ignore[assignment,misc]
    main()
