"""The head's MaxSim worked out by hand, and blends of real (small) models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.errors import UsageError
from tests.parts.later import later
from tests.parts.make_files import blend as command
from tests.parts.training_parts import tiny_bi_encoder

torch = later("torch")
SegmentCosineHead = later("rerank.training.head", "SegmentCosineHead")
load_base, score_pairs = later("rerank.training.model", "load_base", "score_pairs")

SEPARATOR = 9
PAIRS = [
    ("what is the colour of mint", "mint its colour is red"),
    ("price of bat", "bat it costs nine coins"),
]


def logits(folder_or_model: object) -> np.ndarray:
    model = load_base(folder_or_model, 64) if isinstance(folder_or_model, Path) else folder_or_model
    with torch.no_grad():
        return score_pairs(model, PAIRS, 64).numpy()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bi_encoder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two rerankers whose weights differ everywhere, the heads' last layers included."""
    folders = []
    for seed in (1, 2):
        model = load_base(base, 64)
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        folders.append(tmp_path_factory.mktemp("trained") / str(seed))
        model.save_pretrained(str(folders[-1]))
    return folders[0], folders[1]


def test_max_similarity_by_hand() -> None:
    # [CLS] q1 q2 [SEP] p1 p2 [SEP] [PAD]: q1 is nearest to p1 (cosine .6), q2 to p2 (cosine 1). [CLS], both
    # separators and the padding are all equal to q1 and must not be found.
    tokens = torch.tensor(
        [[[1, 0], [1, 0], [0, 2], [1, 0], [3, 4], [0, 5], [1, 0], [1, 0]]], dtype=torch.float32
    )
    ids = torch.tensor([[1, 2, 3, SEPARATOR, 4, 5, SEPARATOR, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 0]])
    types = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 0]])
    plain, with_it = SegmentCosineHead(2, SEPARATOR), SegmentCosineHead(2, SEPARATOR, interaction=10.0)
    with_it.load_state_dict(plain.state_dict(), strict=False)
    difference = with_it.score(tokens, ids, mask, types) - plain.score(tokens, ids, mask, types)
    assert difference.item() == pytest.approx(10 * (0.6 + 1) / 2, abs=1e-5)


def test_without_a_passage_or_a_query_the_logit_is_finite() -> None:
    head = SegmentCosineHead(2, SEPARATOR, interaction=10.0)
    ids = torch.tensor([[1, SEPARATOR, SEPARATOR]])
    found = head.score(torch.rand(1, 3, 2), ids, torch.ones_like(ids), torch.tensor([[0, 0, 1]]))
    assert torch.isfinite(found).all()


def test_a_blend_lies_between_and_keeps_its_interaction_through_the_folder(
    base: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second = (load_base(folder, 64) for folder in trained)
    model = command.blend([(trained[0], 1.0), (trained[1], 3.0)], 64, interaction=20.0)
    for (name, one), (_, other) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.allclose(dict(model.named_parameters())[name], 0.25 * one + 0.75 * other, atol=1e-6)
    model.save_pretrained(str(tmp_path / "blend"))
    assert np.allclose(logits(tmp_path / "blend"), logits(model), atol=1e-5)
    assert not np.allclose(
        logits(model), logits(command.blend([(trained[0], 1), (trained[1], 3)], 64)), atol=0.1
    )


def test_a_bi_encoder_counts_with_a_head_that_adds_nothing(base: Path, trained: tuple[Path, Path]) -> None:
    one = dict(load_base(trained[0], 64).named_parameters())
    found = dict(command.blend([(base, 1.0), (trained[0], 1.0)], 64).named_parameters())
    assert torch.allclose(found["1.between.weight"], one["1.between.weight"], atol=1e-6)
    assert torch.allclose(found["1.out.weight"], one["1.out.weight"] / 2, atol=1e-6)


def test_what_cannot_be_blended_is_refused(
    base: Path, trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="two models or more"):
        command.blend([(trained[0], 1.0)], 64)
    with pytest.raises(UsageError, match="None of these models is a reranker"):
        command.blend([(base, 1.0), (base, 1.0)], 64)
    assert command.main([f"{trained[0]}", "--output", str(tmp_path / "x")]) == 2
    assert "is not MODEL=SHARE" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
