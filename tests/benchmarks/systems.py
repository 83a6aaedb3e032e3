"""Every row of the table of systems in docs/models.md, by the command that shows it: python -m tests.benchmarks.systems

Bundled models run as they are. Checkpoints of the hub stand in as small models of the same architecture with random
weights, and services as local servers that speak their protocol: what is shown is that each works, not how good it is.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.machine import machine
from tests.integration.rerank.scorers.test_rerank_server import server_of
from tests.parts.embeddings_stub import embeddings
from tests.parts.rerank_stub import rerank_stub
from tests.parts.tiny_models import (
    make_colbert,
    make_cross_encoder,
    make_electra,
    make_encoder,
    make_modern_colbert,
    make_monot5,
    make_xlm_roberta,
)
from ui.settings import SAMPLE

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "constrictors-and-their-prey.md",
    "snakebite-first-aid.md",
    "keeping-a-ball-python.txt",
    "coffee-from-java.txt",
)
QUESTION = "which snake kills without venom?"
LINES = 4
MODELS: Mapping[str, Callable[[Path], Path]] = {
    "tiny-bert": make_cross_encoder, "tiny-electra": make_electra, "tiny-xlm-r": make_xlm_roberta,
    "tiny-t5": make_monot5, "tiny-colbert": make_colbert, "tiny-modern-colbert": make_modern_colbert,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One system: what it is, and the commands (without ``secondlook``) that show it, in this environment."""

    system: str
    commands: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def search(options: str) -> str:
    return f'search "{QUESTION}" --library library --offline --candidates 20 --top-k 2 {options}'.strip()


def rows(servers: Mapping[str, str]) -> Iterator[Row]:
    """All systems; ``servers`` are the addresses of the local ones."""
    yield Row("the bundled pair", (search("--reranker bundled"),))
    for system, folder in (
        ("ms-marco-MiniLM, -TinyBERT: a BERT of two layers", "tiny-bert"),
        ("ms-marco-electra-base: an ELECTRA of two layers", "tiny-electra"),
        ("bge-reranker: an XLM-R of two layers", "tiny-xlm-r"),
        ("monoT5: a T5 of two layers", "tiny-t5"),
        ("ColBERT: a BERT of two layers", "tiny-colbert"),
        ("GTE-ModernColBERT: a ModernBERT of two layers", "tiny-modern-colbert"),
    ):
        yield Row(system, (search(f"--reranker ./{folder}"),))
    yield Row("pickled checkpoints, refused with the way out", (search("--reranker monot5-base-msmarco"),))
    yield Row(
        "late interaction over the bundled encoder, computed and from stored token vectors",
        (search("--reranker maxsim"), f"ingest {FILES[0]} --library library --offline --token-vectors",
         search("--reranker maxsim")),
    )  # fmt: skip
    yield Row(
        "Cohere: the official client, on a local server", (search("--reranker cohere"),),
        {"COHERE_API_KEY": "a-key", "CO_API_URL": servers["rerank"]},
    )  # fmt: skip
    for system, name in (
        ("a server with /v1/rerank (Jina, vLLM, LiteLLM)", "rerank"), ("TEI at its bare address", "tei"),
        ("Infinity at its bare address", "infinity"),
    ):  # fmt: skip
        yield Row(system, (search("--reranker server:bge"),), {"SECONDLOOK_RERANK_URL": servers[name]})
    yield Row(
        "any sentence-transformers encoder: a BERT of two layers",
        (f"ingest {' '.join(FILES)} --library other --offline --encoder ./tiny-encoder",
         search("--reranker bundled").replace("library library", "library other")),
    )  # fmt: skip
    yield Row(
        "OpenAI's embeddings: the official client, on a local server",
        (f"ingest {' '.join(FILES)} --library openai --encoder openai:text-embedding-3-small@12",
         search("--reranker bundled").replace("library library", "library openai")),
        {"OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": f"{servers['embeddings']}/v1"},
    )  # fmt: skip
    yield Row("the words themselves: BM25, and both", (
        search("--reranker bundled --candidates-from words"), search("--reranker bundled --candidates-from both"),
    ))  # fmt: skip
    yield Row("fusion in a search", (
        search("--reranker bundled --fuse rrf"), search("--reranker bundled --fuse weighted:0.3"),
    ))  # fmt: skip
    yield Row("two rerankers side by side", (search("--reranker bundled --reranker ./tiny-xlm-r"),))
    yield Row("rerankers fused to one order", (
        search("--reranker bundled --reranker maxsim --fuse-rerankers rrf"),
        search("--reranker bundled --reranker maxsim --reranker ./tiny-xlm-r --fuse-rerankers weighted:0.3,0.3,0.1"),
    ))  # fmt: skip
    yield Row(
        "first looks, rerankers and fusions side by side, on judged questions",
        ("evaluate sample --offline --candidates-from vectors,words,both --rerankers none",
         "evaluate sample --offline --rerankers bundled,maxsim --candidates 5 --fusion --fuse-rerankers"),
    )  # fmt: skip


def show(row: Row, folder: Path) -> bool:
    """Run and print one row; whether its commands did what they should."""
    print(f"\n## {row.system}")
    good = True
    for command in row.commands:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
            **row.environment,
        }
        done = subprocess.run(
            [sys.executable, "-m", "ui.command_line.main", *shlex.split(command)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        print(f"$ secondlook {command}")
        told = [line for line in done.stderr.splitlines() if line.strip() and not _of_libraries(line)]
        most = 30 if command.startswith("evaluate") else 2 * LINES
        for line in [*done.stdout.splitlines()[:most], *(f"(stderr) {line}" for line in told[:LINES])]:
            print(f"    {line[:160]}")
        refused = "refused" in row.system
        good &= (done.returncode != 0) == refused
        if (done.returncode != 0) != refused:
            print(f"    FAILED: exit status {done.returncode}")
    return good


def _of_libraries(line: str) -> bool:
    """Whether a line is a progress bar, or transformers' own report on weights that a model does not use."""
    return any(mark in line for mark in ("\r", "|", "\x1b", "-+-", "Notes:", "UNEXPECTED"))


def main() -> int:
    """Print every row; 1 where one of them failed."""
    print(machine())
    print(
        "Small models with random weights stand in for the hub's, and local servers for services: orders mean little."
    )
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for file in FILES:
            (folder / file).write_bytes((SAMPLE / "documents" / file).read_bytes())
        (folder / "sample").symlink_to(SAMPLE)
        for model, make in MODELS.items():
            make(folder / model)
        make_encoder(folder / "tiny-encoder", "mean")
        subprocess.run(
            [sys.executable, "-m", "ui.command_line.main", "ingest", *FILES, "--library", "library", "--offline"],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
        )  # fmt: skip
        servers = {
            "rerank": rerank_stub(), "embeddings": rerank_stub(answer=embeddings),
            "tei": rerank_stub(answer=server_of(_rerank=True)),
            "infinity": rerank_stub(answer=server_of(_rerank=False)),
        }  # fmt: skip
        addresses = {kind: stack.enter_context(server).url for kind, server in servers.items()}
        shown = [show(row, folder) for row in rows(addresses)]
    print(f"\n{sum(shown)} of {len(shown)} systems shown.")
    return 0 if all(shown) else 1


if __name__ == "__main__":
    sys.exit(main())
