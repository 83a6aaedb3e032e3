"""The reranker that lies in the repository: whole, small enough, and giving the scores that it gave when made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ingest.models.encoders import BUNDLED_ENCODER
from ingest.models.hub import Hub
from ingest.models.spec import ModelSource
from rerank.engines.first_token import first_token_only
from rerank.engines.fused_graph import fused
from rerank.factory import open_scorer
from rerank.registry import BUNDLED_FOLDER, BUNDLED_RERANKER, resolve_reranker
from rerank.scorers.base import Scorer
from rerank.scorers.onnx_cross_encoder import MODEL_FILE

QUESTION = "which snake kills without venom?"
PASSAGES = [
    "Constrictors and their prey\nA python has no venom. It coils around its prey and squeezes until the heart stops.",
    "Python: reading files\nOpen a file with open() in a with block, and it is closed for you at the end.",
    "Snake venom\nVenom is a modified saliva that vipers and cobras inject through hollow fangs.",
    "Keeping a corn snake\nFeed a young corn snake a pinkie mouse every five to seven days.",
    "The bank of the river\nFloods in March cut into the bank and carried the footpath away.",
]
RECORDED = [25.526, 12.593, 22.924, 17.282, 11.394]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    # Its own arithmetic: what is faster on this machine may differ by more than these tests allow.
    return open_scorer(resolve_reranker("bundled", Hub(allow_downloads=False)), "onnx-fp32")


def test_it_is_the_cross_encoder_and_mixes_with_the_bundled_encoder(scorer: Scorer) -> None:
    assert scorer.model.name == BUNDLED_RERANKER
    assert scorer.model.source is ModelSource.BUNDLED
    assert scorer.model.spec.architecture == "onnx-cross-encoder"
    assert scorer.model.spec.bi_encoder == BUNDLED_ENCODER


def test_its_scores_are_those_that_were_recorded(scorer: Scorer) -> None:
    # Wide enough for another processor's rounding, far too narrow for other weights.
    assert np.allclose(scorer.score(QUESTION, PASSAGES).logits, RECORDED, atol=0.05)


def test_what_is_about_the_question_stands_far_above_what_only_shares_a_word(scorer: Scorer) -> None:
    logits = scorer.score(QUESTION, PASSAGES).logits
    # The answer stands above the passage on venom, and both above what is about snakes or only shares a word.
    assert logits[0] > logits[2] > logits[3] > logits[[1, 4]].max() + 4


def test_it_is_at_most_25_megabytes() -> None:
    assert sum(path.stat().st_size for path in BUNDLED_FOLDER.iterdir()) <= 25_000_000


def test_it_was_let_through_by_its_own_gate() -> None:
    report = json.loads((BUNDLED_FOLDER / "training.json").read_text(encoding="utf-8"))
    assert report["better"] is True
    assert report["gate"]["gain"] > 0


def test_its_head_reads_all_tokens() -> None:
    whole = fused(BUNDLED_FOLDER / MODEL_FILE)
    assert len(first_token_only(whole).graph.node) == len(whole.graph.node)
