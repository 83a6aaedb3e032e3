"""What a unit test is: it starts no process and listens nowhere. Whoever needs either stands in tests/integration."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

STARTS = {"subprocess.Popen", "os.fork", "os.posix_spawn", "socket.bind"}
_watching = False


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if _watching and event in STARTS:
        raise PermissionError(f"{event} in a unit test: it belongs to tests/integration")


sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """No process and no server while a unit test runs."""
    global _watching  # noqa: PLW0603 - a hook can only be switched, never taken away
    _watching = True
    yield
    _watching = False
