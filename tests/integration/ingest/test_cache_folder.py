"""Where what can be made again is kept, with a cache folder that takes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import AS_A_USER, needs_a_user
from tests.parts.disks import Disk, disk

__all__ = ["disk"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the cache folder is not in the environment there")
WHERE = """
from ingest.cache_folder import kept_in_cache
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.encoders.onnx import open_encoder
from rerank.registry import resolve_reranker
from rerank.engines.choose import graph_folder
from rerank.scorers.score_store import user_store
hub = Hub(allow_downloads=False)
print(hub.memory)
print(open_encoder(resolve_encoder("bundled", hub))._graph_path())
print(graph_folder(resolve_reranker("bundled", hub)))
print(user_store()._disk._path)
print(kept_in_cache("kept"))
"""


def where(cache: Path, temporary: Path) -> tuple[list[Path], str]:
    """Where a process keeps the hub's answer, graphs, scores and “kept”, and what it warns of."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "TMPDIR": str(temporary)}
    command = [*AS_A_USER, sys.executable, "-c", WHERE]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    return [Path(line) for line in done.stdout.splitlines()], done.stderr


def test_a_cache_that_cannot_be_written_to_is_said_once_and_another_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places, warned = where(tmp_path / "file", tmp_path)
    (folder,) = tmp_path.glob("second-look-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(place.is_relative_to(folder) for place in places)
    assert warned.count("nothing can be kept in the cache folder") == warned.count("\n") == 1
    assert where(tmp_path / "file", tmp_path)[0] == places, "the next process finds what this one keeps"
    folder.chmod(0o777)  # others may have put something there
    places, _ = where(tmp_path / "file", tmp_path)
    assert not any(place.is_relative_to(folder) for place in places)
    assert list(tmp_path.glob("second-look-*")) == [folder], "a folder of one process goes with it"


def test_a_cache_without_room_is_said_once_and_another_is_used(disk: Disk, tmp_path: Path) -> None:
    """A graph that does not fit would be made in vain by each command."""
    places, warned = where(disk.folder, tmp_path)
    assert not any(place.is_relative_to(disk.folder) for place in places)
    assert warned.count("nothing can be kept in the cache folder") == warned.count("\n") == 1


@needs_a_user
def test_what_a_cache_holds_is_used_though_nothing_more_can_be_kept(tmp_path: Path) -> None:
    """As in an image whose cache was filled when it was made."""
    kept = tmp_path / "cache" / "second-look"
    (kept / "kept").mkdir(parents=True)
    places, warned = where(tmp_path / "cache", tmp_path)
    assert all(place.is_relative_to(kept) for place in places)
    assert warned == ""
    kept.chmod(0o500)
    places, _ = where(tmp_path / "cache", tmp_path)
    kept.chmod(0o700)
    assert [place.is_relative_to(kept) for place in places] == [False] * 4 + [True]
