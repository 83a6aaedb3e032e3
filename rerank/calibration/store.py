"""A calibration on disk: one JSON file in a library's folder, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.errors import LibraryError
from ingest.library.library import Library, Manifest
from ingest.library.snapshot import Sketch
from ingest.notices import Help, Message, Remedy
from ingest.workspace import CALIBRATING, Workspace
from rerank.calibration.curves import Curve, Logistic, Steps
from rerank.calibration.methods import Method
from rerank.calibration.quality import Bin, Quality
from rerank.calibration.records import Calibration, Evidence, FittedFor, LibraryState
from rerank.calibration.thresholds import Accuracy, Separation, Threshold
from rerank.records import Models
from retrieval.records import CandidateSource

FILE = "calibration.json"
# Raise it when the form of the file changes, so that an older one is fitted anew instead of misread.
FORMAT = 2
BEFORE = (
    "was fitted by an earlier version, which did not keep how much of a passage was read and what the library held, so "
    "that nobody can tell whether it still holds. It is left as it is until another one is fitted."
)
# The SHA-256 of the file's text in which these noughts stand in its place.
SEAL, UNSEALED = "sha256", "0" * 64


@dataclass(frozen=True, slots=True)
class Loaded:
    """The calibration to use, or ``None`` with a message saying why one that is there is not used.

    One that is used may have a notice too: on what has changed since.
    """

    calibration: Calibration | None
    notice: Message | None = None


def save(path: Path, calibration: Calibration) -> None:
    """Write the calibration to ``path``, in place of what was there. Raises `LibraryError` where it cannot be."""
    text = json.dumps(
        {"format": FORMAT, SEAL: UNSEALED, **asdict(calibration)},
        ensure_ascii=False,
        indent=1,
        allow_nan=False,
    )
    try:
        with Workspace(path.parent, CALIBRATING) as aside:
            temporary = aside / path.name
            with temporary.open("w", encoding="utf-8", newline="\n") as handle:
                handle.write(text.replace(UNSEALED, _digest(text + "\n"), 1) + "\n")
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    except OSError as error:
        raise LibraryError(
            f"The calibration cannot be written to {path}: {error.strerror}. Free the folder, or make it writable."
        ) from error


def load(path: Path) -> Calibration:
    """The calibration in ``path``. Raises `LibraryError` where it cannot be read, or was made by another version."""
    try:
        text = path.read_bytes().decode()
        stored = json.loads(text)
        if stored["format"] != FORMAT:
            if stored["format"] == 1:
                raise LibraryError(f"The calibration {path} {BEFORE}")
            raise LibraryError(
                f"The calibration {path} has the form {stored['format']}; this version reads {FORMAT}."
            )
        _verify(text, stored)
        return _calibration(stored)
    except OSError as error:
        raise LibraryError(f"The calibration {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(f"The calibration {path} is damaged ({type(error).__name__}: {error}).") from error


def unused(why: str, folder: Path) -> Message:
    """That the calibration of the library in ``folder`` is not used, and what to do about it."""
    help = Help(Remedy.CALIBRATE, folder)
    return Message(f"{why} Scores are shown uncalibrated; fit it again.", help)


def load_for(library: Library, models: Models) -> Loaded:
    """The calibration of the library, if there is one and it holds for these models and for what the library holds.

    Never raises for a file that is damaged or void: searching goes on without it, and the notice says why. One that
    holds comes with a notice where the library has changed much since.
    """
    path = library.folder / FILE
    if models.reranker is None or not path.is_file():
        return Loaded(None)
    try:
        found = load(path)
    except LibraryError as error:
        return Loaded(None, unused(str(error), library.folder))
    now = FittedFor.of(models.reranker.spec, LibraryState.of(library), models.window)
    changed = found.fitted_for.why_not(now)
    if changed:
        return Loaded(None, unused(f"The calibration of this library is void: {changed}.", library.folder))
    drift = found.fitted_for.drift(now)
    return Loaded(found, Message(drift) if drift else None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _verify(text: str, stored: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless the checksum agrees."""
    seal = str(stored.get(SEAL, UNSEALED))
    if _digest(text.replace(seal, UNSEALED, 1)) != seal:
        raise ValueError("its checksum does not agree")


def _calibration(stored: Mapping[str, Any]) -> Calibration:
    plain = ("made", "labels", "relevant", "queries", "wanted_precision", "answers_from")
    return Calibration(
        method=Method(stored["method"]),
        curve=_curve(stored["curve"]),
        fitted_for=_fitted_for(stored["fitted_for"]),
        evidence=_evidence(stored["evidence"]),
        separation=Separation(**stored["separation"]),
        best=_threshold(stored["best"]),
        precise=_threshold(stored["precise"]),
        notices=tuple(stored["notices"]),
        candidates_from=CandidateSource(stored["candidates_from"]),
        **{name: stored[name] for name in plain},
    )


def _fitted_for(stored: Mapping[str, Any]) -> FittedFor:
    made, held = stored["library"]["manifest"], stored["library"]["passages"]
    passages = Sketch(held["passages"], tuple(held["smallest"]))
    return FittedFor(**{**stored, "library": LibraryState(Manifest(**made), passages)})


def _curve(stored: Mapping[str, Any]) -> Curve:
    if "scale" in stored:
        return Logistic(**stored)
    return Steps(tuple(stored["logits"]), tuple(stored["probabilities_at"]))


def _evidence(stored: Mapping[str, Any] | None) -> Evidence | None:
    if stored is None:
        return None
    before = stored["before"]
    return Evidence(
        **{
            **stored,
            "before": None if before is None else _quality(before),
            "after": _quality(stored["after"]),
        }
    )


def _quality(stored: Mapping[str, Any]) -> Quality:
    tables = {
        name: tuple(Bin(**row) for row in stored[name]) for name in ("reliability", "reliability_equal_mass")
    }
    return Quality(**{**stored, **tables})


def _threshold(stored: Mapping[str, Any] | None) -> Threshold | None:
    if stored is None:
        return None
    held_out = stored["held_out"]
    return Threshold(
        **{
            **stored,
            "learnt": Accuracy(**stored["learnt"]),
            "held_out": None if held_out is None else Accuracy(**held_out),
        }
    )
