"""ONNX Runtime does not report home: what it reads when it is imported was set before, whoever of ours imports it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WATCH = """
import importlib, os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("told:", os.environ.get("ORT_DISABLE_TELEMETRY"))

sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
import onnxruntime
"""


@pytest.mark.parametrize(
    "first", ["ingest", "rerank.search", "ui.command_line.main", "rerank.scorers.onnx_cross_encoder"]
)
def test_it_is_told_before_it_is_imported(first: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", WATCH, first], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["told:", "1"]
