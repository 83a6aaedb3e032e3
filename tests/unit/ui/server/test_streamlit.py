"""Streamlit's own parts that the gate, uploads and visitors lean on, and the versions that they were tested with."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import streamlit as st
from packaging.requirements import Requirement
from packaging.version import Version
from streamlit import runtime
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

ROOT = Path(__file__).resolve().parents[4]
PINNED = next(
    requirement
    for requirement in map(
        Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    )
    if requirement.name == "streamlit"
)
TRY = (
    "Try tests/unit/ui/server, tests/integration/ui and tests/browser with it, mend ui/server/upload_gate.py and "
    "ui/page/visitors.py where they need it, and only then let pyproject.toml admit it."
)


def refusal(installed: str) -> str:
    """What is to be said of this version of Streamlit; "" where its private parts were tested."""
    if PINNED.specifier.contains(installed):
        return ""
    return f"Streamlit {installed} is installed, whose private parts were never tested ({PINNED} were). {TRY}"


def test_the_version_is_one_that_was_tested() -> None:
    assert not refusal(version("streamlit"))
    assert refusal("99.0").startswith("Streamlit 99.0 is installed")


def test_no_minor_version_above_the_locked_one_is_admitted() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    highest = Version(re.search(r"^streamlit==([^ ]+)", lock, re.MULTILINE)[1])  # type: ignore[index]
    assert PINNED.specifier.contains(str(highest))
    assert not PINNED.specifier.contains(f"{highest.major}.{highest.minor + 1}.0"), (
        "a later minor version is admitted"
    )


def stored() -> dict[str, dict[str, UploadedFileRec]]:
    """The store's inside after one upload of three bytes."""
    store = MemoryUploadedFileManager("/_stcore/upload_file/")
    store.add_file("session", UploadedFileRec("file", "a.txt", "text/plain", b"abc"))
    return store.file_storage


def freed(free: Callable[[MemoryUploadedFileManager], None]) -> bool:
    """Whether a store is empty after its only file was freed in this way."""
    store = MemoryUploadedFileManager("/_stcore/upload_file/")
    store.add_file("session", UploadedFileRec("file", "a.txt", "text/plain", b"abc"))
    free(store)
    return not any(store.file_storage.values())


# What is leant on, and whether it is as it was. The gate counts what the store holds, by session and file.
PARTS: dict[str, Callable[[], bool]] = {
    "runtime.exists() says that no server runs here": lambda: runtime.exists() is False,
    "runtime.get_instance() gives the running server": lambda: callable(runtime.get_instance),
    "Runtime.uploaded_file_mgr is the store of uploads": lambda: isinstance(Runtime.uploaded_file_mgr, property),
    "Runtime.is_active_session(session_id) says whether a tab is connected": lambda: (
        list(inspect.signature(Runtime.is_active_session).parameters) == ["self", "session_id"]
    ),
    "the store's file_storage is {session: {file: record with data}}": lambda: (
        stored()["session"]["file"].data == b"abc"
    ),
    "remove_session_files frees what a session holds": lambda: freed(lambda own: own.remove_session_files("session")),
    "remove_file frees one file": lambda: freed(lambda store: store.remove_file("session", "file")),
    "get_script_run_ctx() gives nothing outside of a script": lambda: (
        get_script_run_ctx(suppress_warning=True) is None
    ),
    "ScriptRunContext has session_id and uploaded_file_mgr": lambda: (
        {"session_id", "uploaded_file_mgr"} <= set(ScriptRunContext.__dataclass_fields__)
    ),
    "UploadedFile has file_id": lambda: "file_id" in inspect.getsource(UploadedFile),
    "st.App takes a script, middleware and lifespan": lambda: (
        {"middleware", "lifespan"} <= set(inspect.signature(st.App).parameters)
    ),
    "static/index.html has scripts of its own, which the policy names by their hashes": lambda: bool(
        re.search(r"<script>.+?</script>", (Path(st.__file__).parent / "static" / "index.html").read_text(), re.DOTALL)
    ),
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_private_part_is_as_it_was(part: str) -> None:
    try:
        same = PARTS[part]()
    except (AttributeError, KeyError, TypeError) as error:
        pytest.fail(f"Streamlit {version('streamlit')}: no longer so that {part} ({error}). {TRY}")
    assert same, f"Streamlit {version('streamlit')}: no longer so that {part}. {TRY}"
