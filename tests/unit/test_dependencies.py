"""Every package is declared, explained, and locked with the hashes of its files."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = [
    requirement
    for texts in PROJECT["optional-dependencies"].values()
    for requirement in map(Requirement, texts)
    if requirement.name != PROJECT["name"]
]
ENTRY = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>[^ ]+)(?: ; (?P<marker>.+))?")


def locked(name: str) -> dict[str, list[tuple[str, int]]]:
    """The packages of a lock: versions, each with the number of its hashes."""
    found: dict[str, list[tuple[str, int]]] = {}
    text = (ROOT / name).read_text(encoding="utf-8").replace(" \\\n    --hash", " --hash")
    for line in filter(None, re.sub(r"^#.*$", "", text, flags=re.MULTILINE).splitlines()):
        requirement, *hashes = line.split(" --hash=sha256:")
        entry = ENTRY.fullmatch(requirement.strip())
        assert entry, f"{name}: {line[:80]}"
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest.strip()) for digest in hashes), line[:80]
        found.setdefault(entry["name"], []).append((entry["version"], len(hashes)))
    return found


@pytest.mark.parametrize("requirement", [*DIRECT, *EXTRAS], ids=str)
def test_it_is_locked_and_explained(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    versions = locked("requirements.lock").get(name)
    assert versions, f"{name} is not in requirements.lock; run make lock"
    for version, _ in versions:
        assert requirement.specifier.contains(version), (
            f"{name} {version} is locked, {requirement} is asked for"
        )
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").casefold()
    word = re.sub(r"[-_.]", "[-_. ]?", name)
    assert re.search(rf"(?<![\w-]){word}(?![\w-])", decisions), (
        f"docs/decisions.md does not say what {name} is for"
    )


def test_every_file_is_verified_and_cuda_stands_apart() -> None:
    main, cuda = locked("requirements.lock"), locked("requirements-cuda.lock")
    for entries in (main, cuda):
        assert all(count for versions in entries.values() for _, count in versions)
    assert not [name for name in main if name.startswith(("nvidia-", "cuda-")) or name == "triton"]
    assert cuda
    ((version, count),) = locked("requirements-cpu.lock")["torch"]
    assert version == f"{main['torch'][0][0]}+cpu"
    assert count


def test_what_fuzzes_is_verified_too() -> None:
    """One version, its builds for three Pythons; and the Makefile installs nothing without a hash."""
    assert list(locked("requirements-fuzz.lock")) == ["atheris"]
    ((_, count),) = locked("requirements-fuzz.lock")["atheris"]
    assert count == 3
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [
        line
        for line in makefile.splitlines()
        if line.startswith("\t") and ("$(PIP)" in line or "pip install" in line)
    ]
    assert len(installs) == 5
    assert all("--require-hashes" in line or "--editable ." in line for line in installs)


def test_what_is_imported_is_declared() -> None:
    """A package that comes along with another one may go with it, too."""
    ours = {"ingest", "retrieval", "rerank", "ui", "app", "tests"}
    declared = {canonicalize_name(requirement.name) for requirement in [*DIRECT, *EXTRAS]}
    known, missing = packages_distributions(), set()
    for layer in ("ingest", "retrieval", "rerank", "ui"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                for module in {name.partition(".")[0] for name in modules} - ours - sys.stdlib_module_names:
                    packages = {canonicalize_name(package) for package in known.get(module, [module])}
                    if not packages & declared:
                        missing.add((module, path.relative_to(ROOT).as_posix()))
    assert not missing
