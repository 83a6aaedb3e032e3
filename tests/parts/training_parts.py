"""A labelled folder and a transformer small enough to train in a test, both real in form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.parts.later import later

torch = later("torch")
SentenceTransformer = later("sentence_transformers", "SentenceTransformer")
Transformer = later("sentence_transformers.base.modules", "Transformer")
Pooling = later("sentence_transformers.sentence_transformer.modules", "Pooling")
BertConfig, BertModel, PreTrainedTokenizerFast = later(
    "transformers", "BertConfig", "BertModel", "PreTrainedTokenizerFast"
)

SUBJECTS = (
    "python",
    "mercury",
    "jaguar",
    "crane",
    "bank",
    "kernel",
    "virus",
    "pitch",
    "java",
    "apple",
    "mint",
    "bat",
)
FACTS = {
    "colour": "Its colour is {} and pale . People see it by day .",
    "weight": "It weighs {} kilograms at most . Nobody lifts it .",
    "home": "It lives near {} water . The place is quiet .",
    "price": "It costs {} coins a year . Prices rise in spring .",
}
VALUES = (
    "red",
    "nine",
    "deep",
    "forty",
    "green",
    "seven",
    "salt",
    "sixty",
    "blue",
    "three",
    "cold",
    "ninety",
)


def write_set(folder: Path) -> Path:
    """Twelve subjects with four documents each, and a question about every document."""
    (folder / "qrels").mkdir(parents=True)
    documents, queries, labels = [], [], ["query-id\tcorpus-id\tscore"]
    for number, subject in enumerate(SUBJECTS):
        for place, (fact, text) in enumerate(FACTS.items()):
            name = f"{subject}-{fact}"
            value = VALUES[(number + place) % len(VALUES)]
            documents.append(
                {"_id": name, "title": subject, "text": f"This is about {subject} . {text.format(value)}"}
            )
            queries.append({"_id": f"q-{name}", "text": f"what is the {fact} of {subject}"})
            labels.append(f"q-{name}\t{name}\t1")
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    (folder / "qrels" / "train.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    return folder


def tiny_bi_encoder(folder: Path) -> Path:
    """A bi-encoder of two random layers, 32 wide, saved as sentence-transformers saves one."""
    words = {word for text in FACTS.values() for word in text.lower().split()} | set(FACTS) | set(SUBJECTS)
    words |= set(VALUES) | {"what", "is", "the", "of", "this", "about", "title"}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    raw = folder.parent / f"{folder.name}-raw"
    BertModel(config).save_pretrained(raw)
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, model_input_names=inputs, **names
    ).save_pretrained(raw)
    transformer = Transformer(str(raw), max_seq_length=128)
    SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu").save_pretrained(str(folder))
    return folder


class HashEncoder:
    """Vectors that count words, in 64 dimensions; enough for mining to have an order."""

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, sum(map(ord, word)) % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.passages(texts)
