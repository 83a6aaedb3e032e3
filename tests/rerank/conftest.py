"""What the tests of an evaluation start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rerank.evaluation_parts import write_topics


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of a judged set, made by `write_topics`."""
    return write_topics(tmp_path / "topics")
