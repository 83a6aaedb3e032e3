"""The one way in which a model's files become a model: none is unpickled, no code is run, and nothing is fetched.

The folder is looked at first (`ingest.models.folder.check`); then what loads it is told so by name, which goes before
whatever the folder says. What goes wrong is a sentence, as folders come from anywhere and loaders raise anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tokenizers import Tokenizer

from ingest.errors import ModelDamagedError, ModelError, SecondLookError
from ingest.models.folder.check import check_model
from ingest.models.folder.json_files import read_json, shown
from ingest.models.folder.setting_checks import refused
from ingest.models.folder.weights import stored_numbers

if TYPE_CHECKING:  # torch takes seconds to import
    from sentence_transformers.base.modules import Transformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Model = TypeVar("Model")
_HERE_ONLY = {"local_files_only": True, "trust_remote_code": False}
_SAFELY = {"use_safetensors": True, "weights_only": True}
# A model may have more than its file holds: weights that are used twice, a decoder that is not needed.
_MOST_ROOM, _ROOM_FOR_ANY = 4, 10_000_000


def load_sentence_model(
    kind: Callable[..., Model], folder: Path, *, attention: str | None = None, **options: Any
) -> Model:
    """A model of sentence-transformers (`SentenceTransformer`, `CrossEncoder`) from ``folder``.

    ``attention`` is how it is computed, the library's choice where ``None``. Raises `ModelError` where it cannot be
    loaded.
    """
    model_kwargs = _SAFELY | ({"attn_implementation": attention} if attention else {})
    with _loading(folder):
        return kind(str(folder), **_HERE_ONLY, model_kwargs=model_kwargs, **options)


def load_transformer(folder: Path, max_length: int, attention: str) -> Transformer:
    """The transformer alone of a sentence-transformers model; raises as `load_sentence_model`."""
    from sentence_transformers.base.modules import Transformer

    with _loading(folder):
        loaded: Transformer = Transformer(
            str(folder),
            max_seq_length=max_length,
            model_kwargs=_HERE_ONLY | _SAFELY | {"attn_implementation": attention},
            processor_kwargs=dict(_HERE_ONLY),
            config_kwargs=dict(_HERE_ONLY),
        )
        return loaded


def load_pretrained(kind: Any, folder: Path, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A model of transformers by its class ``kind``, and what was missing of it; raises as `load_sentence_model`."""
    with _loading(folder):
        loaded: tuple[PreTrainedModel, dict[str, Any]] = kind.from_pretrained(
            str(folder), **_HERE_ONLY, **_SAFELY, output_loading_info=True, **options
        )
        return loaded


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model as transformers loads it; raises as `load_sentence_model`."""
    from transformers import AutoTokenizer

    with _loading(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(folder), **_HERE_ONLY)
        return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a ``tokenizer.json``. Raises `ModelDamagedError` for one that is none."""
    with in_a_sentence(f"The tokenizer {path} cannot be read", ModelDamagedError):
        return Tokenizer.from_file(str(path))


@contextmanager
def in_a_sentence(what: str, kind: type[ModelError] = ModelError) -> Iterator[None]:
    """Whatever is raised inside, but for our own errors, becomes ``what`` and the reason."""
    try:
        yield
    except SecondLookError:
        raise
    except BaseException as error:
        # Rust's panics are no exceptions by their class.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        raise kind(f"{what}: {shown(why, 300)}. Fetch the model again, or choose another.") from error


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    with in_a_sentence(f"The model in {folder} cannot be loaded"):
        check_model(folder)
        _require_weights(folder)
        yield


def _require_weights(folder: Path) -> None:
    """Raise `ModelDamagedError` where the configuration wants many times what the weights hold.

    A loader makes room for what is lacking, and a number in a text file would fill the memory of the machine.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    if not (folder / "config.json").is_file():
        return
    if not read_json(folder / "config.json").get("model_type"):  # it would be guessed by the folder's name
        raise refused(folder / "config.json", "model_type", None)
    config = AutoConfig.from_pretrained(str(folder), **_HERE_ONLY)
    with torch.device("meta"):  # where nothing has a size in bytes
        model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    needed_numbers = sum(part.numel() for part in (*model.parameters(), *model.buffers()))
    stored_count = stored_numbers(folder)
    if needed_numbers > _MOST_ROOM * stored_count + _ROOM_FOR_ANY:
        raise ModelDamagedError(
            f"{folder / 'config.json'} describes a model of {needed_numbers:,} numbers, and its weights hold "
            f"{stored_count:,}. Fetch the model again."
        )
