"""A short fuzz of readers, chunker and questions: seeds that are flipped, cut, doubled and joined.

`make fuzz` runs the same targets for as long as is wanted, led by coverage.
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import SHARES
from tests.fuzz.asking import ask
from tests.fuzz.corpus import archive_of, keep, kept
from tests.fuzz.model_folders import FILES, open_folder
from tests.fuzz.mutators import change_package
from tests.fuzz.targets import TARGETS, cut, hear, seeds


@cache
def seeds_of(target: str) -> list[bytes]:
    """What `seeds` gives for it."""
    return list(seeds(target))


def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """``seed`` with one to six places overwritten, taken out, doubled or cut off."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(["overwrite", "remove", "double", "cut", "insert", "number"])):
            case "overwrite":
                data[place : place + length] = draw(st.binary(min_size=length, max_size=length))
            case "remove":
                del data[place : place + length]
            case "double":
                data[place:place] = data[place : place + length] * draw(st.integers(1, 50))
            case "cut":
                del data[max(place, 1) :]
            case "insert":
                data[place:place] = draw(
                    st.sampled_from([b"\x00", b"\xff\xfe", b"<<", b"[", b"obj", b"\xed\xa0\x80"])
                )
            case _:
                data[place : place + 1] = str(draw(st.integers(-(2**33), 2**33))).encode()
    return bytes(data)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from([name for name in TARGETS if name.startswith(".") and seeds_of(name)]))
    return name, changed(draw, draw(st.sampled_from(seeds_of(name))))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_changed_files_are_read_or_refused_in_a_sentence(file: tuple[str, bytes]) -> None:
    name, data = file
    TARGETS[name](data)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=3_000)
    | st.text(max_size=2_000).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_cut_asked_and_heard(data: bytes) -> None:
    cut(data)
    ask(data)
    hear(data)


@settings(max_examples=100, deadline=None)
@example({"key": "k", "text": 3})
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["key", "title", "path", "format", "text", "pages", "headings", "pages_without_text",
                             "source_id", "number", "start", "end", "level"]), inner, max_size=9),
        max_leaves=20,
    )
)  # fmt: skip
def test_any_json_is_a_document_or_told_as_nonsense(value: object) -> None:
    hear(json.dumps(value).encode())


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_changed_model_folders_are_loaded_or_refused_in_a_sentence(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES)).encode()
    settings_of = {seed.partition(b"\n")[0]: seed.partition(b"\n")[2] for seed in seeds_of("model")}
    open_folder(name + b"\n" + changed(data.draw, settings_of.get(name, b'{"a": [1, "b", null]}')))


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_themselves_keep_the_laws(name: str) -> None:
    assert seeds_of(name) or name not in SHARES, "make fuzz has nothing to begin with"
    for seed in seeds_of(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", SHARES)
def test_what_long_fuzzing_kept_keeps_the_laws(name: str) -> None:
    found = list(kept(name))
    assert len(found) > 5, "make fuzz has kept nothing for this target"
    for data in found:
        TARGETS[name](data)


def test_a_changed_word_file_is_still_an_archive_with_one_part_changed() -> None:
    seed = max(seeds_of(".docx"), key=lambda data: len(parts_of(data)))
    packed = [
        change_package(seed, 20_000, number, lambda data, _: data[:-1] + b"\x00") for number in range(20)
    ]
    changed = [
        [name for name, part in parts_of(data).items() if part != parts_of(seed)[name]]
        for data in packed
        if parts_of(data)
    ]
    assert len(changed) >= 15
    assert all(len(names) == 1 for names in changed)
    assert len({names[0] for names in changed}) > 1


def parts_of(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {part.filename: archive.read(part) for part in archive.infolist()}
    except zipfile.BadZipFile:
        return {}


def test_the_kept_corpus_comes_back_and_equal_inputs_make_equal_archives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.corpus.FOLDER", tmp_path)
    assert keep(".txt", [b"two", b"one", b"two"]) == 2
    first = archive_of(".txt").read_bytes()
    assert sorted(kept(".txt")) == [b"one", b"two"]
    keep(".txt", [b"one", b"two"])
    assert archive_of(".txt").read_bytes() == first
