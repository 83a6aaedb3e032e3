"""The arguments of ``secondlook train``, apart from what runs it: that imports torch, which takes seconds."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ingest.models.encoders import BUNDLED_ENCODER
from ui.settings import Settings


@dataclass(frozen=True, slots=True)
class TrainArguments:
    """What `secondlook train` was given."""

    datasets: list[Path]
    labels: list[Path]
    base: str
    encoder: str
    output: Path
    name: str
    licence: str
    data_licence: list[str]
    base_name: str
    vectors: Path | None
    steps: int
    epochs: float
    questions: int
    negatives: int
    short: float
    max_length: int
    warmup: int
    rate: float
    bi_weight: float
    interaction: float
    head_factor: float
    cloze: float
    unseen: list[str]
    against: str
    limit: list[str]
    mine: list[str]
    share: list[str]
    validate_every: int
    validation_queries: int
    gate_queries: int
    held_out: float
    device: str
    threads: int
    seed: int
    json: bool


def add_train_arguments(parser: argparse.ArgumentParser, _: Settings | None = None) -> None:
    """Adds what ``secondlook train`` takes to ``parser``."""
    add = parser.add_argument
    add(
        "datasets",
        nargs="*",
        type=Path,
        metavar="DATASET",
        help="labelled folder in BEIR's layout, or a library",
    )
    add(
        "--labels",
        action="append",
        default=[],
        type=Path,
        metavar="LIBRARY_DIR",
        help="train on what was judged in this library (as if it were given as a DATASET)",
    )
    add(
        "--base",
        default=BUNDLED_ENCODER,
        metavar="MODEL",
        help="model to start from: a folder or a name; a bi-encoder gets a head that starts where it is",
    )
    add(
        "--encoder",
        default=BUNDLED_ENCODER,
        metavar="MODEL",
        help="bi-encoder that finds the hard negatives, and whose order is to be improved",
    )
    add("--output", required=True, type=Path, metavar="DIR", help="folder for the model, made if absent")
    add("--name", default="", help="the new model's name (default: the output folder's)")
    add("--licence", default="unstated", help="licence to write on the model's card")
    add(
        "--data-licence",
        action="append",
        default=[],
        metavar="SET=LICENCE",
        help="licence of a set's text, for the card, where its folder has no source.json that says it",
    )
    add("--base-name", default="", help="what the card calls the base (default: what --base says)")
    add(
        "--vectors", type=Path, metavar="DIR",
        help="where the bi-encoder's vectors are kept between runs (default: OUTPUT/.training/vectors)",
    )  # fmt: skip
    add("--steps", type=int, default=0, help="training steps (default: as many as --epochs needs)")
    add(
        "--epochs",
        type=float,
        default=1.0,
        help="passes over the training queries, where no --steps is given; 0 trains nothing: the base is judged and "
        "written as it is",
    )
    add("--questions", type=int, default=8, help="questions a step")
    add("--negatives", type=int, default=3, help="hard negatives a question; one easy one comes beside them")
    add(
        "--short",
        type=float,
        default=0.7,
        help="share of steps on windows of 1–3 sentences, the rest on chunks",
    )
    add("--max-length", type=int, default=320, help="tokens of query and passage together")
    add("--warmup", type=int, default=0, help="steps until the full rate (default: a tenth, at most 100)")
    add("--rate", type=float, default=5e-5, help="learning rate at its height")
    add(
        "--bi-weight", type=float, default=0.0, metavar="W",
        help="add W times the bi-encoder's cosine to the logits while training, so that the model learns the rest",
    )  # fmt: skip
    add(
        "--interaction", type=float, default=20.0, metavar="W",
        help="weight that MaxSim over the joint token vectors starts with in a new head (0: none)",
    )  # fmt: skip
    add("--head-factor", type=float, default=10.0, help="the head's learning rate, times the transformer's")
    add("--cloze", type=float, default=0.0, help="share of questions replaced by a sentence of the answer")
    add(
        "--unseen", action="append", default=[], metavar="SET",
        help="a set to choose by only: nothing of it is trained on",
    )  # fmt: skip
    add(
        "--against", choices=("base", "bi-encoder"), default="base",
        help="what the gate compares with: the model started from (default), or the bi-encoder's order",
    )  # fmt: skip
    add("--limit", action="append", default=[], metavar="SET=N", help="use at most N queries of a set")
    add(
        "--mine", action="append", default=[], metavar="SET=FIRST-LAST",
        help="ranks between which a set's hard negatives are mined (default: 1-50), or SET=none for judged ones only",
    )  # fmt: skip
    add(
        "--share", action="append", default=[], metavar="SET=S",
        help="share of the steps' questions that come from a set (default: in proportion to its questions)",
    )  # fmt: skip
    add(
        "--validate-every", type=int, default=500, metavar="STEPS",
        help="steps between two looks at the held-out queries",
    )  # fmt: skip
    add(
        "--validation-queries", type=int, default=160, help="held-out queries to choose by, all sets together"
    )
    add("--gate-queries", type=int, default=400, help="held-out queries to judge by, all sets together")
    add("--held-out", type=float, default=0.1, help="share of each set's queries that is held out")
    add("--device", default="cpu", help="cpu, cuda or mps")
    add("--threads", type=int, default=0, help="CPU threads (default: all cores)")
    add("--seed", type=int, default=0, help="decides all that is drawn: the same seed, the same model")
    add("--json", action="store_true", help="write the report to standard output as JSON")
