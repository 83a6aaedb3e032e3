"""ColBERT against a slow reference written from the paper: one passage at a time, one token at a time."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import ModelError
from ingest.models.hub import Hub
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.base import Scorer
from tests.parts.later import later
from tests.parts.tiny_models import COLBERT_DIM, make_colbert, make_modern_colbert

torch = later("torch")
load_file = later("safetensors.torch", "load_file")

OFFLINE = Hub(allow_downloads=False)
QUERY = "which snake kills without venom?"
PASSAGES = [
    "A boa, coiled; waits!",
    "Venom.",
    "",
    "The bank by the river (in spring). " * 30,
    "蛇会缠绕猎物。",
]
RECIPES = {
    "colbertv2.0": None,  # without the file, its values hold
    "another": {
        "query_maxlen": 12, "query_token_id": "[unused5]", "doc_token_id": "[unused6]", "mask_punctuation": False,
        "attend_to_mask_tokens": True,
    },
}  # fmt: skip
PYLATE = {
    "GTE-ModernColBERT": {},
    "another": {"query_length": 12, "skiplist_words": [], "attend_to_expansion_tokens": True},
    "without expansion": {"do_query_expansion": False},
}


@pytest.fixture(scope="module", params=RECIPES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_colbert(tmp_path_factory.mktemp("colbert") / "tiny", RECIPES[request.param])


class Reference:
    """ColBERT as its paper describes it, § 3.2 and 3.3, in plain loops."""

    def __init__(self, folder: Path, limit: int) -> None:
        from transformers import BertModel, BertTokenizer

        is_default = not (folder / "artifact.metadata").exists()
        self.tokenizer = BertTokenizer.from_pretrained(folder)
        self.bert = BertModel.from_pretrained(folder).eval()
        self.linear = load_file(folder / "model.safetensors")["linear.weight"]
        self.length = 32 if is_default else 12
        self.markers = ("[unused0]", "[unused1]") if is_default else ("[unused5]", "[unused6]")
        self.skipped = set(string.punctuation) if is_default else set()
        self.attends, self.expands = not is_default, True
        self.limit = limit

    def score(self, query: str, passage: str) -> float:
        asked = ["[CLS]", self.markers[0], *self.tokenizer.tokenize(query)[: self.length - 3], "[SEP]"]
        masks = self.length - len(asked) if self.expands else 0
        wanted = self.vectors([*asked, *["[MASK]"] * masks], 0 if self.attends else masks)
        told = ["[CLS]", self.markers[1], *self.tokenizer.tokenize(passage)[: self.limit - 3], "[SEP]"]
        vectors = self.vectors(told, 0)
        kept = [vector for vector, token in zip(vectors, told, strict=True) if token not in self.skipped]
        total = 0.0
        for one in wanted:
            total += max(float(torch.dot(one, other)) for other in kept)
        return total

    def vectors(self, tokens: list[str], unattended: int) -> list[torch.Tensor]:
        ids = torch.tensor([self.tokenizer.convert_tokens_to_ids(tokens)])
        mask = torch.tensor([[1] * (len(tokens) - unattended) + [0] * unattended])
        with torch.no_grad():
            states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        narrow = [self.linear @ state for state in states]
        assert len(narrow[0]) == COLBERT_DIM
        return [vector / vector.norm() for vector in narrow]


class PylateReference(Reference):
    """The same of a ModernBERT, with the tokens and lengths that PyLate's files name."""

    def __init__(self, folder: Path, limit: int) -> None:
        from transformers import AutoTokenizer, ModernBertModel

        noted = json.loads((folder / "config_sentence_transformers.json").read_text())
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.bert = ModernBertModel.from_pretrained(folder).eval()
        self.linear = load_file(folder / "1_Dense" / "model.safetensors")["linear.weight"]
        self.length, self.limit = noted["query_length"], limit
        self.markers = (noted["query_prefix"], noted["document_prefix"])
        self.skipped = set(noted["skiplist_words"])
        self.attends = noted["attend_to_expansion_tokens"]
        self.expands = noted.get("do_query_expansion", True)


def test_scores_are_maxsim_as_the_paper_defines_it(folder: Path) -> None:
    scorer = open_scorer(resolve_reranker(str(folder), OFFLINE))
    agrees(scorer, Reference(folder, scorer.model.spec.max_length))


@pytest.mark.parametrize("recipe", PYLATE)
def test_a_checkpoint_of_pylate_is_read_as_its_files_say(recipe: str, tmp_path: Path) -> None:
    folder = make_modern_colbert(tmp_path / "modern", PYLATE[recipe])
    scorer = open_scorer(resolve_reranker(str(folder), OFFLINE))
    assert (scorer.model.spec.architecture, scorer.model.spec.max_length) == ("colbert", 120)
    agrees(scorer, PylateReference(folder, 120))


@pytest.mark.parametrize("dropped", ["modules.json", "1_Dense"])
def test_a_checkpoint_without_its_projection_is_refused(dropped: str, tmp_path: Path) -> None:
    """The library makes a projection of chance where the files name none."""
    folder = make_modern_colbert(tmp_path / "modern")
    place = folder / dropped
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    with pytest.raises(ModelError, match=r"has no linear\.weight|1_Dense"):
        open_scorer(resolve_reranker(str(folder), OFFLINE))


def test_a_marker_that_is_no_token_is_refused(tmp_path: Path) -> None:
    folder = make_colbert(tmp_path / "tiny", {"query_token_id": "[question]"})
    with pytest.raises(ModelError, match=r"has no “\[question\]”"):
        open_scorer(resolve_reranker(str(folder), OFFLINE))


def test_what_sentence_transformers_saves_again_scores_alike(folder: Path, tmp_path: Path) -> None:
    """Its own form, as LateOn has it: lengths and [MASK]s beside the transformer, the skipped tokens in a module."""
    from sentence_transformers import MultiVectorEncoder

    MultiVectorEncoder(str(folder), device="cpu").save_pretrained(str(tmp_path / "saved"))
    expected, scorer = (
        open_scorer(resolve_reranker(str(place), OFFLINE)) for place in (folder, tmp_path / "saved")
    )
    assert scorer.model.spec.architecture == "colbert"
    assert scorer.score(QUERY, PASSAGES).logits == pytest.approx(
        expected.score(QUERY, PASSAGES).logits, abs=1e-4
    )


def agrees(scorer: Scorer, reference: Reference) -> None:
    for query in (QUERY, "snake " * 40):
        scores = scorer.score(query, PASSAGES)
        expected = [reference.score(query, passage) for passage in PASSAGES]
        assert scores.logits == pytest.approx(np.array(expected), abs=1e-3)
        assert np.ptp(expected) > 0.1, "the model finds everything alike: the test shows nothing"
    assert scores.truncated.tolist() == [False, False, False, True, False]


def test_a_bert_without_the_projection_is_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights["linear.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"has no linear\.weight"):
        open_scorer(resolve_reranker(str(tmp_path), OFFLINE))
