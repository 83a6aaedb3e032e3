"""The bundled reranker, made again: fetch the documentation, derive pairs, train. One command.

    python -m rerank.training.recipe --squad DIR --medquad DIR --pubmedqa DIR --output DIR

The three folders are SQuAD v1.1's development set, MedQuAD and PubMedQA (PQA-L) in BEIR's layout. The
documentation comes from Debian 12's archive by ``apt-get download``, so this runs on Debian; a folder
made before by ``rerank.training.derive`` can be given with --derived instead.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from ingest.errors import UsageError
from rerank.training import derive
from rerank.training.command import add_train_arguments, run_train

NAME = "second-look-reranker"
LIMITS = {"medquad": 4500, "foldoc": 3000, "wordnet": 2500, "gimp": 600, "jargon": 900, "postgresql": 600}
DERIVED = ("foldoc", "wordnet", "gnome", "gimp", "jargon", "postgresql", "debian-handbook")
LICENCES = {"squad": "CC BY-SA 4.0", "pubmedqa": "MIT", "medquad": "CC BY 4.0"}
LICENCE = (
    "Apache-2.0, as the base model's weights; learnt from texts under CC BY-SA 4.0 (SQuAD), CC BY 4.0 (MedQuAD), "
    "MIT (PubMedQA), CC BY-SA 3.0 (GNOME Help, The Debian Administrator's Handbook), GFDL (FOLDOC, GIMP manual), "
    "the WordNet 3.0 and PostgreSQL licences, and the public domain (Jargon File)"
)


def fetch_documentation(root: Path) -> None:
    """Downloads and unpacks the packages that `DERIVED` is made from. Raises ``UsageError`` off Debian."""
    packages = [source.package for source in derive.SOURCES if source.name in DERIVED]
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


def train_arguments(options: argparse.Namespace, derived: Path) -> list[str]:
    """The command line of ``secondlook train`` that makes the model."""
    sets = {"squad": options.squad, "pubmedqa": options.pubmedqa, "medquad": options.medquad}
    arguments = [str(folder) for folder in sets.values()]
    arguments += [str(derived / name) for name in DERIVED]
    for name, limit in LIMITS.items():
        folder = sets.get(name)
        arguments += ["--limit", f"{folder.name if folder else name}={limit}"]
    for name, licence in LICENCES.items():
        arguments += ["--data-licence", f"{sets[name].name}={licence}"]
    arguments += ["--output", str(options.output), "--name", NAME, "--licence", LICENCE]
    arguments += ["--steps", str(options.steps), "--warmup", "90", "--rate", "8e-5", "--short", "0.75"]
    arguments += ["--validate-every", "300", "--validation-queries", "110", "--gate-queries", "150"]
    return [*arguments, "--threads", str(options.threads), "--seed", "0"]


def main(given: list[str] | None = None) -> int:
    """Makes the model; resumed by the same command where it was stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in LICENCES:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--derived", type=Path, help="what rerank.training.derive wrote, if there already")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=950)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(given)
    derived = options.derived or options.output / ".training" / "documentation"
    if not derived.is_dir():
        with tempfile.TemporaryDirectory() as root:
            fetch_documentation(Path(root))
            derive.main(["--root", root, "--output", str(derived)])
    train = argparse.ArgumentParser()
    add_train_arguments(train)
    return run_train(train.parse_args(train_arguments(options, derived)))


if __name__ == "__main__":
    raise SystemExit(main())
