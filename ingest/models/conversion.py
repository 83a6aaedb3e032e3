"""Checkpoints whose published weights are pickled: why they are not loaded as they are, and how to convert them once.

A pickle can run a program when it is loaded. Second Look therefore reads safetensors and ONNX only, and leaves the
conversion to a command that a person types, with the name and the commit in sight.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from ingest.errors import ModelNotFoundError
from ingest.models.spec import ModelSpec

# What transformers loads an architecture with, and what reads its tokenizer in its published form (a spiece.model).
# The rest that this takes, protobuf among it, comes with Second Look itself.
_CLASSES = {"monot5": "AutoModelForSeq2SeqLM"}


_TOKENIZERS = {"monot5": "sentencepiece==0.2.3"}


CONVERT = "pickled on the hub: convert it once"


def conversion(name: str, revision: str, architecture: str) -> str:
    """The command that writes a folder of safetensors, named as the model, into the working folder.

    It runs the Python that runs this, because that one has transformers and torch in the versions that are tested here.
    transformers unpickles with ``torch.load(weights_only=True)``, which makes tensors and nothing else.
    """
    model = _CLASSES.get(architecture, "AutoModelForSequenceClassification")
    folder = name.rpartition("/")[2]
    program = (
        f"from transformers import AutoTokenizer, {model}; "
        f"[kind.from_pretrained('{name}', revision='{revision}').save_pretrained('{folder}') "
        f"for kind in (AutoTokenizer, {model})]"
    )
    python = _quoted(sys.executable or "python")
    needed = _TOKENIZERS.get(architecture)
    first = f"{python} -m pip install {needed} && " if needed else ""
    return f'{first}{python} -c "{program}"'


def _quoted(path: str) -> str:
    """A path as the shell of this system takes it."""
    return subprocess.list2cmdline([path]) if os.name == "nt" else shlex.quote(path)


def not_loaded(spec: ModelSpec) -> ModelNotFoundError:
    """That the published files of ``spec`` cannot be loaded as they are, and what to do."""
    why = f"{spec.name}: its published weights are pickled"
    needed = _TOKENIZERS.get(spec.architecture, "").partition("==")[0]
    installs = f"installs {needed}, which reads its vocabulary, and " if needed else ""
    return ModelNotFoundError(
        f"The model {spec.name} cannot be loaded as it is published: its weights are pickled, and a pickle can run a "
        f"program. Convert it once, in a folder of your own, with this command, which {installs}fetches it from "
        f"the hub: {conversion(spec.name, spec.revision, spec.architecture)}"
        f" and then name the folder: ./{spec.name.rpartition('/')[2]}",
        (why,),
    )
