"""The model card, written from the report, so that no figure in it is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

USE = """## How it is used

`secondlook.json` says it in full: the files and their SHA-256, the longest input in tokens, and how the
order is made. Candidates are ordered by

    logit(query, passage) + {bi_weight:g} × cosine(query, passage)

where the cosine is that of {bi_encoder}. Relevance is sigmoid({scale:.4f} × that number {shift:+.4f}),
fitted on the queries held out to choose by: read it as "how often was a candidate with such a number
relevant there", no more. `model_int8.onnx` is what the product runs; sentence-transformers loads the
folder of the training run with `CrossEncoder(folder, trust_remote_code=True)` where this package is installed.
"""

LIMITS = """## Limits

English only. It reads query and passage together up to {max_length} tokens and no more; the end of a longer
passage is not seen. It was trained on questions, keywords, titles and headings over encyclopaedia articles,
health answers, abstracts and software documentation: on other matters, and on other kinds of query, measure
before you rely on it, and train on your own labels. It ranks passages by whether
they are about what was asked; it does not check whether what they say is true. Not for advice on health.
"""


def model_card(report: Mapping[str, Any]) -> str:
    """Markdown of the card; ``report`` is what training.json holds."""
    choice = report["chosen_on_validation"]
    parts = [
        f"# {report['name']}\n",
        f"A cross-encoder trained by Second Look from {report['base']}. Licence: {report['licence']}\n",
        f"**{report['verdict']}**\n",
        USE.format(
            bi_weight=choice["bi_weight"],
            bi_encoder=report["bi_encoder"],
            scale=choice["scale"],
            shift=choice["shift"],
        ),
        "## Held-out queries\n",
        _figures(report["gate"]),
        "## Data\n",
        _data(report),
        "## Training\n",
        _training(report),
        LIMITS.format(max_length=report["settings"]["schedule"]["max_length"]),
    ]
    return "\n".join(parts)


def _figures(gate: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {before:.3f} | {gate['cross_encoder_alone'][name]:.3f} | {gate['after'][name]:.3f} |"
        for name, before in gate["before"].items()
    ]
    return (
        f"nDCG@10 over {gate['candidates']} candidates, {gate['queries']} queries whose documents were not trained "
        "on. “mean” counts every query once; sets with few queries say little by themselves.\n\n"
        "| set | before | model alone | model and cosine |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _data(report: Mapping[str, Any]) -> str:
    unseen = report["settings"]["plan"]["unseen"]
    rows = [
        f"| {row['set']}{' (judged by only)' if row['set'] in unseen else ''} | {row['documents']} | {row['queries']} "
        f"| {row['licence']} | `{row['sha256'][:12]}` |"
        for row in report["data"]
    ]
    return (
        "| set | documents | queries | licence | SHA-256 |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n"
        f"{report['training_queries']} queries to train on after holding out; "
        f"{sum(stage['pairs'] for stage in _stages(report))} pairs seen.\n"
    )


def _stages(report: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The runs that made the weights: those of a blend, or the report's own."""
    stages: Sequence[Mapping[str, Any]] = report.get("stages") or [report]
    return stages


def _training(report: Mapping[str, Any]) -> str:
    lines = [_run(stage) for stage in _stages(report)]
    if "blend" in report:
        parts = ", ".join(f"{share:g} of {name}" for name, share in report["blend"]["shares"].items())
        lines.append(
            f"The weights are a mean: {parts} (each run's best on the queries held out to choose by); MaxSim over the "
            f"joint token vectors adds {report['blend']['interaction']:g} times its value to the logit."
        )
    lines.append(
        "Token embeddings frozen, no dropout, a running mean of a run's weights is what is kept. "
        f"Seed {report['seed']}. Everything else is in training.json."
    )
    return "\n\n".join(lines) + "\n"


def _run(stage: Mapping[str, Any]) -> str:
    schedule, mixture = stage["settings"]["schedule"], stage["settings"]["mixture"]
    if not schedule["steps"]:
        return "Nothing was trained in this run; the weights are the base's."
    step = max(stage["validation"], key=lambda row: float(row["mixed"]["mean"]))["step"]
    beside = (
        f", {schedule['bi_weight']:g} times the bi-encoder's cosine in it"
        if schedule.get("bi_weight")
        else ""
    )
    return (
        f"{schedule['steps']} steps of {mixture['groups']} questions, each with 1 positive, {mixture['hard']} mined "
        f"and {mixture['easy']} random negatives; listwise softmax{beside}; rate {schedule['rate']:g}; "
        f"{mixture['short_steps']:.0%} of the steps on windows of one to three sentences, the others on chunks; "
        f"kept: step {step}."
    )
