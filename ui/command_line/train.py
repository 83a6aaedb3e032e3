"""``secondlook train``: labelled folders in, a reranker and an honest report on it out."""

from __future__ import annotations

import argparse
import math
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import CancelledError, SecondLookError, UsageError
from ingest.models.encoders import BUNDLED_ENCODER
from ingest.models.hub import Hub
from ingest.models.resolve import find_in_hub, resolve_encoder
from rerank.scorers.onnx_cross_encoder import CARD_FILE
from rerank.training.data import LabelledSet, read_library_labels, read_training_set
from rerank.training.embedding import CachedEncoder
from rerank.training.finish import Job, finish
from rerank.training.loop import Progress, Schedule, Trainer
from rerank.training.mining import Ranks
from rerank.training.model import load_base
from rerank.training.preparation import Plan, prepare_data
from rerank.training.sampling import Mixture, Sampler
from ui.command_line.options import record_of
from ui.command_line.terminal import print_json
from ui.command_line.train_arguments import TrainArguments, add_train_arguments
from ui.presentation.remedies import told

Say = Callable[[str], None]

RUN = ".training"  # what it takes to go on lies there, below the output folder


def run_train(args: TrainArguments, hub: Hub | None = None) -> int:
    """Runs the command with models of ``hub``; returns 0.

    Raises `SecondLookError` where it cannot, `CancelledError` on Ctrl-C.
    """
    _check(args)
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    np.random.seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    with _stop_on_interrupt() as stopped:
        report = _train(args, hub or Hub(), stopped, _speak)
    if args.json:
        print_json(report)
    return 0


def _train(args: TrainArguments, hub: Hub, stopped: Callable[[], bool], say: Say) -> dict[str, Any]:
    """Everything between the arguments and the report."""
    sets = _licensed(_read(args.datasets, args.labels), args.data_licence)
    encoder = _encoder(args, hub, say)
    plan = Plan(
        seed=args.seed, held_out_share=args.held_out, limits=_limits(args.limit, sets),
        validation=args.validation_queries, gate=args.gate_queries, unseen=_known(args.unseen, sets),
        ranks=_ranks(args.mine, sets),
    )  # fmt: skip
    prepared = prepare_data(sets, encoder, plan, say)
    mixture = Mixture(
        groups=args.questions, hard=args.negatives, short_steps=args.short, cloze=args.cloze,
        shares=_shares(args.share, sets),
    )  # fmt: skip
    sampler = Sampler(prepared.sources, mixture, args.seed)
    steps = args.steps or math.ceil(args.epochs * len(sampler) / args.questions)
    warmup = args.warmup or min(100, max(1, steps // 10))
    schedule = Schedule(
        steps,
        args.rate,
        warmup,
        max_length=args.max_length,
        validate_every=args.validate_every,
        bi_weight=args.bi_weight,
        head_factor=args.head_factor,
    )
    base = _base_folder(args.base, hub)
    model = load_base(base, args.max_length, args.device, args.interaction)
    trainer = Trainer(model, sampler, prepared.validation, schedule, args.output / RUN)
    say(
        f"{len(sampler)} training queries, {steps} steps of {args.questions}; starting at step {trainer.step}"
    )
    if not trainer.run(stopped, _reporter(say)):
        raise CancelledError(
            f"Stopped at step {trainer.step} of {steps}; to go on, give the same command again."
        )
    settings = {"schedule": asdict(schedule), "mixture": asdict(mixture), "plan": asdict(plan)}
    job = Job(
        args.output,
        args.name or args.output.resolve().name,
        args.base_name or args.base,
        base,
        encoder_name=encoder.name,
        max_length=args.max_length,
        licence=args.licence,
        seed=args.seed,
        threads=args.threads,
        settings=settings,
        against=args.against,
    )
    return finish(trainer, model, prepared.validation, prepared.gate, sets=sets, job=job, say=say)


def _check(args: TrainArguments) -> None:
    """Raises ``UsageError`` for numbers out of range, and where there is nothing to train on or no place to write."""
    if not args.datasets and not args.labels:
        raise UsageError("There is nothing to train on: give a DATASET, or a library with --labels.")
    _check_output(args.output, args.base)
    for name in ("questions", "negatives", "validate_every", "validation_queries", "gate_queries"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it has to be 1 or more.")
    if args.steps < 0 or args.warmup < 0 or args.epochs < 0 or args.rate <= 0:
        raise UsageError("--rate has to be above 0, and --steps, --warmup and --epochs 0 or more.")
    if not 0 <= args.short <= 1 or not 0 <= args.cloze <= 1 or not 0 < args.held_out < 1:
        raise UsageError("--short and --cloze are shares from 0 to 1 and --held-out one between 0 and 1.")
    if args.bi_weight < 0 or args.interaction < 0 or args.head_factor <= 0:
        raise UsageError("--bi-weight and --interaction have to be 0 or more, and --head-factor above 0.")
    if not 32 <= args.max_length <= 512:
        raise UsageError(f"--max-length is {args.max_length}; it has to be between 32 and 512 tokens.")


def _check_output(output: Path, base: str) -> None:
    """Raises ``UsageError`` where writing the model would take the place of files that no training wrote."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file; name a folder for the model.")
    if Path(base).is_dir() and output.resolve() == Path(base).resolve():
        raise UsageError(f"--output {output} is the model that --base starts from; name another folder.")
    ours = any((output / name).exists() for name in (CARD_FILE, RUN))
    if output.is_dir() and not ours and any(output.iterdir()):
        raise UsageError(
            f"--output {output} holds other files, which a model's would be written over; name a folder that does not "
            "exist yet, or one that an earlier training made."
        )


def _read(datasets: list[Path], libraries: list[Path]) -> list[LabelledSet]:
    """The sets to train on, whose names must differ: limits and licences go by them."""
    sets = [read_training_set(folder) for folder in datasets]
    sets += [read_library_labels(folder) for folder in libraries]
    names = [labelled.name for labelled in sets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two sets are called {twice[0]}: sets go by their folders' names. Rename one.")
    return sets


def _known(names: list[str], sets: list[LabelledSet]) -> tuple[str, ...]:
    """``names``, each of which has to be one of the sets."""
    known = {labelled.name for labelled in sets}
    if unknown := sorted(set(names) - known):
        raise UsageError(f"--unseen {unknown[0]} is none of the sets {', '.join(sorted(known))}.")
    return tuple(names)


def _limits(texts: list[str], sets: list[LabelledSet]) -> dict[str, int]:
    """``["medquad=4500"]`` → ``{"medquad": 4500}``."""
    known, limits = {labelled.name for labelled in sets}, dict[str, int]()
    for item in texts:
        name, _, number = item.partition("=")
        if name not in known or not number.isdigit() or int(number) < 1:
            raise UsageError(f"--limit {item} is not SET=N with one of the sets {', '.join(sorted(known))}.")
        limits[name] = int(number)
    return limits


def _ranks(texts: list[str], sets: list[LabelledSet]) -> dict[str, Ranks | None]:
    """``["bioasq=6-50", "qmsum=none"]`` → ``{"bioasq": (6, 50), "qmsum": None}``."""
    known, ranks = {labelled.name for labelled in sets}, dict[str, Ranks | None]()
    for item in texts:
        name, _, span = item.partition("=")
        first, _, last = span.partition("-")
        numbers = first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)
        if name not in known or not (numbers or span == "none"):
            raise UsageError(
                f"--mine {item} is not SET=FIRST-LAST or SET=none with one of the sets {', '.join(sorted(known))}."
            )
        ranks[name] = (int(first), int(last)) if numbers else None
    return ranks


def _shares(texts: list[str], sets: list[LabelledSet]) -> dict[str, float]:
    """``["bioasq=.1"]`` → ``{"bioasq": 0.1}``; together at most 1."""
    known, shares = {labelled.name for labelled in sets}, dict[str, float]()
    for item in texts:
        name, _, number = item.partition("=")
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if name not in known or not 0 <= share <= 1:
            raise UsageError(
                f"--share {item} is not SET=S with S from 0 to 1 and one of the sets {', '.join(sorted(known))}."
            )
        shares[name] = share
    if sum(shares.values()) > 1 + 1e-9:
        raise UsageError(
            f"The shares given with --share sum to {sum(shares.values()):g}; they may not exceed 1."
        )
    return shares


def _licensed(sets: list[LabelledSet], texts: list[str]) -> list[LabelledSet]:
    """The sets with the licences ``["medquad=CC BY 4.0"]``; those not named keep what their folder says."""
    licences = dict(item.partition("=")[::2] for item in texts)
    unknown = sorted(set(licences) - {labelled.name for labelled in sets})
    if unknown:
        raise UsageError(f"--data-licence names {', '.join(unknown)}, which is none of the sets given.")
    return [replace(labelled, licence=licences.get(labelled.name, labelled.licence)) for labelled in sets]


def _encoder(args: TrainArguments, hub: Hub, say: Say) -> CachedEncoder:
    resolved = resolve_encoder(args.encoder, hub)
    say(f"bi-encoder {resolved.name}, from {resolved.source}")
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} texts embedded ")

    vectors = args.vectors or args.output / RUN / "vectors"
    return CachedEncoder(SentenceTransformerEncoder(resolved, args.device), vectors, count)


def _base_folder(name: str, hub: Hub) -> Path:
    """The folder of the model to start from."""
    if Path(name).is_dir():
        return Path(name)
    if name == BUNDLED_ENCODER:
        return resolve_encoder(name, hub).folder
    return find_in_hub(name, None, hub)[0]


def _reporter(say: Say) -> Callable[[Progress], None]:
    """Says every fiftieth step and every validation."""

    def report(progress: Progress) -> None:
        if progress.measured is not None:
            figures = progress.measured
            say(
                f"step {progress.step}: held-out nDCG@10 bi-encoder {figures.bi_encoder['mean']:.3f}, "
                f"model {figures.cross_encoder['mean']:.3f}, both {figures.mixed['mean']:.3f} "
                f"(cosine × {figures.bi_weight:g})"
            )
        elif progress.loss is not None and (progress.step % 50 == 0 or progress.step <= 3):
            say(
                f"step {progress.step}/{progress.steps}: loss {progress.loss:.3f}, "
                f"{progress.pairs_per_second:.1f} pairs/s, {progress.seconds_left / 60:.0f} min left"
            )

    return report


def _speak(message: str) -> None:
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C (or SIGTERM) sets a flag that the loop looks at between steps; a second one ends at once."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        _speak("Stopping after this step; what was learnt is kept.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """Parses the command line and trains; 0 done, 1 failed or stopped, 2 a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m rerank.training", description=__doc__)
    add_train_arguments(parser)
    try:
        return run_train(record_of(TrainArguments, parser.parse_args()))
    except SecondLookError as error:
        sys.stderr.write(f"{told(error)}\n")
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    raise SystemExit(main())
