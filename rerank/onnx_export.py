"""A trained cross-encoder as one int8 ONNX file.

The linear layers are quantised by ONNX Runtime (dynamic, weights per channel). The token embeddings,
two thirds of the file, are kept as int8 with one scale a token: a single scale for the whole table,
as ONNX Runtime's own quantiser gives it, loses the rare tokens.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import cast

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from sentence_transformers import CrossEncoder
from torch import Tensor, nn
from transformers import PreTrainedModel

from rerank.training.model import model_tokenizer

OPSET = 17
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


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


def export_int8(model: CrossEncoder, path: Path, reduce_range: bool = True) -> None:
    """Writes ``model`` (left unchanged, put on the CPU) to ``path``.

    ``reduce_range`` keeps weights to 7 bits: without VNNI the 8-bit products are summed in 16 bits and
    can overflow, so a file that is to be right on every processor needs it.
    """
    model = model.to("cpu").eval()
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        export_fp32(model, folder / "fp32.onnx", int8_embeddings=True)
        quant_pre_process(str(folder / "fp32.onnx"), str(folder / "ready.onnx"), skip_symbolic_shape=True)
        quantize_dynamic(
            str(folder / "ready.onnx"),
            str(folder / "int8.onnx"),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
        )
        graph = onnx.load(str(folder / "int8.onnx"))
        onnx.checker.check_model(graph)
        onnx.save(graph, str(path))


def export_fp32(model: CrossEncoder, path: Path, int8_embeddings: bool = False) -> None:
    """Writes ``model`` as ONNX in fp32, token embeddings in int8 if asked; dynamic batch and length."""
    transformer = cast(PreTrainedModel, model[0].model)
    table = transformer.get_input_embeddings()
    if int8_embeddings:
        transformer.set_input_embeddings(RowwiseInt8Embedding(cast(Tensor, table.weight)))
    example = model_tokenizer(model)(["of what", "of"], ["it is this", "it"], padding=True, return_tensors="pt",
                              return_token_type_ids=True)  # fmt: skip
    axes = {0: "batch", 1: "length"}
    try:
        with torch.no_grad():
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
