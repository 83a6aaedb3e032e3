"""Resident memory of a process over time, and whether it is flat after a warm-up (Linux)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(process: int | str = "self") -> float:
    """What a process holds in memory, in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 1e6


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory in MB after the warm-up, and at the end: medians of a tenth of the samples each."""

    warm: float
    last: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[float], warm_up: float) -> Growth:
        """``samples`` are evenly spread, and the share ``warm_up`` of them comes before the first that counts."""
        first, tenth = int(len(samples) * warm_up), max(len(samples) // 10, 1)
        if first + tenth > len(samples):
            raise ValueError(f"{len(samples)} samples are too few to tell what comes after the warm-up")
        counted = samples[first:]
        return cls(median(counted[:tenth]), median(counted[-tenth:]), max(counted))

    @property
    def share(self) -> float:
        """How much more it is at the end, as a share of what it was when warm."""
        return self.last / self.warm - 1

    def __str__(self) -> str:
        end = f"{self.last:.0f} MB at the end ({self.share:+.1%})"
        return f"{self.warm:.0f} MB when warm, {end}, {self.most:.0f} MB at most"
