"""The card of the bundled reranker is what its report says, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

from rerank.training.card import model_card

MODEL = Path(__file__).resolve().parents[4] / "data" / "models" / "second-look-reranker"


def test_no_figure_on_the_bundled_card_is_typed_by_hand() -> None:
    report = json.loads((MODEL / "training.json").read_text(encoding="utf-8"))
    card = (MODEL / "README.md").read_text(encoding="utf-8")
    assert card == model_card(report)
    assert f"{sum(stage['pairs'] for stage in report['stages'])} pairs seen" in card
    assert "| sqlite (judged by only) |" in card
