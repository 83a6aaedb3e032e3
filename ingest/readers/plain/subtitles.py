"""Subtitles (SubRip, WebVTT): what is said, in paragraphs, each with the time at which it begins."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.errors import DamagedFileError
from ingest.readers.blocks import Blocks
from ingest.readers.encodings import read_decoded
from ingest.readers.source import Source
from ingest.records import Document

_TIMES = re.compile(
    r"\s*(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]*-->[ \t]*(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}"
)
_SPEAKER = re.compile(r"<v(?:\.[\w.]+)?[ \t]+([^<>]{1,80})>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<\d[\d:.]*>|\{\\[^{}]{0,200}\}")
# A silence of so many seconds ends a paragraph, and so does the end of a sentence after so many more.
_SILENCE = 4
_LONGEST_PARAGRAPH = 30
_SENTENCE_END = (".", "!", "?", "…", "。", "！", "？", '."', ".”")


@dataclass(slots=True)
class _Cue:
    """What is shown at once, and from when to when (seconds)."""

    start: int
    end: int
    text: str


def read_subtitles(source: Source) -> Iterator[Document]:
    """Yield the file as one document titled by its name.

    Raises:
        DamagedFileError: no line gives the times of anything.
    """
    cues = _cues(read_decoded(source))
    if not cues:
        raise DamagedFileError(
            f"{source.name} holds no times (00:00:01,000 --> 00:00:04,000), as subtitles have; name it .txt to have it "
            "read as plain text."
        )
    blocks = Blocks(source)
    waiting: list[_Cue] = []
    for cue in cues:
        if waiting and _ends(waiting, cue):
            blocks.add(_paragraph(waiting))
            waiting.clear()
        waiting.append(cue)
    if waiting:
        blocks.add(_paragraph(waiting))
    yield source.document("subtitles", "", blocks.text, blocks=blocks.blocks)


def _cues(text: str) -> list[_Cue]:
    cues: list[_Cue] = []
    cue: _Cue | None = None
    lines = text.split("\n")
    last = ""
    for number, line in enumerate(lines):
        if times := _TIMES.match(line):
            hours, minutes, seconds, *end = (int(part or 0) for part in times.groups())
            cue = _Cue(hours * 3600 + minutes * 60 + seconds, end[0] * 3600 + end[1] * 60 + end[2], "")
            cues.append(cue)
        elif not line.strip():
            if number + 1 < len(lines) and not lines[number + 1].strip():
                continue
            cue = None
        elif cue is not None:
            words = " ".join(html.unescape(_TAG.sub("", line)).split())
            if words and words != last:  # captions that roll up repeat each line
                speaker = _SPEAKER.search(line)
                cue.text = f"{cue.text} {speaker[1] + ': ' if speaker else ''}{words}".strip()
            last = words or last
    return [cue for cue in cues if cue.text]


def _ends(waiting: list[_Cue], following: _Cue) -> bool:
    last = waiting[-1]
    if following.start - last.end >= _SILENCE or following.start < waiting[0].start:
        return True
    return last.end - waiting[0].start >= _LONGEST_PARAGRAPH and last.text.endswith(_SENTENCE_END)


def _paragraph(cues: list[_Cue]) -> str:
    minutes, seconds = divmod(cues[0].start, 60)
    time = f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return f"[{time}] " + " ".join(cue.text for cue in cues)
