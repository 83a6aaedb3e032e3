"""A trained cross-encoder as one ONNX file with int8 weights.

The weights are int8 (the linear layers with a scale for each output and 32 inputs, the embeddings with
one for each token), the arithmetic is fp32. ONNX Runtime's dynamic quantisation, which also rounds the activations, is
twice as fast and was measured: MiniLM's activations have outliers, one scale for a whole batch of them
moved the logits by 0.38 on average and the order with them (Kendall's tau 0.88 against fp32), and it made
a passage's score depend on its neighbours in the batch. With fp32 arithmetic the file is as small, a
score is the same in any company, and no processor's int8 instructions (VNNI or not) make a difference.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import cast

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ingest.errors import ModelNotFoundError

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
BLOCK = 32  # inputs that share a scale; one scale for a whole column moved the logits twice as much
SMALLEST = 4096  # weights below which int8 saves nothing worth an error


class RowwiseInt8Embedding(nn.Module):
    """An embedding table in int8, each row with its own scale."""

    def __init__(self, weight: Tensor) -> None:
        """Quantise ``weight`` (tokens, width)."""
        super().__init__()
        scale = weight.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("table", (weight.detach() / scale).round().to(torch.int8))
        self.register_buffer("scale", scale.float())

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (…, width) of ``ids`` (…)."""
        rows = nn.functional.embedding(ids, self.table)  # type: ignore[arg-type]
        scales = nn.functional.embedding(ids, self.scale)  # type: ignore[arg-type]
        return rows.float() * scales


class LogitModule(nn.Module):
    """The three inputs, each (batch, length), to logits (batch,)."""

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """The cross-encoder's own forward pass, its scores alone."""
        values = (input_ids, attention_mask, token_type_ids)
        scores: Tensor = self.model(dict(zip(INPUTS, values, strict=True)))["scores"]
        return scores.reshape(-1)


def export_fp32(model: CrossEncoder, path: Path, int8_embeddings: bool = False) -> None:
    """Writes ``model`` as ONNX in fp32, token embeddings in int8 if asked; dynamic batch and length."""
    transformer = cast(PreTrainedModel, model[0].model)
    table = transformer.get_input_embeddings()
    if int8_embeddings:
        transformer.set_input_embeddings(RowwiseInt8Embedding(cast(Tensor, table.weight)))
    example = model_tokenizer(model)(
        ["of what", "of"], ["it is this", "it"], padding=True, return_tensors="pt", return_token_type_ids=True
    )
    axes = {0: "batch", 1: "length"}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # tracing warns of every Python branch; the scores are compared after
            torch.onnx.export(
                LogitModule(model),
                tuple(example[name] for name in INPUTS),
                str(path),
                input_names=list(INPUTS),
                output_names=["logits"],
                dynamic_axes={**dict.fromkeys(INPUTS, axes), "logits": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        transformer.set_input_embeddings(table)


def model_tokenizer(model: Transformer | CrossEncoder) -> PreTrainedTokenizerBase:
    """The text tokenizer of ``model``; raises ``ModelNotFoundError`` where it came without one."""
    tokenizer = model.tokenizer
    if tokenizer is None:
        raise ModelNotFoundError("The base model has no tokenizer; name another base model.")
    fast_tokenizer: PreTrainedTokenizerBase = tokenizer
    return fast_tokenizer
