"""Where Streamlit reads Markdown, the page gives it only our own words, numbers, and what `literal` has escaped."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.browser.conftest import ROOT

# Widgets whose label, and texts whose body, Streamlit takes for Markdown. `st.text` shows words as they are.
MARKDOWN = {
    "markdown", "write", "caption", "error", "warning", "info", "success", "toast", "title", "header", "subheader",
    "button", "download_button", "form_submit_button", "link_button", "toggle", "checkbox", "radio", "pills",
    "segmented_control", "expander", "popover", "spinner", "status", "text_input", "text_area", "number_input",
    "slider", "selectbox", "multiselect", "file_uploader", "metric", "tabs", "badge", "dialog", "exception",
    "latex", "chat_input",
}  # fmt: skip
KEYWORDS = {"help", "text", "label", "caption", "placeholder", "captions"}
RAW = {
    "html",
    "iframe",
    "table",
    "dataframe",
    "data_editor",
    "graphviz_chart",
    "image",
}  # each use is looked at here
SAFE_CALLS = {"literal", "components.literal", "count_of", "len", "sorted"}

# What is not plainly ours, each looked at once: (file, expression) and why it is safe.
LOOKED_AT = {
    ("page/components.py", "headline"): "a constant of the caller, checked as one below",
    ("page/components.py", "role"): "First look or Second look",
    ("page/evaluate/view.py", "words"): "progress_words: numbers and our own words",
    ("page/evaluate/view.py", "title"): "Fell or Rose",
    ("page/evaluate/view.py", "export.label"): "a constant of ui.files.evaluation",
    ("page/search/calibration.py", "words"): "numbers and our own words",
    ("page/sidebar/settings.py", "words"): "one of two constants",
    ("page/sidebar/settings.py", "label"): "one of two constants",
    ("page/sidebar/library.py", "words"): "numbers and our own words",
    ("page/sidebar/library.py", "formats_in_words()"): "names of formats",
    ("page/sidebar/library.py", "format_size(MOST_BYTES)"): "a constant",
    ("page/search/judging.py", "total"): "a number",
    ("page/screen/page.py", "LOADING"): "a constant",
    ("page/search/answer.py", "orders"): "one of two constants",
    ("page/visitors.py", "label"): "literal, or a constant",
}
LOOKED_AT_RAW = {
    ("page/components.py", "html"): "our style sheet; timings_html escapes (test_uploads.py)",
    ("page/evaluate/view.py", "html"): "our style sheet; table_html escapes (test_evaluation_words.py)",
    ("page/evaluate/view.py", "image"): "frontier_svg escapes, and an image runs no scripts",
    ("page/search/calibration.py", "table"): "names of measures, and numbers",
    ("page/visitors.py", "html"): "a constant",
}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call of a method that the page may make, with its file; what prints to a terminal draws nothing."""
    for path in sorted((ROOT / "ui").rglob("*.py")):
        if "command_line" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path.relative_to(ROOT / "ui").as_posix(), node, node.func.attr


def of_streamlit(node: ast.Call) -> bool:
    """Whether it is called on ``st`` or on one of its containers, and not on a file or a parser."""
    owner = ast.unparse(node.func.value)  # type: ignore[attr-defined]
    return owner not in {"sys.stdout", "sys.stderr", "parser", "handle", "target", "archive", "self._log"}


def unsafe(file: str, node: ast.expr) -> Iterator[str]:
    """The parts of an expression that are not ours for certain."""
    text = ast.unparse(node)
    if isinstance(node, ast.Constant) or (file, text) in LOOKED_AT:
        return
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and not part.format_spec:
                yield from unsafe(file, part.value)
    elif isinstance(node, ast.IfExp):
        yield from unsafe(file, node.body)
        yield from unsafe(file, node.orelse)
    elif isinstance(node, ast.BinOp):
        yield from unsafe(file, node.left)
        yield from unsafe(file, node.right)
    elif not (isinstance(node, ast.Call) and ast.unparse(node.func) in SAFE_CALLS):
        yield text


def test_markdown_is_only_ever_ours() -> None:
    seen, found = 0, []
    for file, node, name in calls():
        if name not in MARKDOWN | {"progress"} or not of_streamlit(node):
            continue
        given = node.args[:1] if name in MARKDOWN else []
        given = [*given, *(word.value for word in node.keywords if word.arg in KEYWORDS)]
        seen += 1
        found += [f"{file}:{node.lineno} {text}" for value in given for text in unsafe(file, value)]
    assert seen > 40, "the test looks in the wrong place"
    assert not found, "not plainly ours, and read as Markdown (use st.text or literal): " + "; ".join(found)


def test_headlines_of_problems_are_constants() -> None:
    for path in sorted((ROOT / "ui").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"problem", "components.problem"}:
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"


def test_what_takes_html_was_looked_at() -> None:
    used = {
        (file, name)
        for file, node, name in calls()
        if name in RAW and ast.unparse(node.func).startswith("st.")
    }
    assert used == set(LOOKED_AT_RAW)
    for file, node, _ in calls():
        allowed = [
            word for word in node.keywords if word.arg in {"unsafe_allow_html", "unsafe_allow_javascript"}
        ]
        assert not allowed, f"{file}:{node.lineno} lets HTML through"


def test_the_component_sets_text_only_as_text() -> None:
    for path in (Path(ROOT) / "ui" / "comparison").glob("*.js"):
        source = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "srcdoc",
        ):
            assert word not in source, f"{path.name} uses {word}"
