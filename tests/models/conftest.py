"""Small models with the real architectures, made here: the same code path as the large ones, in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from ingest.models import bundled_encoder_folder


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT cross-encoder of 2 layers, 32 wide, random weights from a seed, as sentence-transformers saves it."""
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification

    raw = tmp_path_factory.mktemp("tiny-raw")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(bundled_encoder_folder() / name, raw / name)
    torch.manual_seed(11)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=128, num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(raw)
    folder = tmp_path_factory.mktemp("tiny") / "tiny-cross-encoder"
    CrossEncoder(str(raw), max_length=128).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def two_label_model(tmp_path_factory: pytest.TempPathFactory, tiny_cross_encoder: Path) -> Path:
    """A classifier, which is no reranker."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("two") / "classifier"
    shutil.copytree(tiny_cross_encoder, folder)
    config = BertConfig.from_pretrained(tiny_cross_encoder, num_labels=2)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
