"""A calibration on disk: one JSON file in a library's folder, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ingest.errors import LibraryError
from ingest.library import Manifest
from rerank.calibration.curves import Curve, Logistic, Steps
from rerank.calibration.methods import Method
from rerank.calibration.quality import Bin, Quality
from rerank.calibration.records import Calibration, Evidence, FittedFor
from rerank.calibration.thresholds import Accuracy, Separation, Threshold
from rerank.records import Models
from retrieval.records import CandidateSource

FILE = "calibration.json"
# Raise it when the form of the file changes, so that an older one is fitted anew instead of misread.
FORMAT = 1
# The SHA-256 of the file's text in which these noughts stand in its place. Files from before there was one have none.
SEAL, UNSEALED = "sha256", "0" * 64
AGAIN = "Scores are shown uncalibrated; fit it again with: secondlook calibrate"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The calibration to use, or ``None`` with a sentence saying why one that is there is not used."""

    calibration: Calibration | None
    notice: str = ""


def save(path: Path, calibration: Calibration) -> None:
    """Write the calibration to ``path``, in place of what was there. Raises `LibraryError` where it cannot be."""
    text = json.dumps(
        {"format": FORMAT, SEAL: UNSEALED, **asdict(calibration)},
        ensure_ascii=False,
        indent=1,
        allow_nan=False,
    )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".calibration-") as folder:
            temporary = Path(folder) / path.name
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
            raise LibraryError(
                f"The calibration {path} has the form {stored['format']}; this version reads {FORMAT}."
            )
        _verify(text, stored)
        return _calibration(stored)
    except OSError as error:
        raise LibraryError(f"The calibration {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(f"The calibration {path} is damaged ({type(error).__name__}: {error}).") from error


def load_for(folder: Path, models: Models, library: Manifest) -> Loaded:
    """The calibration of the library in ``folder``, if there is one and it holds for these models.

    Never raises for a file that is damaged or void: searching goes on without it, and the notice says why.
    """
    path = folder / FILE
    if models.reranker is None or not path.is_file():
        return Loaded(None)
    try:
        found = load(path)
    except LibraryError as error:
        return Loaded(None, f"{error} {AGAIN}")
    changed = found.fitted_for.why_not(FittedFor.of(models.reranker.spec, library))
    if changed:
        return Loaded(None, f"The calibration of this library is void: {changed}. {AGAIN}")
    return Loaded(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _verify(text: str, stored: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless the checksum agrees, or there is none and no field that could have been its name."""
    unknown = stored.keys() - {field.name for field in fields(Calibration)} - {"format", SEAL}
    if unknown:
        raise ValueError(f"it has a field {min(unknown)}")
    if SEAL in stored and _digest(text.replace(str(stored[SEAL]), UNSEALED, 1)) != stored[SEAL]:
        raise ValueError("its checksum does not agree")


def _calibration(stored: Mapping[str, Any]) -> Calibration:
    plain = ("made", "labels", "relevant", "queries", "wanted_precision", "answers_from")
    return Calibration(
        method=Method(stored["method"]),
        curve=_curve(stored["curve"]),
        fitted_for=FittedFor(
            **{**stored["fitted_for"], "library": Manifest(**stored["fitted_for"]["library"])}
        ),
        evidence=_evidence(stored["evidence"]),
        separation=Separation(**stored["separation"]),
        best=_threshold(stored["best"]),
        precise=_threshold(stored["precise"]),
        notices=tuple(stored["notices"]),
        # A file from before this was kept: candidates were the nearest vectors then.
        candidates_from=CandidateSource(stored.get("candidates_from", CandidateSource.VECTORS)),
        **{name: stored[name] for name in plain},
    )


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
