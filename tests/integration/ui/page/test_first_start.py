"""A first start that is killed over the sample library: the next one goes on with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from ingest.library.library import Library
from ingest.library.writer import writing
from tests.browser.conftest import free_port
from ui.page import samples

ROOT = Path(__file__).resolve().parents[4]
START = textwrap.dedent(
    """
    import os, signal, sys
    from ingest import intake
    from ingest.readers.registry import read_documents
    from tests.fakes import WordEncoder
    from ui.command_line import main as cli, serve as commands
    from ui.page import samples

    encoder, (library, die_after, port) = WordEncoder(), sys.argv[1:]
    commands.encoder_for = lambda *_: encoder.model
    commands.open_encoder = lambda *_, **__: encoder
    commands.os.execve = lambda *_: sys.exit(0)  # the page itself is not what this is about
    intake.PUBLISH_SECONDS = intake.PUBLISH_SHARE = 0.0
    intake.read_in_worker = lambda path, *, cancelled, **options: read_documents(path, **options)
    done, crossed_off = 0, samples.added

    def added(library, path):
        global done
        done += 1
        if done == int(die_after):
            os.kill(os.getpid(), signal.SIGKILL)
        crossed_off(library, path)

    samples.added = added
    sys.exit(cli.main(["serve", "--library", library, "--port", port]))
    """
)


def start(library: Path, die_after: int = 0) -> int:
    command = [sys.executable, "-c", START, str(library), str(die_after), str(free_port())]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode


def test_a_start_that_is_killed_over_the_samples_is_gone_on_with(tmp_path: Path) -> None:
    library, all_of_them = tmp_path / "library", len(samples.sources())
    assert start(library, die_after=47) == -signal.SIGKILL
    assert len(Library(library).documents()) == 47 < all_of_them
    unwanted = Library(library).documents()[0].id
    with writing(Library(library)) as writer:
        writer.delete([unwanted])
    assert start(library) == 0
    there = {document.id for document in Library(library).documents()}
    assert len(there) == all_of_them - 1
    assert unwanted not in there, "what a person deleted came back"
    with writing(Library(library)) as writer:
        writer.delete(sorted(there)[:5])
    assert start(library) == 0
    assert len(Library(library).documents()) == len(there) - 5
