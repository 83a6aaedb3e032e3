"""Rerankers of one family into one: the weighted mean of their weights, no training.

    python data/models/second-look-reranker/make/blend.py MODEL=SHARE… --output DIR [--interaction W] [--max-length N]

Fine-tuning gains on matters like its labels and loses on others; the mean of the weights before and after
keeps most of both (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903; several runs: arXiv:2203.05482). The folder
is no finished reranker yet: `secondlook train … --base DIR --epochs 0` judges it and writes what is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from torch import Tensor

from ingest.errors import SecondLookError, UsageError
from ingest.models.hub import Hub
from ingest.models.encoders import BUNDLED_ENCODER
from ingest.models.resolve import resolve_encoder
from rerank.training.head import SegmentCosineHead
from rerank.training.model import has_own_head, joined, load_base

# The head's hidden layer: random in a bi-encoder's new head, behind a last layer of zeros.
UNLEARNT = "1.between."


def blend(shares: Sequence[tuple[Path, float]], max_length: int, interaction: float = 0.0) -> CrossEncoder:
    """The mean of the models in the folders, weighted by the shares (any positive numbers).

    A bi-encoder among them counts with a head that adds nothing. ``interaction`` is the weight of MaxSim in
    the new head. Raises ``UsageError`` for fewer than two models, for shares that are not above 0, where none
    was trained, and for models of different shapes.
    """
    if len(shares) < 2 or any(share <= 0 for _, share in shares):
        raise UsageError("A blend needs two models or more, each with a share above 0, as MODEL=SHARE.")
    if not any(has_own_head(folder) for folder, _ in shares):
        raise UsageError(
            "None of these models is a reranker; a blend needs one that `secondlook train` made."
        )
    models = [(load_base(folder, max_length), share, has_own_head(folder)) for folder, share in shares]
    if not all(isinstance(model[-1], SegmentCosineHead) for model, _, _ in models):
        raise UsageError(
            "A blend takes the folders of `secondlook train` and their bi-encoder, no other kind."
        )
    parameters = [(dict(model.named_parameters()), share, trained) for model, share, trained in models]
    target = _with_interaction(models[0][0], interaction)
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            if name.endswith("interaction_weight"):
                continue
            kept = [(p[name], share) for p, share, trained in parameters if trained or name[:10] != UNLEARNT]
            parameter.copy_(_mean(name, parameter, kept))
    return target


def _mean(name: str, like: Tensor, parts: Sequence[tuple[Tensor, float]]) -> Tensor:
    """The mean of the parts, weighted by their shares; raises ``UsageError`` where one has another shape."""
    if any(part.shape != like.shape for part, _ in parts):
        raise UsageError(
            f"The models' weights {name} differ in shape; only models of one family can be blended."
        )
    total = sum(share for _, share in parts)
    return torch.stack([part * (share / total) for part, share in parts]).sum(0)


def _with_interaction(model: CrossEncoder, interaction: float) -> CrossEncoder:
    """``model`` with a head of the same shape, whose MaxSim has the weight ``interaction``."""
    transformer, old = cast(Transformer, model[0]), cast(SegmentCosineHead, model[-1])
    head = SegmentCosineHead(old.width, old.separator, old.hidden, old.scale, interaction)
    return joined(transformer, head, "cpu")


def _parse(given: str) -> tuple[Path, float]:
    name, _, share = given.rpartition("=")
    try:
        folder = resolve_encoder(name, Hub()).folder if name == BUNDLED_ENCODER else Path(name)
        return folder, float(share)
    except ValueError:
        raise UsageError(f"{given} is not MODEL=SHARE, such as runs/first=0.5.") from None


def main(given: Sequence[str] | None = None) -> int:
    """Writes the blend; 0, or 2 with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL=SHARE", help="folder, or the bundled bi-encoder's name"
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--interaction", type=float, default=0.0, help="weight of MaxSim in the head")
    parser.add_argument("--max-length", type=int, default=320)
    options = parser.parse_args(given)
    try:
        model = blend([_parse(item) for item in options.models], options.max_length, options.interaction)
    except SecondLookError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    model.save_pretrained(str(options.output))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
