"""What commands print, made harmless: a terminal obeys control characters, and documents and their names may hold some.

A title may be set, the screen wiped, a line forged, or what stands in it turned about by them. They are written as
JSON writes them (``\\u001b``), so that JSON that is printed means the same; so is what the output's encoding has no
sign for, which would end the command.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

# Unicode's characters of direction (UAX 9): text after one can read as its opposite, a name as another's.
DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# All of Unicode's control characters but the ends of lines and the tabs that commands print themselves.
CONTROLS = {
    code: f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *DIRECTIONS)
    if chr(code) not in "\t\n"
}
# Bars of progress begin their line anew.
CONTROLS_BUT_RETURNS = {code: text for code, text in CONTROLS.items() if chr(code) != "\r"}


@contextmanager
def harmless_output() -> Iterator[None]:
    """Whatever is printed inside reaches the terminal without control characters."""
    out, err = _Harmless(sys.stdout, CONTROLS), _Harmless(sys.stderr, CONTROLS_BUT_RETURNS)
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, err)):
        yield


def one_line(name: str) -> str:
    """A name with its ends of lines written out, so that it cannot stand for several lines."""
    return name.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "\t\n"})


class _Harmless:
    """A stream that writes control characters out, and is the stream it stands for in all else."""

    def __init__(self, stream: TextIO, controls: dict[int, str]) -> None:
        self._stream, self._controls = stream, controls

    def write(self, text: str) -> int:
        written = text.translate(self._controls)
        try:
            self._stream.write(written)
        except UnicodeEncodeError:
            self._stream.write(_encodable(written, self._stream.encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _encodable(text: str, encoding: str) -> str:
    """The text with what the encoding lacks as JSON escapes it: by UTF-16, as which a surrogate stands for itself."""

    def escaped(sign: str) -> str:
        try:
            sign.encode(encoding)
        except UnicodeEncodeError:
            units = memoryview(sign.encode("utf-16-le", "surrogatepass")).cast("H")
            return "".join(f"\\u{unit:04x}" for unit in units)
        return sign

    return "".join(map(escaped, text))


def print_json(value: Mapping[str, Any] | Sequence[Any], *, in_one_line: bool = False) -> None:
    """Print ``value`` to stdout as JSON, as every command with ``--json`` does; a line each where more may follow."""
    print(json.dumps(value, ensure_ascii=False, indent=None if in_one_line else 2), flush=True)
