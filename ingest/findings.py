"""What an examination of a library finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """Which part of a library a finding is about."""

    DATABASE = "database"
    CONTENT = "content"
    VECTORS = "vectors"
    INDEX = "index"
    WORDS = "words"
    LABELS = "labels"
    LATE_INTERACTION = "token vectors"
    CALIBRATION = "calibration"
    LITTER = "litter"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: in which part, and a sentence that says what and what to do."""

    part: Part
    sentence: str
