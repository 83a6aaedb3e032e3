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
from ingest.notices import Help, Notice, NoticeKind, Remedy
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
    """The calibration to use, or ``None`` with a notice of why one that is there is not used.

    One that is used may have a notice too: on what has changed since.
    """

    calibration: Calibration | None
    notice: Notice | None = None


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
        fields = json.loads(text)
        if fields["format"] != FORMAT:
            if fields["format"] == 1:
                raise LibraryError(f"The calibration {path} {BEFORE}")
            raise LibraryError(
                f"The calibration {path} has the form {fields['format']}; this version reads {FORMAT}."
            )
        _verify(text, fields)
        return _calibration(fields)
    except OSError as error:
        raise LibraryError(f"The calibration {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LibraryError(f"The calibration {path} is damaged ({type(error).__name__}: {error}).") from error


def unusable(why: str, folder: Path) -> Notice:
    """That the calibration of the library in ``folder`` cannot be used, and what helps."""
    text = f"{why} Scores are shown uncalibrated; fit it again."
    return Notice(NoticeKind.CALIBRATION, text, Help(Remedy.CALIBRATE, folder))


def load_for(library: Library, models: Models) -> Loaded:
    """The calibration of the library, if there is one and it holds for these models and for what the library holds.

    Never raises for a file that is damaged or void: searching goes on without it, and the notice says why. One that
    holds comes with a notice where the library has changed much since.
    """
    path = library.folder / FILE
    if models.reranker is None or not path.is_file():
        return Loaded(None)
    try:
        calibration = load(path)
    except LibraryError as error:
        return Loaded(None, unusable(str(error), library.folder))
    now = FittedFor.of(models.reranker.spec, LibraryState.of(library), models.window)
    changed = calibration.fitted_for.why_not(now)
    if changed:
        why = f"The calibration of this library is void: {changed}."
        return Loaded(None, unusable(why, library.folder))
    drift = calibration.fitted_for.drift(now)
    return Loaded(calibration, Notice(NoticeKind.CALIBRATION, drift) if drift else None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _verify(text: str, fields: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless the checksum agrees."""
    seal = str(fields.get(SEAL, UNSEALED))
    if _digest(text.replace(seal, UNSEALED, 1)) != seal:
        raise ValueError("its checksum does not agree")


def _calibration(fields: Mapping[str, Any]) -> Calibration:
    plain = ("made", "labels", "relevant", "queries", "wanted_precision", "answers_from")
    return Calibration(
        method=Method(fields["method"]),
        curve=_curve(fields["curve"]),
        fitted_for=_fitted_for(fields["fitted_for"]),
        evidence=_evidence(fields["evidence"]),
        separation=Separation(**fields["separation"]),
        best=_threshold(fields["best"]),
        precise=_threshold(fields["precise"]),
        notices=tuple(fields["notices"]),
        candidates_from=CandidateSource(fields["candidates_from"]),
        **{name: fields[name] for name in plain},
    )


def _fitted_for(fields: Mapping[str, Any]) -> FittedFor:
    manifest, sketch = fields["library"]["manifest"], fields["library"]["passages"]
    passages = Sketch(sketch["passages"], tuple(sketch["smallest"]))
    return FittedFor(**{**fields, "library": LibraryState(Manifest(**manifest), passages)})


def _curve(fields: Mapping[str, Any]) -> Curve:
    if "scale" in fields:
        return Logistic(**fields)
    return Steps(tuple(fields["logits"]), tuple(fields["probabilities_at"]))


def _evidence(fields: Mapping[str, Any] | None) -> Evidence | None:
    if fields is None:
        return None
    before = fields["before"]
    return Evidence(
        **{
            **fields,
            "before": None if before is None else _quality(before),
            "after": _quality(fields["after"]),
        }
    )


def _quality(fields: Mapping[str, Any]) -> Quality:
    tables = {
        name: tuple(Bin(**row) for row in fields[name]) for name in ("reliability", "reliability_equal_mass")
    }
    return Quality(**{**fields, **tables})


def _threshold(fields: Mapping[str, Any] | None) -> Threshold | None:
    if fields is None:
        return None
    held_out = fields["held_out"]
    return Threshold(
        **{
            **fields,
            "learnt": Accuracy(**fields["learnt"]),
            "held_out": None if held_out is None else Accuracy(**held_out),
        }
    )
