"""How to convert a checkpoint whose published weights are pickled, once.

A pickle can run a program when it is loaded. Second Look therefore reads safetensors and ONNX only, and leaves the
conversion to a command that a person types, with the name and the commit in sight.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from ingest.models.spec import ModelSpec

# What transformers loads an architecture with, and what reads its tokenizer in its published form (a spiece.model).
# The rest that this takes, protobuf among it, comes with Second Look itself.
_CLASSES = {"monot5": "AutoModelForSeq2SeqLM"}
_TOKENIZERS = {"monot5": "sentencepiece==0.2.3"}


def conversion(spec: ModelSpec) -> str:
    """How ``spec``, whose published files cannot be loaded as they are, is converted: to go behind a sentence."""
    needed = _TOKENIZERS.get(spec.architecture, "").partition("==")[0]
    installs = f"installs {needed}, which reads its vocabulary, and " if needed else ""
    return (
        f", with this command, which {installs}fetches it from the hub: "
        f"{_command(spec.name, spec.revision, spec.architecture)} and then name the folder: "
        f"./{spec.name.rpartition('/')[2]}"
    )


def _command(name: str, revision: str, architecture: str) -> str:
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
