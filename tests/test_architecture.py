"""The one law of the house: imports go one way only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["ingest", "retrieval", "rerank", "ui"]  # each may import itself and what stands before it
FORBIDDEN = {"core", "common", "utils", "helpers"}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            names.add((node.module or "").split(".")[0])
    return names


def sources(layer: str) -> list[Path]:
    found = sorted((ROOT / layer).rglob("*.py"))
    assert found, f"{layer} holds no files: the test looks in the wrong place"
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"app", "tests"}
    for path in sources(layer):
        assert not imported(path) & above, f"{path.relative_to(ROOT)} imports from above itself"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_imported(tree: ast.AST, known: Set[str]) -> Iterator[str]:
    """Our modules that a file imports, wherever in it, functions included; but not what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:  # a module of that package, or what the package itself holds
                one = f"{node.module}.{alias.name}"
                yield from {one if one in known else str(node.module)} & known
        else:
            yield from modules_imported(node, known)


def rings(imports: Mapping[str, Set[str]]) -> set[str]:
    """What is left when, again and again, modules that import none of those that are left are taken away."""
    left = {name: set(those) - {name} for name, those in imports.items()}
    while done := {name for name, those in left.items() if not those & set(left)}:
        left = {name: those for name, those in left.items() if name not in done}
    return set(left)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not lazily either: what needs a ring of imports is one thing in several files."""
    files = {module_name(path): path for layer in LAYERS for path in sources(layer)}
    imports = {
        name: set(modules_imported(ast.parse(path.read_text(encoding="utf-8")), set(files)))
        for name, path in files.items()
    }
    assert not rings(imports)
    assert rings({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {"a", "b", "c", "d"}


def test_app_imports_only_the_page() -> None:
    assert imported(ROOT / "app.py") <= {"__future__", "streamlit", "ui"}
    assert len((ROOT / "app.py").read_text().splitlines()) <= 15


def test_only_the_ui_knows_streamlit_and_only_settings_reads_the_environment() -> None:
    for layer in LAYERS:
        for path in sources(layer):
            text = path.read_text(encoding="utf-8")
            assert layer == "ui" or "streamlit" not in imported(path), path
            told = text.replace("os.environ.setdefault(", "")  # said to a library, not read
            reads = "os.environ" in told or "getenv" in told
            assert not reads or path.name in {"settings.py", "commands.py"}, f"{path} reads the environment"


def test_the_view_model_never_imports_streamlit() -> None:
    assert "streamlit" not in imported(ROOT / "ui" / "view_model.py")


def test_there_is_no_drawer_for_everything() -> None:
    for layer in LAYERS:
        assert not [
            path for path in sources(layer) if path.stem in FORBIDDEN or path.parent.name in FORBIDDEN
        ]
