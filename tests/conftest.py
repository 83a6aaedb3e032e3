from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

# Graphs and notes that the code keeps for a user go to a folder of this run, for its child processes too.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="second-look-tests-")
os.environ["XDG_DATA_HOME"] = os.path.join(os.environ["XDG_CACHE_HOME"], "data")

# Each worker has one core: with as many threads as there are cores, two workers wait for each other in every product.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from ingest.library.library import Library, Manifest
from ingest.pipeline import ingest
from ingest.records import IngestReport
from ingest.sources import Source
from tests.fakes import WORD_ENCODER, WordEncoder
from tests.parts.evaluation_parts import write_topics

# Without the capabilities by which root reads and writes what nobody may.
AS_A_USER = (
    [] if os.name == "nt" or os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
)
needs_a_user = pytest.mark.skipif(bool(AS_A_USER) and not shutil.which("setpriv"), reason="root may do all")


# What takes longest, in this order: a worker that begins it last works on alone when all others are done.
LONGEST_FIRST = (
    "tests/integration/test_wheel.py", "tests/golden/", "tests/browser/", "tests/integration/test_",
    "tests/integration/ingest/library/test_kills.py", "tests/integration/ui/command_line/",
    "tests/integration/rerank/engines/", "tests/integration/", "tests/fuzz/", "",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: next(n for n, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start))
    )


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """An empty library made with the word encoder, 32 words a chunk."""
    return Library.create(tmp_path / "library", Manifest.of(WORD_ENCODER, 32))


class Desk:
    """A library with a folder of files beside it: write a file, add it, ask what became of it."""

    def __init__(self, folder: Path, library: Library, encoder: WordEncoder) -> None:
        self.folder, self.library, self.encoder = folder, library, encoder
        folder.mkdir()

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def add(self, *paths: Path, **options: object) -> IngestReport:
        return ingest([Source.of_path(path) for path in paths], self.library, self.encoder, **options)  # type: ignore[arg-type]

    def texts(self) -> list[str]:
        """Every passage that a search can find, in order of place."""
        with self.library.snapshot() as snapshot:
            ids = [row[0] for row in snapshot._db.execute("SELECT id FROM chunks")]
            return [chunk.text for chunk in snapshot.chunks(ids).values()]


@pytest.fixture
def desk(tmp_path: Path, library: Library, encoder: WordEncoder) -> Desk:
    return Desk(tmp_path / "files", library, encoder)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The folder of a judged set, made by `write_topics`."""
    return write_topics(tmp_path / "topics")


@pytest.fixture(scope="session")
def tiny_cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT cross-encoder of 2 layers, 32 wide, random weights from a seed, as sentence-transformers saves it."""
    from tests.parts.tiny_models import make_cross_encoder

    return make_cross_encoder(tmp_path_factory.mktemp("tiny") / "tiny-cross-encoder")


@pytest.fixture(scope="session")
def two_label_model(tmp_path_factory: pytest.TempPathFactory, tiny_cross_encoder: Path) -> Path:
    """A classifier, which is no reranker."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("two") / "classifier"
    shutil.copytree(tiny_cross_encoder, folder)
    config = BertConfig.from_pretrained(tiny_cross_encoder, num_labels=2)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
