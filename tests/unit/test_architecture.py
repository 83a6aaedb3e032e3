"""The one law of the house: imports go one way only, from stage to stage, folder to folder and file to file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["ingest", "retrieval", "rerank", "ui"]  # each may import itself and what stands before it
# Nothing imports what stands to its right, stage by stage. A name is a folder of the stage or a file directly in it;
# FILES are those of the latter that have no name here, and ALL is everything else.
ORDER = {
    "ingest": [
        "errors < services < records < chunker, readers",
        "services < models < encoders",
        "models < library < stores",
        "ALL < intake < pipeline, rebuild",
    ],
    "rerank": [
        "scorers < engines < FILES < judged < labels, evaluation < calibration < training",
        "FILES < answers",
    ],
    "ui": ["settings, presentation < files < jobs < page", "server < page, api, command_line"],
}
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
    above = set(LAYERS[LAYERS.index(layer) + 1 :]) | {"app", "secondlook", "tests"}
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


def made_in(tree: ast.Module) -> set[str]:
    """The names that a module makes itself, at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def test_a_name_is_imported_from_where_it_is_made() -> None:
    """A module that hands on what others made hides where to look for it; `secondlook` alone is such a door."""
    trees = {
        module_name(path): ast.parse(path.read_text(encoding="utf-8"))
        for layer in LAYERS
        for path in sources(layer)
    }
    made = {name: made_in(tree) for name, tree in trees.items()}
    assert "resolve_encoder" in made["ingest.models.resolve"]
    handed_on = {
        (name, f"{node.module}.{alias.name}")
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in trees
        for alias in node.names
        if alias.name not in made[node.module] and f"{node.module}.{alias.name}" not in trees
    }
    assert handed_on == set()


def place(path: Path) -> str:
    """Where a file belongs: its folder, or itself where it lies directly in its stage."""
    folder = ".".join(path.relative_to(ROOT).parent.parts)
    return folder if "." in folder else module_name(path)


def places_imported() -> dict[str, set[str]]:
    """Which places each place imports, wherever in its files."""
    files = {module_name(path): path for layer in LAYERS for path in sources(layer)}
    imports: dict[str, set[str]] = {}
    for path in files.values():
        imported = modules_imported(ast.parse(path.read_text(encoding="utf-8")), set(files))
        imports.setdefault(place(path), set()).update(place(files[name]) for name in imported)
    return {name: those - {name} for name, those in imports.items()}


def reached(graph: Mapping[str, Set[str]]) -> dict[str, set[str]]:
    """What each name leads to, by however many steps."""
    ways = {name: set(those) for name, those in graph.items()}
    for middle in graph:  # Warshall
        for name in [name for name, those in ways.items() if middle in those]:
            ways[name] |= ways[middle]
    return ways


def higher(order: Sequence[str]) -> dict[str, set[str]]:
    """What stands above each name."""
    above: dict[str, set[str]] = {}
    for line in order:
        tiers = [tier.split(", ") for tier in line.split(" < ")]
        for number, tier in enumerate(tiers):
            for name in tier:
                above.setdefault(name, set()).update(*tiers[number + 1 :])
    return reached(above)


def goes_up(importer: str, imported: str) -> bool:
    """Whether the order of their stage forbids it; of different stages, another test says so."""
    (stage, *one), (other, *two) = importer.split("."), imported.split(".")
    if stage != other or stage not in ORDER or not one or not two:
        return False
    above = higher(ORDER[stage])
    known = set(above)

    def names(place: list[str]) -> set[str]:
        file = {"FILES"} if len(place) == 1 and not (ROOT / stage / place[0]).is_dir() else set()
        return ({place[0]} & known or file) | ({"ALL"} if place[0] not in above.get("ALL", ()) else set())

    return any(to in above.get(of, ()) for of in names(one) for to in names(two))


def against_the_law(imports: Mapping[str, Set[str]]) -> set[tuple[str, str]]:
    """Imports that go up, and those that lead back to where they began."""
    ways = reached(imports)
    edges = {(of, to) for of, those in imports.items() for to in those}
    return {(of, to) for of, to in edges if goes_up(of, to) or of in ways.get(to, ())}


def test_imports_go_one_way_by_folder() -> None:
    assert against_the_law(places_imported()) == set()


def test_the_order_of_folders_is_read_as_it_is_meant() -> None:
    assert higher(["a < b, c < d", "d < e"])["a"] == {"b", "c", "d", "e"}
    assert goes_up("ingest.services.client", "ingest.library.library.health")
    assert goes_up("ingest.readers", "ingest.pipeline")
    assert goes_up("rerank.scorers", "rerank.search")
    assert goes_up("rerank.search", "rerank.evaluation")
    assert not goes_up("rerank.evaluation", "rerank.search")
    assert not goes_up("ingest.pipeline", "ingest.readers")
    assert against_the_law({"ui.x": {"ui.y"}, "ui.y": {"ui.x"}, "ui.z": {"ui.x"}}) == {
        ("ui.x", "ui.y"), ("ui.y", "ui.x"),
    }  # fmt: skip


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
            assert not reads or path.name in {"settings.py", "serve.py"}, f"{path} reads the environment"


# What ui/presentation may import beside our own records: nothing that knows a file, a clock, the machine or a server.
PURE = {
    "__future__", "collections", "dataclasses", "enum", "functools", "html", "itertools", "math", "operator", "re",
    "string", "textwrap", "typing", "unicodedata",
}  # fmt: skip
# Ours that hold a library, a model, a service or a file behind their names.
HANDLES = {"Labels", "Library", "Snapshot", "Searcher", "Retriever", "Settings"}


def impurities(source: str) -> set[str]:
    """What in a module's text makes its results depend on more than its arguments."""
    tree, impure = ast.parse(source), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            impure |= {alias.name for alias in node.names if alias.name.partition(".")[0] not in PURE}
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] not in PURE | set(LAYERS):
                impure.add(node.module or "")
            impure |= {alias.name for alias in node.names} & HANDLES
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            impure |= {node.func.id} & {"open", "print", "input", "eval", "exec", "__import__"}
    return impure


def test_words_and_pictures_come_of_their_arguments_alone() -> None:
    impure = {
        path.name: impurities(path.read_text("utf-8"))
        for path in (ROOT / "ui" / "presentation").rglob("*.py")
    }
    assert len(impure) > 10
    assert {name: names for name, names in impure.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import streamlit as st", "from pathlib import Path", "import time", "from datetime import datetime",
        "import os", "import shutil", "from streamlit import runtime",
        "from ingest.library.labels import Labels", "open('a')",
    ],
)  # fmt: skip
def test_what_is_not_pure_is_noticed(source: str) -> None:
    assert impurities(source)


# What people type, set or press. A face says it; a stage below says what helps, as a `Remedy`.
TOLD = re.compile(
    r"\bsecondlook [a-z]+|\bpip install\b|\bmake (install|run|test|clean)\b|\bpython -m\b"  # commands
    r"|(?<![\w-])--[a-z][a-z-]+"  # flags
    r"|\bSECONDLOOK_\w*|\b[A-Z0-9]+_(API_KEY|URL|PROXY|OFFLINE)\b|\bStreamlit's secrets\b"  # variables
    r"|\b[Bb]uttons?\b|\b(press|click)(es|ed)?\b"
)
# Variables of the libraries that read them, and an element of HTML.
ALLOWED = {"HF_HUB_OFFLINE", "HTTPS_PROXY", "ALL_PROXY", "DISABLE_TELEMETRY", "button"}


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text in a file, docstrings included, with its line; of an f-string what is not computed."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        yield from () if isinstance(node, ast.JoinedStr) else literals(node)


def told(tree: ast.AST) -> list[tuple[int, str]]:
    """What the texts of a file tell anybody to type, set or press, with its line."""
    return [
        (line, match.group())
        for line, text in literals(tree)
        for match in TOLD.finditer(text)
        if match.group() not in ALLOWED
    ]


@pytest.mark.parametrize("layer", LAYERS[:-1])
def test_nothing_below_the_faces_tells_anyone_what_to_type_or_click(layer: str) -> None:
    for path in sources(layer):
        assert not told(ast.parse(path.read_text(encoding="utf-8"))), path.relative_to(ROOT)


def test_what_is_told_is_found() -> None:
    source = '''
def f(folder):
    """As `secondlook train` writes it."""
    raise E(
        f"Make one with: secondlook "
        f"ingest {folder} " "or name another with --library, or with SECONDLOOK_LIBRARY."
    )
'''
    assert [what for _, what in told(ast.parse(source))] == [
        "secondlook train", "secondlook ingest", "--library", "SECONDLOOK_LIBRARY",
    ]  # fmt: skip


def test_there_is_no_drawer_for_everything() -> None:
    for layer in LAYERS:
        assert not [
            path for path in sources(layer) if path.stem in FORBIDDEN or path.parent.name in FORBIDDEN
        ]


MOST_ARGUMENTS = 6


def long_calls(tree: ast.AST) -> list[int]:
    """Lines of calls with more arguments by place alone than anybody counts; logging's fill a sentence."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and sum(not isinstance(argument, ast.Starred) for argument in node.args) > MOST_ARGUMENTS
        and not ast.unparse(node.func).startswith("logger.")
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_no_call_has_more_arguments_by_place_than_six(layer: str) -> None:
    for path in sources(layer):
        assert not long_calls(ast.parse(path.read_text(encoding="utf-8"))), path.relative_to(ROOT)


def test_a_long_call_is_noticed() -> None:
    assert long_calls(ast.parse("f(1, 2, 3, 4, 5, 6)\n\ng(1, 2, 3, 4, 5, 6, 7)")) == [3]
