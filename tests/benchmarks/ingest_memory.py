"""Peak memory of an ingest of 25,000, 50,000 and 100,000 passages, each in a process of its own.

    python -m tests.benchmarks.ingest_memory [SIZE…]

It is ingest that is measured and not a model: vectors of 384 dimensions are drawn by the passage's hash. An
ingest streams if its peak, less the bytes of the vectors themselves, does not grow with the library.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.library.library import VECTORS, Library, Manifest
from ingest.models.spec import ModelKind, ModelSource, ModelSpec, ResolvedModel
from ingest.pipeline import ingest
from ingest.sources import walk
from tests.benchmarks.machine import machine
from tests.benchmarks.search_stages import peak_megabytes
from tests.fakes import whitespace_tokenizer

DIM = 384
SIZES = (1_000, 25_000, 50_000, 100_000)
PASSAGES_A_FILE, WORDS_A_PASSAGE = 100, 60
SPEC = ModelSpec("hash-encoder", ModelKind.ENCODER, "bi-encoder", "1", "Apache-2.0", 512, DIM)


class HashEncoder:
    """Vectors drawn by a text's checksum: as many as wanted at once, the same for the same text."""

    def __init__(self) -> None:
        self.model = ResolvedModel(SPEC, ModelSource.FOLDER, Path("hash"))
        self.tokenizer = whitespace_tokenizer()

    def encode_passages(
        self, passages: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        return np.stack([self.encode_query(passage) for passage in passages])

    def encode_query(self, query: str) -> NDArray[np.float32]:
        vector = np.random.default_rng(zlib.crc32(query.encode())).standard_normal(DIM, dtype=np.float32)
        return vector / np.linalg.norm(vector)


def write_files(folder: Path, passages: int) -> None:
    """Text files of 100 passages each; every word of a passage is its number, so that no two are alike."""
    for first in range(0, passages, PASSAGES_A_FILE):
        paragraphs = (
            " ".join([f"w{number}"] * WORDS_A_PASSAGE) for number in range(first, first + PASSAGES_A_FILE)
        )
        (folder / f"{first:07d}.txt").write_text("\n\n".join(paragraphs))


def measure(passages: int) -> None:
    """Ingest that many passages; print their number, the peak before and after, and seconds."""
    with tempfile.TemporaryDirectory() as name:
        files, folder = Path(name) / "files", Path(name) / "library"
        files.mkdir()
        write_files(files, passages)
        before, started = peak_megabytes(), time.perf_counter()
        library = Library.create(folder, Manifest.of(SPEC, chunk_tokens=WORDS_A_PASSAGE))
        report = ingest(list(walk([files])), library, HashEncoder())
        seconds = time.perf_counter() - started
        stored = sum(file.chunks for file in report.files)
        index = sum(path.stat().st_size for path in (folder / VECTORS).iterdir()) / 2**20
        print(f"{stored} {before:.1f} {peak_megabytes():.1f} {index:.1f} {seconds:.1f}")


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or list(SIZES)
    print(machine())
    print("passages   at start       peak   index file   peak less index   passages/s")
    for size in sizes:
        command = [
            sys.executable,
            "-c",
            f"from tests.benchmarks.ingest_memory import measure; measure({size})",
        ]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        stored, before, peak, index, seconds = int(out[0]), *map(float, out[1:])
        print(
            f"{stored:8d} {before:7.0f} MB {peak:7.0f} MB {index:9.0f} MB {peak - index:14.0f} MB "
            f"{stored / seconds:12.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
