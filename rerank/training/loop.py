"""The training loop: steps, checkpoints, validation; stopped at any step and taken up again as the same run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder
from torch import Tensor, nn

from ingest.errors import UsageError
from ingest.notices import Help, Remedy
from rerank.training.checkpoint import (
    below,
    flat_optimiser,
    load_optimiser,
    read_checkpoint,
    under,
    write_checkpoint,
)
from rerank.training.evaluate import Case, Measurement, measure
from rerank.training.model import has_fast_bfloat16, prepare, score_pairs
from rerank.training.sampling import Group, Sampler

STATE, BEST, OLD_STATE = "state.safetensors", "best.safetensors", "state.pt"
HEAD_RATE_FACTOR = 10.0  # the head's new layers start from nothing, the transformer from a good place


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates rise over ``warmup`` steps, hold, and fall to zero over the last ``decay`` share.

    ``average`` is the decay of the running mean of the weights, which is what is validated and kept.
    ``bi_weight`` times the bi-encoder's cosine is added to the logits in the softmax, so that the model learns
    what the bi-encoder does not know; ``head_factor`` times the rate is the head's.
    """

    steps: int = 2000
    rate: float = 5e-5
    warmup: int = 100
    decay: float = 0.25
    average: float = 0.995
    max_length: int = 320
    validate_every: int = 500
    checkpoint_every: int = 100
    bi_weight: float = 0.0
    head_factor: float = HEAD_RATE_FACTOR

    def factor(self, step: int) -> float:
        """Share of the full rate at ``step`` (from 0)."""
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return min(1.0, (step + 1) / max(1, self.warmup), max(0.0, left))


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of training: ``loss`` is a running mean (``None`` before the
    first step), ``seconds_left`` an estimate from this session."""

    step: int
    steps: int
    loss: float | None
    pairs_per_second: float
    seconds_left: float
    measured: Measurement | None = None


class Trainer:
    """Trains ``model`` on what ``sampler`` deals; everything to go on with lies in ``folder``."""

    def __init__(
        self, model: CrossEncoder, sampler: Sampler, cases: Sequence[Case], schedule: Schedule, folder: Path
    ) -> None:
        """Take up the run in ``folder`` where there is one (it must be of the same seed and data)."""
        self._model, self._sampler, self._cases = model, sampler, cases
        self._schedule, self._folder = schedule, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._parameters = prepare(model)
        self._optimiser = torch.optim.AdamW(_rate_groups(self._parameters, schedule.rate), weight_decay=0.01)
        self._average = {name: p.detach().clone() for name, p in self._parameters}
        self.step = 0
        self.pairs = 0
        self._loss: float | None = None
        self.history: list[dict[str, Any]] = []
        if (folder / STATE).is_file():
            self._resume()
        elif (folder / OLD_STATE).is_file():
            raise UsageError(
                f"The run in {folder} was begun by an earlier version, which kept it as a pickle; such files are not "
                "read, for safety. Give another one.",
                Help(Remedy.CHOOSE, subject="output"),
            )

    @property
    def training_queries(self) -> int:
        """Queries of an epoch."""
        return len(self._sampler)

    @property
    def best(self) -> dict[str, Any] | None:
        """The validation with the best mixed nDCG@10 so far."""
        return max(self.history, key=lambda row: float(row["mixed"]["mean"]), default=None)

    def run(self, stopped: Callable[[], bool], report: Callable[[Progress], None]) -> bool:
        """Train to the end, or until ``stopped()``; returns whether the end was reached. Saved either way."""
        if not self.history:
            self._validate(report)
        begun, first, before = time.monotonic(), self.step, self.pairs
        while self.step < self._schedule.steps and not stopped():
            groups = self._sampler.step(self.step)
            loss = self._learn(groups)
            self._loss = loss if self._loss is None else 0.98 * self._loss + 0.02 * loss
            self.step += 1
            self.pairs += sum(len(group.passages) for group in groups)
            spent = time.monotonic() - begun
            left = (self._schedule.steps - self.step) * spent / (self.step - first)
            report(Progress(self.step, self._schedule.steps, self._loss, (self.pairs - before) / spent, left))
            if self.step % self._schedule.validate_every == 0:
                self._validate(report)
            if self.step % self._schedule.checkpoint_every == 0:
                self.save()
        ended = self.step >= self._schedule.steps
        if ended and self.history[-1]["step"] != self.step:
            self._validate(report)
        self.save()
        return ended

    def _learn(self, groups: Sequence[Group]) -> float:
        """One step of the listwise softmax over each group; returns the mean loss."""
        paces = (1.0, self._schedule.head_factor)
        for pace, group in zip(paces, self._optimiser.param_groups, strict=True):
            group["lr"] = pace * self._schedule.rate * self._schedule.factor(self.step)
        pairs = [(group.query, passage) for group in groups for passage in group.passages]
        with self._precision():
            logits = score_pairs(self._model, pairs, self._schedule.max_length)
        cosines = [cosine for group in groups for cosine in group.cosines]
        logits = logits + self._schedule.bi_weight * torch.tensor(cosines, device=logits.device)
        sizes = [len(group.passages) for group in groups]
        losses = [torch.logsumexp(row, 0) - row[0] for row in torch.split(logits, sizes)]
        loss = torch.stack(losses).mean()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_([p for _, p in self._parameters], 1.0)
        self._optimiser.step()
        self._update_average()
        return float(loss.detach())

    def _update_average(self) -> None:
        # A young mean follows closely, so that the first validations are not those of the base model.
        decay = min(self._schedule.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self._parameters:
                self._average[name].lerp_(parameter, 1 - decay)

    def _precision(self) -> AbstractContextManager[Any]:
        device = self._model.device.type
        return torch.autocast(device, torch.bfloat16, enabled=has_fast_bfloat16(device))

    def _validate(self, report: Callable[[Progress], None]) -> None:
        """Measure the averaged weights, keep them if they are the best so far."""
        live = {name: p.detach().clone() for name, p in self._parameters}
        self._load(self._average)
        measured = measure(self._cases, self.score_cases(self._cases))
        before = self.best
        row = {"step": self.step, "loss": self._loss, **asdict(measured)}
        self.history.append(row)
        if before is None or row["mixed"]["mean"] > before["mixed"]["mean"]:
            write_checkpoint(self._folder / BEST, self._average, {"step": self.step})
        self._load(live)
        (self._folder / "history.json").write_text(json.dumps(self.history, indent=1), encoding="utf-8")
        report(Progress(self.step, self._schedule.steps, self._loss, 0.0, 0.0, measured))

    def score_cases(self, cases: Sequence[Case]) -> list[NDArray[np.float32]]:
        """Logits of each case's candidates, in their order."""
        logits = []
        with torch.no_grad(), self._precision():
            for case in cases:
                pairs = [(case.query, passage) for passage in case.passages]
                logits.append(score_pairs(self._model, pairs, self._schedule.max_length).cpu().numpy())
        return logits

    def take_best(self) -> None:
        """Put the best averaged weights into the model."""
        self._load(read_checkpoint(self._folder / BEST)[0])

    def _load(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters:
                parameter.copy_(weights[name])

    def save(self) -> None:
        """Write the state of the run; a write that is cut short leaves the one before."""
        moments, groups = flat_optimiser(self._optimiser)
        weights: dict[str, Tensor] = dict(self._parameters)
        tensors = under("weights", weights) | under("average", self._average) | under("optimiser", moments)
        facts = {
            "step": self.step,
            "pairs": self.pairs,
            "loss": self._loss,
            "queries": len(self._sampler),
            "groups": groups,
            "history": self.history,
        }
        write_checkpoint(self._folder / STATE, tensors, facts)

    def _resume(self) -> None:
        """Chance is no part of the state: a step's pairs depend on the seed and its number, and nothing drops out."""
        tensors, facts = read_checkpoint(self._folder / STATE)
        if facts["queries"] != len(self._sampler):
            raise UsageError(
                f"The run in {self._folder} was started on {facts['queries']} training queries, and these are "
                f"{len(self._sampler)}. Give the data and the seed of that run, or another output.",
                Help(Remedy.CHOOSE, subject="output"),
            )
        self._load(below("weights", tensors))
        self._average = {name: t.to(self._model.device) for name, t in below("average", tensors).items()}
        load_optimiser(self._optimiser, below("optimiser", tensors), facts["groups"])
        self.step, self.pairs, self.history = facts["step"], facts["pairs"], facts["history"]
        self._loss = facts["loss"]


def _rate_groups(parameters: Sequence[tuple[str, nn.Parameter]], rate: float) -> list[dict[str, Any]]:
    """The transformer's parameters, then those of a head that came new (the second module's)."""
    body = [p for name, p in parameters if name.startswith("0.")]
    head = [p for name, p in parameters if not name.startswith("0.")]
    return [{"params": body, "lr": rate}, {"params": head, "lr": HEAD_RATE_FACTOR * rate}]
