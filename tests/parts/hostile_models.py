"""Model folders that would run a program if the loader did as they say: each leaves a mark where it did."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tests.parts.later import later

torch = later("torch")


class Mark:
    """What makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.place,)


def with_pickle(source: Path, folder: Path, mark: Path) -> Path:
    """A copy of the model in ``source``, its weights whole, and a pickle beside them that makes the folder ``mark``."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    torch.save(Mark(mark), folder / "pytorch_model.bin")
    return folder


def say(folder: Path, name: str, **more: object) -> None:
    """Write settings into one of the folder's files, beside those that it has."""
    path = folder / name
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(held | more), encoding="utf-8")


# What sentence-transformers hands on to the loader, which then prefers the pickle and lets it do what it likes.
PICKLE_FIRST = {"use_safetensors": False, "weights_only": False}


def prefer_pickle(folder: Path, key: str = "model_args") -> None:
    """Have the folder's settings ask for the pickle; of a folder that is no sentence-transformers one, make it one."""
    if not (folder / "modules.json").is_file():
        modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
        (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    say(folder, "sentence_bert_config.json", **{key: PICKLE_FIRST})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Where the type of numbers is not said, the loader reads it from the weights, before anything else.
    said = {name: value for name, value in config.items() if name not in ("dtype", "torch_dtype")}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
