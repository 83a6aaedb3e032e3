"""Pickled checkpoints are refused with a command that converts them; here that very command is run.

The made-up cache of the hub holds them as they are published: `pytorch_model.bin` alone, and of T5 a `spiece.model` in
place of tokenizer.json. SentencePiece is needed for that one only, and is no part of the project.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import ModelNotFoundError
from ingest.models.hub import Hub
from rerank.factory import open_scorer
from rerank.registry import RERANKER_ALIASES, RERANKERS, resolve_reranker
from tests.parts.later import later
from tests.parts.tiny_models import make_monot5
from ui.conversion import _TOKENIZERS
from ui.presentation.remedies import told

torch = later("torch")
load_file = later("safetensors.torch", "load_file")

OFFLINE = Hub(allow_downloads=False)
MONOT5 = "monot5-base-msmarco"
QUERY = "which snake has venom"
PASSAGES = [
    "the boa, a snake",
    "Python code",
    "",
    "river  bank\nboa " * 9,
    "Öl ﬁne ４２",
    "zero\u3000width ①",
]
TEXTS = ["Query: which snake has venom Document: a boa is a snake Relevant: true", "is it true or false?",
         "Query: river bank Document: code Relevant: false", "Öl, naïve ﬁne 100% (42)"]  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ingest.models.hub._ask", lambda endpoint: pytest.fail("the network was asked"))
    return tmp_path / "cache"


def publish(saved: Path, name: str, cache: Path) -> None:
    """The files of ``saved`` in the hub's cache as the model ``name``, its weights pickled."""
    spec = RERANKERS[RERANKER_ALIASES[name]]
    snapshot = cache / f"models--{spec.name.replace('/', '--')}" / "snapshots" / spec.revision
    shutil.copytree(saved, snapshot)
    torch.save(load_file(snapshot / "model.safetensors"), snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()


def refused(name: str) -> str:
    """The command in the sentence that refuses the model."""
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_reranker(name, Hub())
    before, _, command = told(caught.value).partition("from the hub: ")
    assert ("installs sentencepiece, which reads its vocabulary" in before) == (name == MONOT5)
    command, _, folder = command.partition(" and then name the folder: ")
    assert folder == f"./{name}"
    return command


def run(command: str, cache: Path, place: Path) -> Path:
    """The folder that a command makes, run by the system's shell where neither hub nor package index is asked."""
    place.mkdir()
    environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        command, shell=True, check=False, cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (folder,) = place.iterdir()
    return folder


def test_what_was_converted_scores_as_the_published_weights(tmp_path: Path, cache: Path) -> None:
    """ELECTRA is converted in `tests.integration.ingest.models.test_hub`."""
    name, saved = MONOT5, make_monot5(tmp_path / "saved")
    publish(saved, name, cache)
    command = refused(name)
    # This one has a tokenizer.json, so that what pip would install is not needed.
    first, _, command = command.partition(" && ")
    assert first.endswith(f"-m pip install {_TOKENIZERS['monot5']}")
    assert shlex.split(command)[0] == sys.executable
    mine = run(command, cache, tmp_path / "mine")
    found = open_scorer(resolve_reranker(str(mine), OFFLINE), "torch").score(QUERY, PASSAGES)
    wanted = open_scorer(resolve_reranker(str(saved), OFFLINE), "torch").score(QUERY, PASSAGES)
    assert np.ptp(wanted.logits) > 0.01, "the model finds everything alike: the test shows nothing"
    assert found.logits == pytest.approx(wanted.logits, abs=1e-5)


def test_a_vocabulary_of_sentencepiece_alone_is_converted_too(tmp_path: Path, cache: Path) -> None:
    """Against SentencePiece's own tokens, and the weights before they were pickled."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="PYTHONPATH to a folder with sentencepiece")
    wanted = _TOKENIZERS["monot5"].partition("==")[2]
    if importlib.metadata.version("sentencepiece") != wanted:
        pytest.skip(f"the command installs sentencepiece {wanted}")
    from transformers import T5ForConditionalGeneration

    saved = make_published_t5(tmp_path / "saved")
    publish(saved, MONOT5, cache)
    mine = run(refused(MONOT5), cache, tmp_path / "mine")
    found = open_scorer(resolve_reranker(str(mine), OFFLINE)).score(QUERY, PASSAGES).logits
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(saved / "spiece.model"))
    t5 = T5ForConditionalGeneration.from_pretrained(saved).eval()
    expected = []
    for passage in PASSAGES:
        ids = [*pieces.encode(f"Query: {QUERY} Document: {passage} Relevant:"), pieces.eos_id()]
        with torch.no_grad():
            logits = t5(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[0]])).logits[0, 0]
        expected.append(float(logits[pieces.piece_to_id("▁true")] - logits[pieces.piece_to_id("▁false")]))
    assert np.ptp(expected) > 0.01, "the model finds everything alike: the test shows nothing"
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def make_published_t5(folder: Path) -> Path:
    """A T5 as castorini's are: a vocabulary that SentencePiece learnt, and the configurations of that time."""
    import sentencepiece
    from transformers import T5Config, T5ForConditionalGeneration

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20), model_prefix=str(folder / "spiece"), vocab_size=120,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    (folder / "spiece.vocab").unlink()
    extra = [f"<extra_id_{n}>" for n in range(100)]
    special = {
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "additional_special_tokens": extra,
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = special | {"extra_ids": 100, "model_max_length": 512, "name_or_path": "t5-base"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(7)
    config = T5Config(
        vocab_size=256, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=1, initializer_factor=1.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder
