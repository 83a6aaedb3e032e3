"""Small models with the real architectures, random weights from a seed, in the layout that the hub's have."""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ingest.models.resolve import bundled_encoder_folder
from tests.parts.later import later

torch = later("torch")
save_file = later("safetensors.torch", "save_file")

WORDS = (
    "true",
    "false",
    "Query",
    "Document",
    "Relevant",
    "snake",
    "boa",
    "venom",
    "bank",
    "river",
    "python",
)
COLBERT_DIM = 16


def make_cross_encoder(folder: Path, places: int = 128) -> Path:
    """A BERT cross-encoder of 2 layers, 32 wide, as sentence-transformers saves it."""
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification

    raw = folder.with_name(folder.name + "-raw")
    raw.mkdir(parents=True)
    copy_bert_tokenizer(raw)
    torch.manual_seed(11)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=places, num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(raw)
    CrossEncoder(str(raw), max_length=places).save_pretrained(str(folder))
    return folder


def make_monot5(folder: Path) -> Path:
    """A T5 of 2 layers with a SentencePiece vocabulary: some whole words, and single characters for the others."""
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    tokenizer = _unigram("<pad>", "</s>", "<unk>")
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = T5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, initializer_factor=1.0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def make_electra(folder: Path) -> Path:
    """What ms-marco-electra-base is: ELECTRA, with embeddings narrower than its layers and a head of two layers."""
    from transformers import ElectraConfig, ElectraForSequenceClassification

    folder.mkdir(parents=True)
    copy_bert_tokenizer(folder)
    torch.manual_seed(13)
    config = ElectraConfig(
        vocab_size=30522, embedding_size=16, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128, num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    ElectraForSequenceClassification(config).save_pretrained(folder)
    return folder


def make_xlm_roberta(folder: Path, places: int = 130) -> Path:
    """What bge-reranker is: an XLM-RoBERTa with one output, which has no token types and marks pairs in its own way."""
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification

    tokenizer = _unigram("<s>", "<pad>", "</s>", "<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", pad_token="<pad>", eos_token="</s>",
        sep_token="</s>", unk_token="<unk>", model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(3)
    config = XLMRobertaConfig(
        vocab_size=1200, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=places, type_vocab_size=1, num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


def make_encoder(
    folder: Path, pooling: str, normalize: bool = True, dense: int | None = None, places: int = 64
) -> Path:
    """A BERT bi-encoder of 2 layers, 32 wide, as sentence-transformers saves it: pooling, a dense layer, length 1."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    raw = folder.with_name(folder.name + "-raw")
    raw.mkdir(parents=True)
    copy_bert_tokenizer(raw)
    torch.manual_seed(17)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=places, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(raw)
    modules = [Transformer(str(raw)), Pooling(32, pooling_mode=pooling)]
    modules += [Dense(32, dense)] if dense else []
    modules += [Normalize()] if normalize else []
    SentenceTransformer(modules=modules).save(str(folder))
    return folder


def _unigram(*special: str) -> Tokenizer:
    words = [(f"▁{word}", -2.0) for word in WORDS]
    letters = [(mark, -6.0) for mark in "▁" + string.ascii_letters + string.digits + string.punctuation]
    vocabulary = [*((token, 0.0) for token in special), *words, *letters]
    tokenizer = Tokenizer(models.Unigram(vocabulary, special.index("<unk>")))
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    return tokenizer


def make_colbert(folder: Path, recipe: dict[str, object] | None = None) -> Path:
    """A BERT of 2 layers and a projection to `COLBERT_DIM`, under the names that ColBERT's authors save them by."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True)
    copy_bert_tokenizer(folder)
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=128, initializer_range=0.3, architectures=["HF_ColBERT"],
    )  # fmt: skip
    config.save_pretrained(folder)
    weights = {f"bert.{name}": value for name, value in BertModel(config).state_dict().items()}
    weights["linear.weight"] = torch.randn(COLBERT_DIM, 32)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    if recipe is not None:
        (folder / "artifact.metadata").write_text(json.dumps(recipe))
    return folder


def make_modern_colbert(folder: Path, recipe: dict[str, object] | None = None) -> Path:
    """A ModernBERT of 2 layers and a projection to `COLBERT_DIM`, in the folders that PyLate saves; byte-level BPE."""
    from tokenizers import AddedToken, decoders, trainers
    from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)], trainer)
    tokenizer.add_tokens([AddedToken("[Q] ", normalized=False), AddedToken("[D] ", normalized=False)])
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ids)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]",
        unk_token="[UNK]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(5)
    config = ModernBertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=256, local_attention=16, global_attn_every_n_layers=2,
        initializer_range=0.5, pad_token_id=3, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(folder)
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": torch.randn(COLBERT_DIM, 32)}, folder / "1_Dense" / "model.safetensors")
    dense = {
        "in_features": 32, "out_features": COLBERT_DIM, "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }  # fmt: skip
    (folder / "1_Dense" / "config.json").write_text(json.dumps(dense))
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 119, "do_lower_case": false}')
    reading = {
        "query_prefix": "[Q] ", "document_prefix": "[D] ", "query_length": 32, "document_length": 120,
        "attend_to_expansion_tokens": False, "skiplist_words": list(string.punctuation),
    }  # fmt: skip
    (folder / "config_sentence_transformers.json").write_text(json.dumps(reading | (recipe or {})))
    return folder


def copy_bert_tokenizer(folder: Path) -> None:
    """The files of bert-base-uncased's tokenizer, from the bundled encoder."""
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(bundled_encoder_folder() / name, folder / name)
