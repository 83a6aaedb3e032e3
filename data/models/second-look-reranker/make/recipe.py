"""The bundled reranker, made again: fetch the documentation, derive pairs, train twice, blend, judge. One command.

    python data/models/second-look-reranker/make/recipe.py --squad DIR --medquad DIR --pubmedqa DIR --output DIR

The three folders are SQuAD v1.1's development set, MedQuAD and PubMedQA (PQA-L) in BEIR's layout. The
documentation comes from Debian 12's archive by ``apt-get download``, so this runs on Debian; a folder
made before by ``derive.py`` can be given with --derived instead. What was made of the stages stays in
OUTPUT/.training, and a stage that is finished there is not run again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import blend
import derive

from ingest.errors import UsageError
from ingest.models.encoders import BUNDLED_ENCODER
from rerank.training.card import model_card
from ui.command_line.train import run_train
from ui.command_line.train_arguments import add_train_arguments

NAME = "second-look-reranker"
LIMITS = {"medquad": 4500, "foldoc": 3000, "wordnet": 2500, "gimp": 600, "jargon": 900, "postgresql": 600}
DERIVED = ("foldoc", "wordnet", "gnome", "gimp", "jargon", "postgresql", "debian-handbook")
DERIVED_LATER = ("python", "django")
UNSEEN = ("sqlite", "apache", "rust")  # chosen and judged by, never trained on
LICENCES = {"squad": "CC BY-SA 4.0", "pubmedqa": "MIT", "medquad": "CC BY 4.0"}
LICENCE = (
    "Apache-2.0, as the base model's weights; learnt from texts under CC BY-SA 4.0 (SQuAD), CC BY 4.0 (MedQuAD), "
    "MIT (PubMedQA), CC BY-SA 3.0 (GNOME Help, The Debian Administrator's Handbook), GFDL (FOLDOC, GIMP manual), "
    "the WordNet 3.0, PostgreSQL, Python and Django licences, and the public domain (Jargon File)"
)
# Chosen on held-out queries of sets trained on and on matters unseen: docs/model-card.md has the table.
SHARES = {"bi-encoder": 0.25, "first": 0.25, "second": 0.5}
INTERACTION = 20.0

FIRST = ("--interaction", "0", "--warmup", "90", "--rate", "8e-5", "--short", "0.75")
FIRST_JUDGED = ("--validate-every", "300", "--validation-queries", "110", "--gate-queries", "150")
SECOND = (
    "--bi-weight",
    "20",
    "--head-factor",
    "4",
    "--cloze",
    "0.1",
    "--warmup",
    "40",
    "--rate",
    "5e-5",
    "--short",
    "0.7",
)
JUDGED = ("--validation-queries", "150", "--gate-queries", "300", "--against", "bi-encoder")


def fetch_documentation(root: Path) -> None:
    """Downloads and unpacks the packages that documentation is derived from. Raises ``UsageError`` off Debian."""
    wanted = (*DERIVED, *DERIVED_LATER, *UNSEEN)
    packages = [source.package for source in derive.SOURCES if source.name in wanted]
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


def train_arguments(
    options: argparse.Namespace, derived: Path, names: Sequence[str], output: Path, more: Sequence[str]
) -> list[str]:
    """The command line of ``secondlook train`` for a stage over the three sets and the documentation ``names``."""
    sets = {"squad": options.squad, "pubmedqa": options.pubmedqa, "medquad": options.medquad}
    arguments = [str(folder) for folder in sets.values()]
    arguments += [str(derived / name) for name in names]
    for name, limit in LIMITS.items():
        folder = sets.get(name)
        arguments += ["--limit", f"{folder.name if folder else name}={limit}"]
    for name, licence in LICENCES.items():
        arguments += ["--data-licence", f"{sets[name].name}={licence}"]
    arguments += ["--output", str(output), "--name", NAME, "--licence", LICENCE]
    arguments += ["--vectors", str(options.output / ".training" / "vectors")]
    return [*arguments, *more, "--threads", str(options.threads), "--seed", "0"]


def make(options: argparse.Namespace, derived: Path) -> int:
    """Both trainings, their blend and its judgement; returns the last command's status."""
    work = options.output / ".training"
    first, second, mean = (work / name for name in ("first", "second", "blend"))
    everything = (*DERIVED, *DERIVED_LATER, *UNSEEN)
    unseen = [item for name in UNSEEN for item in ("--unseen", name)]
    stages = (
        (first, DERIVED, (*FIRST, *FIRST_JUDGED, "--steps", str(options.steps))),
        (second, everything, (*SECOND, *JUDGED, *unseen, "--base", str(first))),
    )
    for folder, names, more in stages:
        if not (folder / "training.json").is_file():
            _train(train_arguments(options, derived, names, folder, more))
    folders = {"bi-encoder": BUNDLED_ENCODER, "first": first, "second": second}
    shares = [f"{folders[name]}={share}" for name, share in SHARES.items()]
    if blend.main([*shares, "--output", str(mean), "--interaction", str(INTERACTION)]):
        return 2
    more = ("--epochs", "0", *JUDGED, *unseen, "--base", str(mean), "--base-name", BUNDLED_ENCODER)
    status = _train(train_arguments(options, derived, everything, options.output, more))
    _write_stages(options.output, (first, second))
    return status


def _train(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    return run_train(parser.parse_args(arguments))


def _write_stages(output: Path, stages: Sequence[Path]) -> None:
    """Adds to training.json, and to the card made from it, what each stage saw and how they were blended."""
    path = output / "training.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    kept = ("settings", "pairs", "training_queries", "validation", "gate", "data")
    found = [json.loads((stage / "training.json").read_text(encoding="utf-8")) for stage in stages]
    report["stages"] = [{name: stage[name] for name in kept} for stage in found]
    report["blend"] = {"shares": SHARES, "interaction": INTERACTION}
    path.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    (output / "README.md").write_text(model_card(report), encoding="utf-8")


def main(given: list[str] | None = None) -> int:
    """Makes the model; resumed by the same command where it was stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in LICENCES:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--derived", type=Path, help="what derive.py wrote, if there already")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=950)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(given)
    derived = options.derived or options.output / ".training" / "documentation"
    if not derived.is_dir():
        with tempfile.TemporaryDirectory() as root:
            fetch_documentation(Path(root))
            derive.main(["--root", root, "--output", str(derived)])
    return make(options, derived)


if __name__ == "__main__":
    raise SystemExit(main())
