"""Nothing is ever unpickled: not by the product, and not by what measures it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNPICKLING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
# What opens a pickle by another name, or writes one.
CALLS = {"torch.load", "torch.save", "pandas.read_pickle", "pd.read_pickle"}


def sources() -> list[Path]:
    places = ("ingest", "retrieval", "rerank", "ui", "tests/benchmarks", "tests/soak", "tests/fuzz")
    return [ROOT / "app.py", *(path for place in places for path in sorted((ROOT / place).rglob("*.py")))]


def pickles_in(source: str) -> Iterator[str]:
    """What in this source reads or writes a pickle."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNPICKLING)
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & CALLS
            if (node.module or "").split(".")[0] in UNPICKLING:
                yield str(node.module)
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func) in CALLS:
                yield ast.unparse(node.func)
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    yield ast.unparse(node)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_reads_or_writes_a_pickle(path: Path) -> None:
    assert list(pickles_in(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "import torch\ntorch.load(f, weights_only=True)",
        "from torch import load as read",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=wanted)",
        "pd.read_pickle(f)",
    ],
)
def test_each_way_to_a_pickle_is_noticed(source: str) -> None:
    assert list(pickles_in(source))


def test_what_opens_no_pickle_is_let_be() -> None:
    assert list(pickles_in("import json\njson.load(f)\nnp.load(f, allow_pickle=False)")) == []
