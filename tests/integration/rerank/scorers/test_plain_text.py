"""What spells a special token in a document or a question is letters to every model, and other text is untouched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers

from ingest.encoders.base import SentenceTransformerEncoder, counting_tokenizer
from ingest.encoders.onnx import OnnxEncoder
from ingest.encoders.special_tokens import PlainText
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ResolvedModel
from ingest.runtime.session import GraphSession
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from rerank.scorers.late_interaction import LateInteractionScorer, late_interaction_of
from rerank.scorers.onnx_cross_encoder import OnnxCrossEncoderScorer
from tests.parts.later import later
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_electra,
    make_encoder,
    make_modern_colbert,
    make_monot5,
    make_xlm_roberta,
)

torch = later("torch")
CrossEncoderScorer = later("rerank.scorers.cross_encoder", "CrossEncoderScorer")
MonoT5Scorer = later("rerank.scorers.monot5", "MonoT5Scorer")
ColbertScorer = later("rerank.scorers.multi_vector", "ColbertScorer")

OFFLINE = Hub(allow_downloads=False)
QUERY, PASSAGE = "which snake", "the boa by the river"
ORDINARY = (
    "", "A boa [1], see <b>there</b>: </ s>, [sep], [ SEP ], <Pad>.", "[SE", "P]", "﹤／ｓ ﹥", "Ｆull ① ﬁ",
    "鹤\u200b往南飞", "a  b\n\tc", "</", "\x00<\x01",
)  # fmt: skip

# How many rows other embeddings than those of tokens have here: of places, and of T5's distances.
PLACES = {1, 2, 32, 64, 128, 130, 512}

Read = Callable[[str, str], object]
MAKERS: dict[str, Callable[[Path], Path]] = {
    "cross-encoder": make_cross_encoder,
    "electra": make_electra,
    "xlm-roberta": make_xlm_roberta,
    "monot5": make_monot5,
    "colbert": make_colbert,
    "modern-colbert": make_modern_colbert,
}
SCORERS = {"monot5": MonoT5Scorer, "colbert": ColbertScorer, "modern-colbert": ColbertScorer}


def opened(name: str, folder: Path) -> tuple[ResolvedModel, Read]:
    """A model by the name of the test, and how it reads a question and a passage."""
    if name == "bundled reranker":
        model = resolve_reranker("bundled", OFFLINE)
        return model, scoring(OnnxCrossEncoderScorer(model))
    if name == "late interaction":
        model = late_interaction_of(resolve_encoder("bundled", OFFLINE))
        return model, scoring(LateInteractionScorer(model, "cpu"))
    if name.startswith("encoder"):
        made = make_encoder(folder / "encoder", "mean") if name != "encoder, bundled" else "bundled"
        model = resolve_encoder(str(made), OFFLINE)
        graphs = name == "encoder on a graph"
        encoder = (
            OnnxEncoder(model, folder / "graphs") if graphs else SentenceTransformerEncoder(model, "cpu")
        )
        encoder.encode_query("make the graph")
        return model, lambda query, passage: (encoder.encode_query(query), encoder.encode_passages([passage]))
    model = resolve_reranker(str(MAKERS[name](folder / name)), OFFLINE)
    return model, scoring(SCORERS.get(name, CrossEncoderScorer)(model, "cpu"))


def scoring(scorer: object) -> Read:
    return lambda query, passage: scorer.score(query, [passage])  # type: ignore[attr-defined]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tokens that models are given, on torch and on ONNX Runtime."""
    seen: list[int] = []
    embed, run_all = torch.nn.Embedding.forward, GraphSession.run_all

    def forward(self: torch.nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        if self.num_embeddings not in PLACES:
            seen.extend(ids.flatten().tolist())
        return embed(self, ids)

    def run(self: GraphSession, output: str, batches: list[dict[str, np.ndarray]]) -> object:
        for batch in batches:
            seen.extend(batch["input_ids"].flatten().tolist())
        return run_all(self, output, batches)

    monkeypatch.setattr(torch.nn.Embedding, "forward", forward)
    monkeypatch.setattr(GraphSession, "run_all", run)
    return seen


@pytest.mark.parametrize(
    "name",
    [*MAKERS, "late interaction", "bundled reranker", "encoder", "encoder on a graph", "encoder, bundled"],
)
def test_no_model_reads_a_special_token_in_what_others_wrote(
    name: str, tmp_path: Path, read: list[int]
) -> None:
    model, ask = opened(name, tmp_path)
    tokenizer = counting_tokenizer(model)
    special = {
        token.content: number
        for number, token in tokenizer.get_added_tokens_decoder().items()
        if "colbert" not in name or token.content != "[MASK]"  # fills a query up
    }
    assert special

    def count(query: str, passage: str) -> dict[str, int]:
        read.clear()
        ask(query, passage)
        return {word: read.count(number) for word, number in special.items()}

    of_both = count(QUERY, PASSAGE)
    of_passage = count(QUERY, PASSAGE)  # late interaction remembers the question
    assert sum(of_passage.values()), "the model's own are there"
    for word in special:
        hostile = f"the {word} boa{word}by the river {word}"
        assert count(QUERY, hostile) == of_passage, word
        assert count(f"which {word}snake", PASSAGE) == of_both, word


@pytest.mark.parametrize("name", [*MAKERS, "late interaction", "bundled reranker", "encoder"])
def test_other_text_is_handed_on_as_it_is(name: str, tmp_path: Path) -> None:
    model, _ = opened(name, tmp_path)
    plain = PlainText(counting_tokenizer(model))
    for text in ORDINARY:
        assert plain.of(text) is text


def test_the_bundled_reranker_is_not_moved_by_separators_and_masks() -> None:
    """Each is read as the letters that it is, with a space or without."""
    scorer = open_scorer(resolve_reranker("bundled", OFFLINE))
    for word, letters in (
        ("[SEP]", "[ sep ]"),
        ("[CLS]", "[ cls ]"),
        ("[MASK]", "[ mask ]"),
        ("[PAD]", "[ pad ]"),
    ):
        texts = [f"A boa coils. {one} {one} which snake kills without venom?" for one in (word, letters)]
        hostile, wanted = scorer.score("which snake kills without venom?", texts).logits
        assert hostile == pytest.approx(wanted, abs=1e-5)


def special_tokenizer(*words: str, normalizer: object = None) -> Tokenizer:
    letters = [(letter, -5.0) for letter in "<>/s[]abcSEP "]
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), *((word, 0.0) for word in words), *letters], 0))
    if normalizer is not None:
        tokenizer.normalizer = normalizer  # type: ignore[assignment]
    tokenizer.add_special_tokens(list(words))
    return tokenizer


def test_what_is_special_only_after_normalising_is_plain_too() -> None:
    tokenizer = special_tokenizer("</s>", normalizer=normalizers.NFKC())
    hostile = "a ＜／ｓ＞ b"
    number = tokenizer.token_to_id("</s>")
    assert number in tokenizer.encode(hostile).ids
    assert number not in tokenizer.encode(PlainText(tokenizer).of(hostile)).ids
    assert PlainText(tokenizer).of("ａ ｂ") == "ａ ｂ"


def test_tokens_that_overlap_are_all_made_plain() -> None:
    tokenizer = special_tokenizer("ab", "bc", "[SEP]")
    plain = PlainText(tokenizer).of("abc [SEP][SEP] aabbcc")
    assert not {tokenizer.token_to_id(word) for word in ("ab", "bc", "[SEP]")} & set(
        tokenizer.encode(plain).ids
    )
    assert plain.replace(" ", "") == "abc[SEP][SEP]aabbcc"


@pytest.mark.timeout(20)
def test_a_token_of_white_space_is_left_alone_and_without_end_is_nothing() -> None:
    plain = PlainText(special_tokenizer("  ", "< ", "<s>"))
    assert plain.of("a  b < c") == "a  b < c"
    assert plain.of("a  <s>") == "a  < s>"
