"""What was chosen to run a model on this machine, as it is noted beside the graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError
from ingest.models.folder.json_files import read_json
from rerank.engines.tuning import Threads

ENGINE_FILE = "engine.json"
# What follows the name of a graph's folder in that of a note that there is none, and how long (seconds) it holds:
# what failed for want of memory may do later.
FAILED, FAILED_FOR = ".failed.json", 86_400
# Seconds until a choice that was made on a busy machine is made again, when somebody searches then.
AGAIN_AFTER = 600


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs a model here, and why.

    ``agreement`` is Kendall's τ against ``reference`` on the calibration passages, ``why`` a sentence, ``threads`` how
    ONNX Runtime runs it; ``machine`` is what it was chosen on (`machine_key`), ``measured`` when (Unix time, seconds).
    """

    name: str
    agreement: float
    reference: str
    why: str
    threads: Threads
    machine: dict[str, str]
    measured: float = 0.0

    @property
    def provisional(self) -> bool:
        """Whether other work kept the machine busy meanwhile, so that the choice is to be made again."""
        return not self.threads.quiet

    def due(self, now: float) -> bool:
        """Whether it is provisional and old enough to be chosen again; ``now`` is Unix time in seconds."""
        return self.provisional and now - self.measured >= AGAIN_AFTER

    def __str__(self) -> str:
        threads = f"{self.threads.count} thread{'s' if self.threads.count > 1 else ''}"
        return (
            f"{self.name} with {threads}, order agreement with {self.reference} "
            f"{self.agreement:.3f}, {self.threads.tokens_per_second:,.0f} tokens/s when it was measured"
            + (", on a busy machine, so that it will be measured again" if self.provisional else "")
        )

    def write(self, folder: Path) -> None:
        """Note it beside its graph."""
        (folder / ENGINE_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Engine | None:
        """What was noted in ``folder``; ``None`` where nothing whole is."""
        noted: dict[str, Any] = dict(read_json(folder / ENGINE_FILE))
        try:
            return cls(**{**noted, "threads": Threads(**noted["threads"])})
        except (KeyError, TypeError):
            return None


def note_failure(folder: Path, machine: Mapping[str, str], why: str, now: float) -> None:
    """Note that no graph could be made for ``folder`` on this ``machine``, so that other processes do not try too."""
    noted = {"machine": machine, "why": why, "at": now}
    with suppress(OSError):  # where nothing can be written, each process finds out for itself
        _failure_file(folder).write_text(json.dumps(noted, indent=1), encoding="utf-8")


def failure_of(folder: Path, machine: Mapping[str, str], now: float) -> str | None:
    """Why no graph could be made for ``folder`` on this ``machine``; ``None`` where none was tried lately."""
    noted = _note(_failure_file(folder))
    try:
        age = now - float(noted["at"])
        return str(noted["why"]) if noted["machine"] == machine and 0 <= age < FAILED_FOR else None
    except (KeyError, TypeError, ValueError):
        return None


def _failure_file(folder: Path) -> Path:
    return folder.with_name(folder.name + FAILED)


def _note(path: Path) -> dict[str, Any]:
    """What a note says; nothing where it is damaged, as it can be made again."""
    try:
        return dict(read_json(path))
    except ModelDamagedError:
        return {}
