"""What may stand in a model's folder. It is looked at before anything of it is loaded.

The loaders do much that a folder asks of them: open a pickle in place of the weights, fetch code, import a class by its
name, make room for a billion layers. So only what is known to do none of that is let through
(`ingest.models.folder.known_settings`), and what is not is refused by the file's and the key's name. That holds for any
folder, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ingest.errors import ModelDamagedError, ModelNotFoundError
from ingest.models.folder import known_settings as known
from ingest.models.folder.json_files import read_json, read_json_list, shown, values_of
from ingest.models.folder.setting_checks import Check, check_keys, refused, text, texts, tokenizer_class
from ingest.models.folder.weights import WEIGHTS, require_safetensors

NOT_READ = {
    "adapter_config.json": "the folder holds an adapter, which loads another model that it names",
    "processor_config.json": "the model reads more than text",
    "preprocessor_config.json": "the model reads more than text",
    "video_preprocessor_config.json": "the model reads more than text",
}


def check_model(folder: Path) -> None:
    """Raise `ModelError` where the folder holds, or asks for, anything but a text model in safetensors or ONNX."""
    try:
        modules = _modules(folder)
        _check_files(folder, modules)
        require_safetensors(folder)
        _check_transformer(folder)
        for place, kind in modules.items():
            _MODULES[kind](folder / place)
        _check_some(folder / "config_sentence_transformers.json", known.PROMPTS)
        _check_some(folder / "artifact.metadata", known.RECIPE)
    except OSError as error:
        what = f"{error.filename or folder} cannot be read: {error.strerror or error}."
        raise ModelDamagedError(what) from error


def check_head(folder: Path) -> None:
    """Raise `ModelError` where the folder holds no head of ours (`rerank.training.head`) as it was saved."""
    path = folder / "config.json"
    settings = check_keys(path, known.HEAD)
    wide, hidden = _number_of(path, settings, "width"), _number_of(path, settings, "hidden")
    _check_room(folder, path, "width", wide, 2 * wide * hidden)


def _modules(folder: Path) -> dict[str, str]:
    """The folders of the modules within the model's, each with its kind. The model's own folder is ""."""
    path, names = folder / "modules.json", dict[str, str]()
    for module in read_json_list(path):
        if not isinstance(module, dict):
            raise ModelDamagedError(
                f"{path} lists {shown(module)}, which is no module. Fetch the model again."
            )
        kind, place = module.get("type"), module.get("path")
        name = kind.rpartition(".")[2] if isinstance(kind, str) else ""
        if name not in _MODULES or not _MODULE_CLASS.fullmatch(str(kind)):
            raise refused(path, "type", kind)
        if not isinstance(place, str) or not _stays_within(place):
            raise ModelDamagedError(
                f"{path} names a module outside of its folder ({shown(place)}). Fetch the model again."
            )
        text(path, "name", module.get("name"))
        if strange := module.keys() - {"idx", "name", "path", "type"}:
            raise refused(path, min(strange), module[min(strange)])
        if not Path(place).parts and name != "Transformer":
            raise refused(path, "path", place)
        names[place] = name
    return names


def _stays_within(place: str) -> bool:
    """Whether a relative path goes down only, on whichever system."""
    parts = re.split(r"[/\\]", place)
    return ".." not in parts and not Path(place).is_absolute() and not re.search(r"[\0:\\]", place)


def _check_files(folder: Path, modules: Mapping[str, str]) -> None:
    """Nothing leads out of the folder, but into the blobs of the hub's cache, and each file is one that ends."""
    home = folder.resolve()
    homes = (home, home.parent.parent / "blobs")
    for path in _entries(folder, modules):
        goal = path.resolve()
        if not any(goal.is_relative_to(place) for place in homes):
            raise ModelDamagedError(
                f"{path} is a link that leads out of the model's folder. Put the file itself there."
            )
        if not (goal.is_file() or goal.is_dir()):  # a link to nothing, a pipe, a device
            raise ModelDamagedError(f"{path} is no file that can be read. Put the file itself there.")
        if path.name.endswith(".index.json"):
            _check_index(path)
    for name, why in NOT_READ.items():
        if (folder / name).exists():
            raise ModelDamagedError(f"{folder / name}: {why}. Choose another model.")


def _entries(folder: Path, modules: Mapping[str, str]) -> Iterator[Path]:
    """What lies in the folder, and in the folders of its modules."""
    for place in {"", *modules}:
        if (folder / place).is_dir():
            yield from sorted((folder / place).iterdir())


def _check_index(path: Path) -> None:
    """An index names shards in safetensors that lie beside it, as files."""
    if not path.name.endswith(".safetensors.index.json"):
        why = f"{path} is an index of weights that are no safetensors; they are not loaded, for safety. Remove it."
        raise ModelNotFoundError(why, [why])
    shards = read_json(path).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise refused(path, "weight_map", shards)
    for shard in shards.values():
        is_name = isinstance(shard, str) and not re.search(r"[/\\\0]", shard)
        if not is_name or not shard.endswith(".safetensors"):
            why = (
                f"{path} names weights in “{shown(shard)}”, which is no safetensors file beside it; pickled weights "
                "are not loaded, for safety."
            )
            raise ModelNotFoundError(why, [why])
        if not (path.parent / shard).is_file():
            raise ModelDamagedError(
                f"{path} names {shown(shard)}, which is not there. Fetch the model again."
            )


def _check_transformer(folder: Path) -> None:
    _check_config(folder / "config.json")
    for path in sorted(folder.glob("sentence_*_config.json")):
        check_keys(path, known.READING)
    _check_tokenizer(folder / "tokenizer_config.json")


def _check_config(path: Path) -> None:
    """A transformer's configuration: an architecture that is known, no code's name, and no absurd number."""
    config = read_json(path)
    kind = config.get("model_type")
    if kind is not None and not (isinstance(kind, str) and kind in known.TEXT_MODELS):
        raise refused(path, "model_type", kind)
    texts(path, "architectures", config.get("architectures"))
    if not isinstance(config.get("sentence_transformers") or {}, dict):
        raise refused(path, "sentence_transformers", config["sentence_transformers"])
    for key in known.SIZES:
        if config.get(key) is not None and (type(config[key]) is not int or config[key] < 0):
            raise refused(path, key, config[key])
    for key, place, value in values_of(config):
        _refuse_code(path, key, place, value)
        if key in known.ANYWHERE:
            known.ANYWHERE[key](path, place, value)
        elif key.endswith("name_or_path"):
            text(path, place, value)
        elif type(value) is int and abs(value) > _most(key):
            raise refused(path, place, value)


def _most(key: str) -> int:
    return next((most for word, most in known.LIMITS.items() if word in key), known.LARGEST)


def _check_tokenizer(path: Path) -> None:
    settings = read_json(path)
    tokenizer_class(path, "tokenizer_class", settings.get("tokenizer_class"))
    for key, place, value in values_of(settings):
        _refuse_code(path, key, place, value)
    for key, value in settings.items():
        if key.endswith("_file") and isinstance(value, str) and _is_elsewhere(path.parent, value):
            raise refused(path, key, value)


def _is_elsewhere(folder: Path, name: str) -> bool:
    """Whether a file that is named is there, and not in the folder; paths of the machine it was made on are not."""
    if "\0" in name or len(name) > 1000:
        return False
    return not (folder / name).resolve().is_relative_to(folder.resolve()) and (folder / name).exists()


def _check_some(path: Path, checks: Mapping[str, Check]) -> None:
    """A file that may say more than is looked at, as nothing of it is handed to a loader."""
    settings = read_json(path)
    for key, check in checks.items():
        check(path, key, settings.get(key))
    for key, place, value in values_of(settings):
        _refuse_code(path, key, place, value)


def _refuse_code(path: Path, key: str, place: str, value: object) -> None:
    if key in known.CODE_KEYS and value is not None and value is not False:
        raise refused(path, place, value)


def _check_dense(folder: Path) -> None:
    path = folder / "config.json"
    settings = check_keys(path, known.DENSE)
    wide, narrow = _number_of(path, settings, "in_features"), _number_of(path, settings, "out_features")
    _check_room(folder, path, "in_features", wide, wide * narrow)


def _number_of(path: Path, settings: Mapping[str, Any], key: str) -> int:
    number = settings.get(key)
    if type(number) is not int:
        raise refused(path, key, number)
    return number


def _check_room(folder: Path, path: Path, key: str, value: int, numbers: int) -> None:
    """The weights beside the settings hold so many numbers: room is made for them before they are read."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ModelDamagedError(f"{weights} is not there. Fetch the model again.")
    if numbers > weights.stat().st_size:
        raise refused(path, key, value)


def _settings_of(checks: Mapping[str, Check]) -> Callable[[Path], None]:
    """A check of a module that has no weights, or few: only of its settings."""

    def check(folder: Path) -> None:
        check_keys(folder / "config.json", checks)

    return check


# By the last part of their class's name: sentence-transformers' own, PyLate's, or ours.
_MODULE_CLASS = re.compile(r"(sentence_transformers|pylate\.models|rerank\.training\.head)(\.[A-Za-z_]+)+")
_MODULES: Mapping[str, Callable[[Path], None]] = {
    "Transformer": _check_transformer,
    "Pooling": _settings_of(known.POOLING),
    "Dense": _check_dense,
    "Normalize": _settings_of(known.NORMALIZE),
    "MultiVectorMask": _settings_of(known.TOKEN_MASK),
    "LayerNorm": _settings_of(known.LAYER_NORM),
    "Dropout": _settings_of(known.DROPOUT),
    "LogitScore": _settings_of(known.LOGIT),
    "SegmentCosineHead": check_head,
}
