"""Small models with the real architectures, made here: the same code path as the large ones, in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.models.tiny_models import make_cross_encoder


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT cross-encoder of 2 layers, 32 wide, random weights from a seed, as sentence-transformers saves it."""
    return make_cross_encoder(tmp_path_factory.mktemp("tiny") / "tiny-cross-encoder")


@pytest.fixture(scope="session")
def two_label_model(tmp_path_factory: pytest.TempPathFactory, tiny_cross_encoder: Path) -> Path:
    """A classifier, which is no reranker."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("two") / "classifier"
    shutil.copytree(tiny_cross_encoder, folder)
    config = BertConfig.from_pretrained(tiny_cross_encoder, num_labels=2)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
