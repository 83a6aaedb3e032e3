"""The model under training: a cross-encoder of sentence-transformers, whatever it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from torch import Tensor, nn

from ingest.errors import ModelNotFoundError, UsageError
from ingest.models.folder.check import check_head, check_model
from ingest.models.folder.json_files import read_json
from ingest.models.loading import in_a_sentence, load_sentence_model, load_transformer
from rerank.engines.export import model_tokenizer
from rerank.training.head import SegmentCosineHead

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Rows that run through the model together: a CPU core is fastest while they fit its cache, a GPU with many.
ROWS_TOGETHER, ROWS_TOGETHER_ON_GPU = 10, 256
# On CPU its backward pass is a third faster than the fused one at these lengths.
ATTENTION = "eager"
HEAD_FOLDER = "1_SegmentCosineHead"  # as sentence-transformers names the second module


def load_base(folder: Path, max_length: int, device: str = "cpu", interaction: float = 0.0) -> CrossEncoder:
    """The cross-encoder to train, from ``folder``.

    A folder of ours is taken up again, any other cross-encoder keeps its own head, and a bi-encoder (or
    a bare transformer) gets a ``SegmentCosineHead`` that starts where the bi-encoder is, MaxSim in it weighted
    by ``interaction``.
    Raises ``ModelNotFoundError`` where there is no model in ``folder`` or its weights are pickled, and
    ``UsageError`` where it is of a kind that does not tell query and passage apart by segment (BERT, MiniLM,
    ELECTRA do; RoBERTa does not).
    """
    config = folder / "config.json"
    if not config.is_file():
        raise ModelNotFoundError(
            f"{folder} holds no model (config.json is missing); name another base model."
        )
    check_model(folder)
    segments = read_json(config).get("type_vocab_size", 0)
    if not isinstance(segments, int) or segments < 2:
        raise UsageError(
            f"The model in {folder} has no segment ids, which tell query and passage apart; "
            "choose a base of the BERT kind, such as MiniLM."
        )
    if (folder / HEAD_FOLDER / "config.json").is_file():
        return _ours(folder, max_length, device)
    if has_own_head(folder):
        ranker: CrossEncoder = load_sentence_model(
            CrossEncoder, folder, max_length=max_length, device=device, num_labels=1
        )
        return ranker
    transformer = load_transformer(folder, max_length, ATTENTION)
    transformer.model.config.num_labels = 1  # what sentence-transformers shapes its answers by
    separator = model_tokenizer(transformer).sep_token_id
    width = transformer.get_embedding_dimension()
    return joined(transformer, SegmentCosineHead(width, separator, interaction=interaction), device)


def has_own_head(folder: Path) -> bool:
    """Whether ``folder`` holds a cross-encoder, so something that ranks by itself before any training."""
    config = read_json(folder / "config.json")
    classifies = (config.get("architectures") or [""])[0].endswith("ForSequenceClassification")
    return classifies or (folder / HEAD_FOLDER / "config.json").is_file()


def _ours(folder: Path, max_length: int, device: str) -> CrossEncoder:
    check_head(folder / HEAD_FOLDER)  # which modules.json need not name
    transformer = load_transformer(folder, max_length, ATTENTION)
    with in_a_sentence(f"The head of the model in {folder} cannot be loaded"):
        head = SegmentCosineHead.load(str(folder), subfolder=HEAD_FOLDER, local_files_only=True)
    return joined(transformer, head, device)


def joined(transformer: Transformer, head: SegmentCosineHead, device: str) -> CrossEncoder:
    """A cross-encoder of the two modules, whose answers are the head's logits as they are."""
    model: CrossEncoder = CrossEncoder(
        modules=[transformer, head], device=device, activation_fn=nn.Identity()
    )
    return model


def prepare(model: CrossEncoder) -> list[tuple[str, nn.Parameter]]:
    """Switches dropout off, freezes the token embeddings, and returns what is left to train.

    Dropout costs time and buys nothing in so short a run; without it a step is a function of the
    weights and its pairs alone, so that a resumed run is the same run. Embeddings are two thirds of
    the parameters, and words that the labels never show must not drift away from those they do.
    """
    model.eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = ".embeddings." not in name
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def score_pairs(model: CrossEncoder, pairs: Sequence[tuple[str, str]], max_length: int) -> Tensor:
    """Logits (n,) of (query, passage) ``pairs``, in their order; the passage is truncated.

    A query that would leave it no room is truncated too.

    Pairs of like length run together, which halves the work spent on padding in a step of mixed sets.
    """
    tokenizer = model_tokenizer(model)
    queries = [query for query, _ in pairs]
    longest = max(map(len, tokenizer(sorted(set(queries)), add_special_tokens=False)["input_ids"]))
    encoded = tokenizer(
        queries,
        [passage for _, passage in pairs],
        truncation="only_second" if longest <= max_length // 2 else "longest_first",
        max_length=max_length,
        return_token_type_ids=True,
    )
    lengths = [len(ids) for ids in encoded["input_ids"]]
    order = sorted(range(len(pairs)), key=lambda row: (-lengths[row], row))
    parts = []
    together = ROWS_TOGETHER if model.device.type == "cpu" else ROWS_TOGETHER_ON_GPU
    for start in range(0, len(order), together):
        rows = order[start : start + together]
        batch = {name: [encoded[name][row] for row in rows] for name in MODEL_INPUTS}
        features = tokenizer.pad(batch, return_tensors="pt")
        outputs = model({name: features[name].to(model.device) for name in MODEL_INPUTS})
        parts.append(outputs["scores"].float().reshape(-1))
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(parts)[back.to(model.device)]


def has_fast_bfloat16(device: str) -> bool:
    """Whether mixed precision pays: on CUDA always, on a CPU where it multiplies bfloat16 by itself."""
    if device.startswith("cuda"):
        return True
    return device == "cpu" and bool(torch.backends.cpu.get_cpu_capability() and _cpu_flag("avx512_bf16"))


def _cpu_flag(flag: str) -> bool:
    """Whether Linux names ``flag`` among the processor's; false elsewhere."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and flag in info.read_text(encoding="utf-8", errors="replace").split()
