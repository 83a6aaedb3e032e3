from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import DamagedFileError, EmptyFileError, NoTextError, TooLargeError
from ingest.readers.registry import read_documents
from ingest.readers.source import Limits
from ingest.records import Document, Unread
from tests.parts import make_documents as make


def parts(folder: Path, name: str, data: bytes, limits: Limits | None = None) -> list[Document | Unread]:
    path = folder / name
    path.write_bytes(data)
    return list(read_documents(path, name=name, key="k", limits=limits))


def test_the_files_of_an_archive_are_documents_of_their_own(tmp_path):
    archive = {
        "papers/a.md": "# Rules\n\nLocked at ten.", "papers/again.md": "# Rules\n\nLocked at ten.",
        "inner.zip": make.packed({"deep/d.txt": "Deep."}), "__MACOSX/x.txt": "x", "a/.hidden": "x", "empty.txt": "",
        "logo.png": b"\x89PNG\r\n\x1a\n" + bytes(9), "mails.mbox": b"From a\nFrom: a@b\nSubject: S\n\nHello.\n",
        "code/Makefile": "all:\n\tmake",
    }  # fmt: skip
    found = parts(tmp_path, "p.zip", make.packed(archive))
    paths = [
        "p.zip/papers/a.md",
        "p.zip/inner.zip/deep/d.txt",
        "p.zip/logo.png",
        "p.zip/mails.mbox/1.eml",
        "p.zip/code/Makefile",
    ]
    assert [part.path for part in found] == paths
    assert [part.path for part in found if isinstance(part, Unread)] == ["p.zip/logo.png"]
    assert all(
        part.key == f"k{part.path.removeprefix('p.zip')}" for part in found if isinstance(part, Document)
    )


def test_an_archive_without_anything_to_read(tmp_path, refusal):
    picture = make.packed({"a.gif": b"GIF89a" + bytes(9)})
    sentence = refusal(NoTextError, "p.zip", picture)
    assert "holds nothing that can be read. p.zip/a.gif is a GIF picture" in sentence
    refusal(EmptyFileError, "p.zip", make.packed({}))
    refusal(DamagedFileError, "p.zip", make.packed({"a.txt": "a" * 99})[:60])


def test_a_damaged_file_and_one_behind_a_password_cost_only_themselves(tmp_path):
    data = bytearray(make.packed({"a.txt": "The cellar is locked.", "b.txt": "The key hangs at the door."}))
    place = data.index(b"b.txt") + 5
    data[place : place + 6] = bytes(6)
    good, bad = parts(tmp_path, "p.zip", bytes(data))
    assert good.text == "The cellar is locked."
    assert "p.zip/b.txt cannot be unpacked" in bad.reason
    locked = bytearray(make.packed({"a.txt": "The cellar.", "b.txt": "The key."}))
    place = locked.rindex(b"PK\x01\x02")
    locked[place + 8] |= 1
    assert "password" in parts(tmp_path, "p.zip", bytes(locked))[1].reason


def test_archives_within_archives_are_read_to_a_depth(tmp_path):
    data = make.packed({"a.txt": "The end."})
    for _ in range(4):
        data = make.packed({"a.zip": data, "b.txt": "Here."})
    limits = Limits(max_depth=3)
    *deep, here = parts(tmp_path, "p.zip", data, limits)
    assert all("lies deeper within other files" in part.reason for part in deep)
    assert here.text == "Here.", "the same again is left out"


def test_what_unpacks_to_too_much_in_many_steps_is_stopped(refusal):
    inner = make.packed({f"{number}.txt": "word " * 100_000 for number in range(3)})
    data = make.packed({f"{number}.zip": inner + bytes(number) for number in range(40)})
    sentence = refusal(
        TooLargeError, "p.zip", make.packed({f"{n}.txt": f"{n}" for n in range(9)}), Limits(max_members=5)
    )
    assert "holds more files than are read of one, 5" in sentence
    limits = Limits(max_unpacked_bytes=5_000_000)
    assert "5 MB; split it" in refusal(TooLargeError, "p.zip", data, limits)


def test_a_mailbox_is_read_mail_by_mail(tmp_path):
    first = make.mail("One").as_bytes()
    second = (
        make.mail("Two", attachments={"r.txt": b"Rules."})
        .as_bytes()
        .replace(b"\nAmara", b"\n>From here on\nAmara")
    )
    line = b"From a@b Mon Mar  2 10:00:00 2026\n"
    found = parts(tmp_path, "m.mbox", line + first + b"\n" + line + second)
    assert [part.path for part in found] == ["m.mbox/1.eml", "m.mbox/2.eml", "m.mbox/2.eml/r.txt"]
    assert [part.title for part in found] == ["One", "Two", "r"]
    assert "\nFrom here on\n" in found[1].text
    found = parts(
        tmp_path,
        "m.mbox",
        line + first + b"\n" + line + b"x" * 3_000 + b"\n\n" + line + first + b"\n",
        Limits(max_bytes=2_000),
    )
    assert "larger than is read" in found[1].reason


@pytest.mark.parametrize("name", ["m.mbox"])
def test_what_is_no_mailbox(refusal, name):
    assert "does not begin with “From ”" in refusal(DamagedFileError, name, "The cellar.\n")
