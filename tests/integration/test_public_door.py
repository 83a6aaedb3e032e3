"""`import secondlook`: what it offers, that it is quick, and that README's example runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import secondlook

ROOT = Path(__file__).resolve().parents[2]


def test_all_is_sorted_and_whole() -> None:
    assert secondlook.__all__ == sorted(secondlook.__all__)
    assert set(secondlook.__all__) == {*secondlook._PLACES, "default_encoder"}
    for name in secondlook.__all__:
        assert getattr(secondlook, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        secondlook.nothing  # noqa: B018 - what is tested is that asking for it fails


def test_importing_it_imports_none_of_the_stages() -> None:
    heavy = "{'numpy', 'faiss', 'torch', 'ingest', 'retrieval', 'rerank', 'ui'}"
    code = f"import sys, secondlook; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "reports").mkdir()
    for name in ("office-lease-ending-the-term.docx", "the-cricket-square.txt"):
        shutil.copy(ROOT / "data" / "sample" / "documents" / name, tmp_path / "reports")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("1 ")
    assert "lease" in first.lower()
