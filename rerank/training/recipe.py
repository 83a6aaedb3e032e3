"""The bundled reranker, made again: fetch the documentation, derive pairs, train in two stages. One command.

    python -m rerank.training.recipe --squad DIR --medquad DIR --pubmedqa DIR --output DIR

The three folders are SQuAD v1.1's development set, MedQuAD and PubMedQA (PQA-L) in BEIR's layout. The
documentation comes from Debian 12's archive by ``apt-get download``, so this runs on Debian; a folder
made before by ``rerank.training.derive`` can be given with --derived instead.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import UsageError
from rerank.training import derive
from rerank.training.command import add_train_arguments, run_train

NAME = "second-look-reranker"
DERIVED = ("foldoc", "wordnet", "gnome", "gimp", "jargon", "postgresql", "debian-handbook")


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of ``secondlook train``: its documentation sets, its limits by set, and its own arguments.

    Of the ``unseen`` sets nothing is trained on: they say how the model does on matters that it never met.
    """

    documentation: tuple[str, ...]
    limits: Mapping[str, int]
    arguments: tuple[str, ...]
    unseen: tuple[str, ...] = ()


# The first stage teaches the head to read; the second has the bi-encoder's score in the softmax, so that what
# is learnt is what the bi-encoder does not know, and more kinds of documentation.
FIRST = Stage(
    DERIVED,
    {"medquad": 4500, "foldoc": 3000, "wordnet": 2500, "gimp": 600, "jargon": 900, "postgresql": 600},
    (
        *("--steps", "950", "--warmup", "90", "--rate", "8e-5", "--short", "0.75", "--seed", "0"),
        *("--validate-every", "300", "--validation-queries", "110", "--gate-queries", "150"),
    ),
)
SECOND = Stage(
    (*DERIVED, "python", "django"),
    FIRST.limits,  # and the same seed, so that what the first stage held out is held out still
    (
        *("--steps", "STEPS", "--warmup", "40", "--rate", "5e-5", "--short", "0.7", "--seed", "0"),
        *("--bi-weight", "20", "--head-factor", "4", "--cloze", "0.1", "--against", "bi-encoder"),
        *("--validate-every", "300", "--validation-queries", "150", "--gate-queries", "300"),
    ),
    unseen=("sqlite", "apache", "rust"),
)
LICENCES = {"squad": "CC BY-SA 4.0", "pubmedqa": "MIT", "medquad": "CC BY 4.0"}
LICENCE = (
    "Apache-2.0, as the base model's weights; learnt from texts under CC BY-SA 4.0 (SQuAD), CC BY 4.0 (MedQuAD), "
    "MIT (PubMedQA), CC BY-SA 3.0 (GNOME Help, The Debian Administrator's Handbook), GFDL (FOLDOC, GIMP manual), "
    "the WordNet 3.0, PostgreSQL, PSF (Python documentation) and BSD-3-Clause (Django documentation) licences, and the "
    "public domain (Jargon File)"
)


def fetch_documentation(root: Path) -> None:
    """Downloads and unpacks the packages that the stages' sets are made from. Raises ``UsageError`` off Debian."""
    packages = [
        source.package for source in derive.SOURCES if source.name in (*SECOND.documentation, *SECOND.unseen)
    ]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["/usr/bin/apt-get", "download", *packages], cwd=folder, check=True)
            for archive in sorted(Path(folder).glob("*.deb")):
                subprocess.run(["/usr/bin/dpkg", "-x", str(archive), str(root)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(
                f"The documentation cannot be fetched from Debian's archive here ({error}). "
                "Derive it elsewhere and name the folder with --derived."
            ) from error


def train_arguments(stage: Stage, options: argparse.Namespace, derived: Path, output: Path) -> list[str]:
    """The command line of ``secondlook train`` that is one stage, without its base."""
    sets = {"squad": options.squad, "pubmedqa": options.pubmedqa, "medquad": options.medquad}
    arguments = [str(folder) for folder in sets.values()]
    arguments += [str(derived / name) for name in (*stage.documentation, *stage.unseen)]
    for name, limit in stage.limits.items():
        folder = sets.get(name)
        arguments += ["--limit", f"{folder.name if folder else name}={limit}"]
    for name in stage.unseen:
        arguments += ["--unseen", name]
    for name, licence in LICENCES.items():
        arguments += ["--data-licence", f"{sets[name].name}={licence}"]
    arguments += ["--output", str(output), "--name", NAME, "--licence", LICENCE, *stage.arguments]
    return [*arguments, "--threads", str(options.threads)]


def main(given: list[str] | None = None) -> int:
    """Makes the model; resumed by the same command where it was stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in LICENCES:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--derived", type=Path, help="what rerank.training.derive wrote, if there already")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(given)
    derived = options.derived or options.output / ".training" / "documentation"
    if not derived.is_dir():
        with tempfile.TemporaryDirectory() as root:
            fetch_documentation(Path(root))
            derive.main(["--root", root, "--output", str(derived)])
    first = options.output / ".training" / "first-stage"
    if not (first / "training.json").is_file():  # written last: without it the stage goes on where it stopped
        _train(train_arguments(FIRST, options, derived, first))
    return _train([*train_arguments(SECOND, options, derived, options.output), "--base", str(first)])


def _train(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    return run_train(parser.parse_args(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
