"""A folder of a model with one file changed: it is loaded and gives a vector, or is refused in a sentence."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import ModelError
from ingest.models.hub import Hub
from ingest.models.resolve import resolve_encoder
from rerank.factory import open_scorer
from rerank.registry import resolve_reranker
from tests.parts.tiny_models import make_encoder

# What is written over: an encoder's own files, and those that a folder may have besides.
FILES = (
    "config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    "tokenizer_config.json", "1_Pooling/config.json", "2_Dense/config.json", "model.safetensors.index.json",
    "pytorch_model.bin.index.json", "adapter_config.json", "secondlook.json", "artifact.metadata",
    "special_tokens_map.json", "model.safetensors", "2_Dense/model.safetensors", "tokenizer.json",
)  # fmt: skip
LINK = b"->"


@functools.cache
def _made() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory(prefix="second-look-fuzz-")
    return folder, make_encoder(Path(folder.name) / "sound", "mean", dense=16)


def open_folder(data: bytes) -> None:
    """The first line names the file of `FILES` that the rest is written to; after ``->`` stands where a link leads."""
    named, _, content = data.partition(b"\n")
    name = named.decode("utf-8", "replace")
    name = name if name in FILES else FILES[len(data) % len(FILES)]
    work, sound = _made()
    folder = Path(work.name) / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder, copy_function=os.link)
    _write(folder / name, content)
    for use in (_as_encoder, _as_reranker):
        try:
            use(folder)
        except ModelError as error:
            if not (str(error).endswith(".") and len(str(error)) < 1500 and str(error).isprintable()):
                raise AssertionError(f"no sentence: {error}") from error


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    goal = content.removeprefix(LINK)
    if content.startswith(LINK) and goal and b"\0" not in goal and len(goal) < 200:
        path.symlink_to(os.fsdecode(goal))
    else:
        path.write_bytes(content)


def _as_encoder(folder: Path) -> None:
    vector = SentenceTransformerEncoder(
        resolve_encoder(str(folder), Hub(allow_downloads=False))
    ).encode_query("a boa")
    if vector.ndim != 1:
        raise AssertionError("no vector")


def _as_reranker(folder: Path) -> None:
    model = resolve_reranker(str(folder), Hub(allow_downloads=False))
    if (
        model.spec.architecture != "cross-encoder"
    ):  # an encoder has no head, which is refused after a second load
        open_scorer(model, wait=False)


def seeds() -> Iterator[bytes]:
    """The sound folder's own small files, and what was once heard of."""
    _, sound = _made()
    for name in FILES:
        path = sound / name
        if path.is_file() and path.stat().st_size < 10_000:
            yield name.encode() + b"\n" + path.read_bytes()
    yield from HEARD_OF


HEARD_OF = (
    b'sentence_bert_config.json\n{"model_args": {"use_safetensors": false, "weights_only": false}}',
    b'pytorch_model.bin.index.json\n{"weight_map": {"a": "weights.txt"}}',
    b'model.safetensors.index.json\n{"weight_map": {"a": "../weights.safetensors"}}',
    b'modules.json\n[{"name": "0", "path": "../x", "type": "sentence_transformers.models.Transformer"}]',
    b'config.json\n{"model_type": "bert", "hidden_size": 1000000000, "num_hidden_layers": 99999999}',
    b'config.json\n{"model_type": "bert", "vocab_size": 100000000, "hidden_size": 1024}',
    b'config.json\n{"model_type": "bert", "hidden_size": NaN, "return_dict": false}',
    b'config.json\n{"model_type": "bert", "quantization_config": {"quant_method": "gptq"}}',
    b'config.json\n{"model_type": "bert", "auto_map": {"AutoModel": "a/b--c.D"}, "attn_implementation": "a/b"}',
    b"config.json\n" + b"[" * 5000,
    b'tokenizer_config.json\n{"tokenizer_class": "os.system", "model_max_length": 1e999}',
    b'tokenizer_config.json\n{"vocab_file": "/etc/passwd"}',
    b'2_Dense/config.json\n{"in_features": 1000000, "out_features": 1000000}',
    b'2_Dense/config.json\n{"in_features": 32, "out_features": 16, "activation_function": "torch.hub.load"}',
    b'secondlook.json\n{"name": "a", "architecture": "cohere", "files": {"../x": ""}, "version": "1"}',
    b"config.json\n->/dev/zero",
    b"model.safetensors\n->../../elsewhere",
    b"model.safetensors\n->nothing",
    b"tokenizer.json\n\xff\xfe{}",
    b"model.safetensors\ncut",
)
