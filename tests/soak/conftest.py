"""How long and how much, from the environment (`make soak TABS=20 SECONDS=300 SEARCHES=10000`), and a real library."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.encoders.onnx import open_encoder
from ingest.library.library import Library, Manifest
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.pipeline import ingest
from ingest.sources import walk
from tests.browser.conftest import serve
from ui.settings import SAMPLE

__all__ = ["serve"]  # a fixture is used by its name alone


@dataclass(frozen=True, slots=True)
class Load:
    """What `make soak` asks for."""

    tabs: int
    seconds: float
    searches: int


@pytest.fixture
def load() -> Load:
    values = os.environ
    return Load(
        int(values.get("SOAK_TABS", 20)), float(values.get("SOAK_SECONDS", 300)),
        int(values.get("SOAK_SEARCHES", 10_000)),
    )  # fmt: skip


@pytest.fixture
def sample_library(tmp_path: Path) -> Library:
    """The sample documents, with the bundled encoder."""
    encoder = open_encoder(resolve_encoder(None, Hub(allow_downloads=False)))
    library = Library.create(tmp_path / "library", Manifest.of(encoder.model.spec))
    report = ingest(list(walk([SAMPLE / "documents"])), library, encoder)
    assert all(file.status == "indexed" for file in report.files), report
    return library
