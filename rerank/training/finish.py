"""After the last step: the best weights, their int8 form, the gate, and everything written down."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from ingest.models.encoders import BUNDLED_ENCODER
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.records import sha256_of
from rerank.scorers.onnx_cross_encoder import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, OnnxCrossEncoderScorer
from rerank.training.card import model_card
from rerank.training.data import LabelledSet
from rerank.training.evaluate import Case
from rerank.training.export import export_int8
from rerank.training.gate import Verdict, fit_relevance, judge
from rerank.training.loop import Trainer
from rerank.training.model import has_own_head, load_base, score_pairs

Say = Callable[[str], None]
Logits = list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Job:
    """What the command was asked for, as far as finishing needs it."""

    output: Path
    name: str
    base_name: str
    base: Path
    encoder_name: str
    max_length: int
    licence: str
    seed: int
    threads: int
    settings: Mapping[str, Any]
    against: str = "base"


def finish(
    trainer: Trainer,
    model: CrossEncoder,
    validation: Sequence[Case],
    gate: Sequence[Case],
    *,
    sets: Sequence[LabelledSet],
    job: Job,
    say: Say,
) -> dict[str, Any]:
    """Writes the model's folder and returns the report that is also in its training.json.

    The bi-encoder's weight and the reading of logits as relevance come from ``validation``, and the
    verdict from ``gate``; both are measured on the int8 file, which is what will be used.
    """
    trainer.take_best()
    best = trainer.best or {}
    model.save_pretrained(str(job.output))
    _compact(job.output / TOKENIZER_FILE)
    say(f"Best at step {best['step']}; writing {MODEL_FILE}")
    export_int8(model, job.output / MODEL_FILE)
    bi_weight = float(best["bi_weight"])
    write_card(job, bi_weight, 1.0, 0.0)
    scorer = OnnxCrossEncoderScorer(_resolved(job), job.threads)
    scale, shift = _fit(validation, _score(scorer, validation), bi_weight)
    write_card(job, bi_weight, scale, shift)
    say(f"Judging on {len(gate)} held-out queries")
    verdict = judge(gate, _base_logits(job, gate), _score(scorer, gate), bi_weight, job.seed)
    report = _report(trainer, sets, job, verdict, {"bi_weight": bi_weight, "scale": scale, "shift": shift})
    (job.output / "training.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    (job.output / "README.md").write_text(model_card(report), encoding="utf-8")
    say(verdict.sentence)
    return report


def write_card(job: Job, bi_weight: float, scale: float, shift: float) -> None:
    """Writes secondlook.json: how the files are to be used, and their checksums."""
    folder = job.output
    card = {
        "name": job.name,
        "version": sha256_of(folder / MODEL_FILE)[:12],
        "architecture": "onnx-cross-encoder",
        "licence": job.licence,
        "base": job.base_name,
        "max_length": job.max_length,
        "bi_weight": bi_weight,
        "bi_encoder": job.encoder_name,
        "relevance_scale": scale,
        "relevance_shift": shift,
        "files": {name: sha256_of(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    }
    (folder / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _compact(path: Path) -> None:
    """Rewrites a JSON file without the white space that makes a third of it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _resolved(job: Job) -> ResolvedModel:
    spec = ModelSpec(job.name, ModelKind.RERANKER, "onnx-cross-encoder", "", job.licence, job.max_length)
    return ResolvedModel(spec, ModelSource.FOLDER, job.output)


def _score(scorer: OnnxCrossEncoderScorer, cases: Sequence[Case]) -> Logits:
    return [scorer.score(case.query, case.passages).logits for case in cases]


def _fit(cases: Sequence[Case], logits: Logits, bi_weight: float) -> tuple[float, float]:
    mixed = [row + bi_weight * case.cosines for case, row in zip(cases, logits, strict=True)]
    return fit_relevance(np.concatenate(mixed), np.concatenate([case.grades > 0 for case in cases]))


def _base_logits(job: Job, cases: Sequence[Case]) -> Logits:
    """What the order goes by before: a cross-encoder's logits, or the bi-encoder's cosines."""
    if job.against == "bi-encoder" or not has_own_head(job.base):
        return [case.cosines for case in cases]
    base = load_base(job.base, job.max_length)
    return [
        score_pairs(base, [(case.query, text) for text in case.passages], job.max_length).detach().numpy()
        for case in cases
    ]


def _report(
    trainer: Trainer, sets: Sequence[LabelledSet], job: Job, verdict: Verdict, choice: Mapping[str, float]
) -> dict[str, Any]:
    """Everything that is needed to judge the model, and to make it again."""
    return {
        "name": job.name,
        "base": job.base_name,
        "base_is_bundled_encoder": job.base_name == BUNDLED_ENCODER,
        "bi_encoder": job.encoder_name,
        "licence": job.licence,
        "better": verdict.better,
        "verdict": verdict.sentence,
        "gate": {**asdict(verdict), "gain": verdict.gain},
        "chosen_on_validation": {"step": (trainer.best or {}).get("step"), **choice},
        "validation": trainer.history,
        "data": [
            {
                "set": labelled.name,
                "documents": len(labelled.documents),
                "queries": len(labelled.queries),
                "licence": labelled.licence,
                "sha256": labelled.sha256,
            }
            for labelled in sets
        ],
        "training_queries": trainer.training_queries,
        "pairs": trainer.pairs,
        "settings": dict(job.settings),
        "seed": job.seed,
        "recipe_sha256": hashlib.sha256(json.dumps(job.settings, sort_keys=True).encode()).hexdigest(),
        "versions": {
            name: version(name) for name in ("torch", "sentence-transformers", "onnxruntime", "numpy")
        },
    }
