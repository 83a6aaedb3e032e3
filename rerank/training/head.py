"""The scoring head: where the query's and the passage's mean token vectors stand, and what is between them.

A head on [CLS] that starts at random is at chance for thousands of questions. This one starts where the
bi-encoder is: query and passage are encoded together, the mean token vector is taken over each of the
two, and their cosine times a learnt scale is the logit. A second term over [CLS] and the product of the
two means has a zero last layer: it adds nothing at first and grows as far as the labels ask for it. A third,
where it is asked for, is late interaction inside the joint encoding: the mean over the query's tokens of
their best cosine with a token of the passage (MaxSim: Khattab & Zaharia 2020), times a learnt weight.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from sentence_transformers.base.modules import Module
from torch import Tensor, nn
from torch.nn import functional


class SegmentCosineHead(Module):
    """``token_embeddings`` (batch, length, width) → ``scores`` (batch, 1), the logits.

    The segments come from ``token_type_ids``; [CLS] (the first token) and both ``separator`` tokens
    belong to neither.
    """

    config_keys = ["width", "hidden", "separator", "scale", "interaction"]  # noqa: RUF012 - the base class's declaration

    def __init__(
        self, width: int, separator: int, hidden: int = 128, scale: float = 20.0, interaction: float = 0.0
    ) -> None:
        """``interaction`` is the weight that MaxSim starts with; 0 leaves the term out for good."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.interaction = interaction
        self.interaction_weight = nn.Parameter(torch.tensor(float(interaction))) if interaction else None
        self.width, self.hidden, self.separator, self.scale = width, hidden, separator, scale
        self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())
        self.between = nn.Linear(2 * width, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def score(self, tokens: Tensor, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """Logits (batch,) from token vectors (batch, length, width) and the three inputs (batch, length)."""
        inner = mask * (ids != self.separator)
        first = torch.zeros_like(inner)
        first[:, 0] = 1
        of_query, of_passage = inner * (1 - types) * (1 - first), inner * types
        query, passage = _mean(tokens, of_query), _mean(tokens, of_passage)
        cosine = (functional.normalize(query, dim=-1) * functional.normalize(passage, dim=-1)).sum(-1)
        between = torch.cat([tokens[:, 0], query * passage], dim=-1)
        extra = self.out(torch.tanh(self.between(between))).squeeze(-1)
        logit: Tensor = self.log_scale.exp() * cosine + extra
        if self.interaction_weight is not None:
            logit = logit + self.interaction_weight * _max_similarity(tokens, of_query, of_passage)
        return logit

    def forward(self, features: dict[str, Tensor | Any], **_: Any) -> dict[str, Tensor | Any]:
        """Adds ``scores`` to what the transformer module gave."""
        logits = self.score(
            features["token_embeddings"].float(),
            features["input_ids"],
            features["attention_mask"],
            features["token_type_ids"],
        )
        features["scores"] = logits.unsqueeze(1)
        return features

    def save(self, output_path: str, *_: Any, safe_serialization: bool = True, **__: Any) -> None:
        """Writes configuration and weights into ``output_path``."""
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(  # type: ignore[override]  # its other arguments all go through kwargs
        cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any
    ) -> Self:
        """Reads what ``save`` wrote."""
        hub = {k: kwargs[k] for k in ("token", "cache_folder", "revision", "local_files_only") if k in kwargs}
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **hub)
        head: Self = cls(**config)
        loaded: Self = cls.load_torch_weights(model_name_or_path, subfolder=subfolder, model=head, **hub)
        return loaded


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the token vectors where ``mask`` is 1; zeros where it is 1 nowhere."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def _max_similarity(tokens: Tensor, query: Tensor, passage: Tensor) -> Tensor:
    """MaxSim (batch,) in [-1, 1] between the tokens that the masks (batch, length) name; no passage counts -1."""
    units = functional.normalize(tokens, dim=-1)
    cosines = units @ units.transpose(1, 2)
    best = cosines.masked_fill(passage.unsqueeze(1) == 0, -1.0).amax(-1)
    weights = query.to(tokens.dtype)
    return (best * weights).sum(1) / weights.sum(1).clamp(min=1.0)
