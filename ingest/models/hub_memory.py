"""What is remembered of the hub for a while: that it did not answer, or that it does not have a model for us.

In a file of the user's cache folder, so that the next command knows it too; in the process alone where that file
cannot be written.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

REMEMBER_SECONDS = 600.0  # long enough for a session of CLI calls, short enough after plugging in a cable
Notes = dict[str, tuple[float, str]]
_here: dict[Path, Notes] = {}


class HubMemory:
    """Reasons by what they are about, each with its time, in one file."""

    def __init__(self, file: Path) -> None:
        """Nothing is read or written yet."""
        self._file = file

    def reason(self, about: str) -> str | None:
        """What was noted of it within the last minutes; ``None`` where nothing was, or the note is of the future."""
        at, reason = self._notes().get(about, (0.0, ""))
        return reason if reason and 0 <= time.time() - at < REMEMBER_SECONDS else None

    def note(self, about: str, reason: str) -> None:
        """Keep a reason. Where the file cannot be written, this process alone knows it."""
        notes = self._notes() | {about: (time.time(), reason)}
        notes = {
            key: (at, why) for key, (at, why) in notes.items() if abs(time.time() - at) < REMEMBER_SECONDS
        }
        _here[self._file] = notes
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            temporary.write_text(json.dumps(notes), encoding="utf-8")
            temporary.replace(self._file)
        except OSError:
            return  # a read-only home only means that the next process asks again

    def forget(self) -> None:
        """Nothing is known any more."""
        _here.pop(self._file, None)
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            _here[self._file] = {}  # it cannot be removed; what it says holds no longer in this process

    def _notes(self) -> Notes:
        if self._file in _here and not self._file.is_file():
            return _here[self._file]
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(about): (float(at), str(reason)) for about, (at, reason) in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # a lost or damaged note only means asking again
