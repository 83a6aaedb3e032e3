"""Models of the hub, from whole repositories: fetched, used with the hub and without it, and every failure between."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from ingest.encoders.base import SentenceTransformerEncoder
from ingest.errors import ModelDamagedError, ModelNotFoundError
from ingest.models.hub import Hub
from ingest.models.hub_download import StallLimit
from ingest.models.resolve import resolve_encoder
from ingest.models.spec import ModelSource, ResolvedModel
from ingest.notices import NoticeKind
from rerank.factory import open_scorer
from rerank.notices import model_notices
from rerank.registry import resolve_reranker
from tests.parts.disks import Disk, disk
from tests.parts.published import (
    BESIDE,
    BGE,
    E5,
    ELECTRA,
    MAKE,
    MONOT5,
    MS_MARCO,
    SOUND,
    place_of,
    publish,
    repository_of,
    spec_of,
)
from tests.parts.stand_in_hub import StandInHub, stand_in_hub
from ui.command_line.main import main
from ui.presentation.remedies import told

__all__ = ["disk"]  # the fixture of a small disk

ROOT = Path(__file__).resolve().parents[4]
QUERY, PASSAGES = "which snake has venom", ["the boa, a snake", "river bank", "Python code"]
SHORT = StallLimit(2.0, 2**20)
Ask = Callable[[], tuple[ResolvedModel, ResolvedModel]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of the small model that goes by a name, made once."""
    place = tmp_path_factory.mktemp("made")

    def folder(name: str) -> Path:
        saved = place / name.replace("/", "--")
        return saved if saved.is_dir() else MAKE[name](saved)

    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A hub, and caches that hold nothing."""
    with stand_in_hub() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.setenv("SECONDLOOK_DOWNLOADS", "1")
        yield hub


@pytest.fixture
def pair(hub: StandInHub, made: Callable[[str], Path]) -> None:
    """The default pair, published."""
    for name in (BGE, MS_MARCO):
        publish(hub, name, repository_of(made(name)))


def start(memory: Path | None = None) -> tuple[ResolvedModel, ResolvedModel]:
    """What a start resolves, each with access of its own to the hub as the page and its commands have it."""
    options = {} if memory is None else {"memory": memory}
    return (
        resolve_encoder(None, Hub(stall_limit=SHORT, **options)),
        resolve_reranker(None, Hub(stall_limit=SHORT, **options)),
    )


def numbers(model: ResolvedModel) -> list[float]:
    """What a model says, by the loader that takes any."""
    if model.spec.architecture == "bi-encoder":
        return [*SentenceTransformerEncoder(model).encode_query(QUERY)]
    return [*open_scorer(model, "torch").score(QUERY, PASSAGES).logits]


@pytest.mark.parametrize("name", SOUND)
def test_a_model_is_fetched_once_and_used_with_the_hub_and_without(
    hub: StandInHub,
    made: Callable[[str], Path],
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = repository_of(made(name))
    publish(hub, name, files)
    assert main(["models", "prefetch", name.rpartition("/")[2]]) == 0, capsys.readouterr().err
    used = {path for path in files if path not in BESIDE and not path.endswith((".bin", "README.md"))}
    assert hub.fetched() == used, "the repository's other files are nobody's business"
    hub.requests.clear()
    resolve = resolve_encoder if name in (BGE, E5) else resolve_reranker
    model = resolve(name, Hub())
    hub.down = True
    assert resolve(name, Hub()).source is model.source is ModelSource.CACHE
    assert model.folder.is_relative_to(place_of(tmp_path / "cache", name))
    got = numbers(model)
    assert hub.requests == [], "what is here was asked for again"
    beside = numbers(resolve(str(made(name)), Hub()))
    assert np.ptp(beside) > 0
    assert got == pytest.approx(beside, abs=1e-5), "a file of it was not fetched"


def gone(hub: StandInHub) -> None:
    hub.down = True


def empty(hub: StandInHub) -> None:
    hub.repositories.clear()


def pickled_only(hub: StandInHub) -> None:
    for repository in hub.repositories.values():
        del repository.files["model.safetensors"]


def moved_on(hub: StandInHub) -> None:
    for repository in hub.repositories.values():
        repository.commit = "1" * 40


def failing(**how: object) -> Callable[[StandInHub], None]:
    def fail(hub: StandInHub) -> None:
        for field, value in how.items():
            setattr(hub, field, value)

    return fail


# How the hub fails, what is said of it, and how long a start takes at most (seconds).
WAYS: dict[str, tuple[Callable[[StandInHub], None], str, float]] = {
    "gone": (gone, "the hub answered with status 503", 1),
    "silent": (failing(silent=True), "hardly anything came from the hub within 2 s", 4),
    "trickling": (
        failing(trickle=0.01),
        r"hardly anything came from the hub within 2 s \(it is too slow\)",
        5,
    ),
    "too many": (failing(status=429), r"within 2 s \(HTTP Error 429|the hub answered with status 429", 4),
    "broken": (failing(status=500), r"within 2 s \(HTTP Error 500|the hub answered with status 500", 4),
    "forbidden": (failing(status=403), "the hub answered with status 403", 3),
    "log-in page": (failing(html=True), "what answered is no hub", 3),
    "cut off": (failing(cut=1000), r"within 2 s \(Error while downloading", 5),
    "unknown": (empty, "the hub knows no model of that name", 5),
    "other commit": (moved_on, "the hub does not have its revision [0-9a-f]{40}", 5),
    "pickled": (pickled_only, r"the hub does not have model\.safetensors \(pickled weights", 5),
}


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("way", WAYS)
def test_where_the_hub_fails_the_bundled_pair_answers_and_the_reason_is_said_and_nobody_asks_again(
    hub: StandInHub, way: str, tmp_path: Path
) -> None:
    fail, said, seconds = WAYS[way]
    fail(hub)
    started = time.monotonic()
    encoder, reranker = start()
    assert time.monotonic() - started < seconds + 10, "the limit of two seconds, and a busy machine"
    assert encoder.source is reranker.source is ModelSource.BUNDLED
    notices = model_notices(encoder, reranker)
    sentence = next(notice.text for notice in notices if notice.kind is NoticeKind.MISSED)
    assert re.search(said, sentence), sentence
    assert any(name in sentence for name in (BGE, MS_MARCO))
    probes = hub.requests.count("HEAD /")
    tries = {line for line in hub.requests if "/api/" in line}
    assert probes == (2 if way in ("unknown", "other commit", "pickled") else 1)
    assert len(tries) == (0 if way == "gone" else 2 if probes == 2 else 1), "one failure is enough"
    assert not list((tmp_path / "cache").rglob("*.incomplete")), "of no use to a later download"
    hub.requests.clear()
    assert start()[0].missed == encoder.missed
    assert hub.requests == [], "the next start asked again"


@pytest.mark.usefixtures("pair")
def test_a_half_downloaded_model_is_not_used_and_is_completed_when_the_hub_is_back(
    hub: StandInHub, tmp_path: Path
) -> None:
    hub.cut = 1000
    with pytest.raises(ModelNotFoundError, match="cannot be had"):
        resolve_encoder(BGE, Hub(stall_limit=SHORT))
    snapshot = place_of(tmp_path / "cache", BGE) / "snapshots" / spec_of(BGE).revision
    assert (snapshot / "modules.json").is_file(), "nothing was downloaded: the test shows nothing"
    hub.down = True
    assert start()[0].source is ModelSource.BUNDLED
    hub.down, hub.cut = False, None
    Hub().forget()
    assert resolve_encoder(None, Hub()).source is ModelSource.HUB
    assert resolve_encoder(None, Hub()).source is ModelSource.CACHE
    (snapshot / "1_Pooling" / "config.json").unlink()
    hub.down = True
    assert start()[0].source is ModelSource.BUNDLED, "vectors would have been pooled in another way"


@pytest.mark.usefixtures("pair")
def test_files_with_a_wrong_hash_are_refused_by_name_and_said_of_the_default_pair(
    hub: StandInHub, tmp_path: Path
) -> None:
    hub.spoil = True
    with pytest.raises(ModelDamagedError, match=r"is not the one that the hub published.*Delete the folder"):
        resolve_reranker(MS_MARCO, Hub())
    encoder, reranker = start()
    assert reranker.source is ModelSource.BUNDLED
    assert any(
        f"{MS_MARCO} could not be had: The model file" in notice.text
        for notice in model_notices(encoder, reranker)
    )
    hub.spoil = False
    for name in (BGE, MS_MARCO):
        shutil.rmtree(place_of(tmp_path / "cache", name))
    assert main(["models", "prefetch"]) == 0, "what the sentence says to do does not help"


@contextmanager
def full(disk: Disk) -> Iterator[None]:
    filler = disk.folder / "most-of-it"
    filler.write_bytes(b"x" * 6_000_000)
    yield
    filler.unlink()


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("spoil", "said"), [(full, "No space left"), (Disk.locked, "Read-only file system")])
def test_a_cache_that_is_full_or_read_only_is_said_and_works_afterwards(
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    hub: StandInHub,
    spoil: Callable[[Disk], AbstractContextManager[None]],
    said: str,
) -> None:
    cache = disk.folder / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with spoil(disk):
        encoder, reranker = start()
        assert (encoder.source, reranker.source) == (ModelSource.BUNDLED, ModelSource.BUNDLED)
        notices = model_notices(encoder, reranker)
        (sentence,) = (notice.text for notice in notices if notice.kind is NoticeKind.MISSED)
        assert f"the hub's cache {cache} cannot be written ({said}" in sentence
        assert hub.requests.count("HEAD /") == 1
    Hub().forget()
    assert resolve_reranker(None, Hub()).source is ModelSource.HUB
    with Disk.locked(disk):
        assert resolve_reranker(None, Hub()).source is ModelSource.CACHE, "what is there needs no writing"


@pytest.mark.usefixtures("pair")
def test_notes_that_cannot_be_written_hold_in_the_process(hub: StandInHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    hub.down = True
    for _ in range(2):
        start(tmp_path / "file" / "hub.json")
    assert hub.requests == ["HEAD /"]


@pytest.mark.parametrize("name", [MONOT5, ELECTRA])
def test_a_pickled_checkpoint_is_refused_with_its_conversion_and_not_asked_for(
    hub: StandInHub, made: Callable[[str], Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(hub, name, repository_of(made(name), pickled=True))
    assert main(["models", "prefetch", name]) == 1
    said = capsys.readouterr().err
    assert "Convert it once" in said
    assert f"revision='{spec_of(name).revision}'" in said
    assert hub.requests == []


def test_a_pickled_checkpoint_is_converted_from_the_hub(
    hub: StandInHub, made: Callable[[str], Path], tmp_path: Path
) -> None:
    publish(hub, ELECTRA, repository_of(made(ELECTRA), pickled=True))
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_reranker(ELECTRA, Hub())
    command = told(caught.value).partition("from the hub: ")[2].partition(" and then name")[0]
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(tmp_path / "cache")}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        command, shell=True, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    mine = resolve_reranker(str(tmp_path / ELECTRA.rpartition("/")[2]), Hub(allow_downloads=False))
    saved = resolve_reranker(str(made(ELECTRA)), Hub(allow_downloads=False))
    assert numbers(mine) == pytest.approx(numbers(saved), abs=1e-5)


def test_an_unknown_model_without_safetensors_brings_no_pickle_and_no_index_of_one(
    hub: StandInHub, made: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its index names a text as its shard, which is a pickle."""
    files = repository_of(made(MS_MARCO), pickled=True)
    files |= {"weights.txt": files.pop("pytorch_model.bin")}
    files["pytorch_model.bin.index.json"] = b'{"weight_map": {"a": "weights.txt"}}'
    hub.publish("somebody/reranker", "2" * 40, files)
    with pytest.raises(ModelNotFoundError, match=r"does not have model\.safetensors"):
        resolve_reranker("somebody/reranker", Hub())
    names = {path.name for path in (tmp_path / "cache").rglob("*")}
    assert "config.json" in names
    assert not names & {"weights.txt", "pytorch_model.bin.index.json"}


@pytest.mark.slow
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_all_this_holds_with_the_oldest_and_the_newest_huggingface_hub_that_is_admitted(
    tmp_path: Path, which: str
) -> None:
    """The tests of this file again, in a process that finds that version first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    admitted = next(text for text in project["dependencies"] if text.startswith("huggingface-hub"))
    lowest = re.search(r">=([\d.]+)", admitted)
    assert lowest
    wanted = f"huggingface-hub=={lowest[1]}" if which == "oldest" else admitted
    place = tmp_path / which
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), wanted]
    if subprocess.run(pip, check=False, capture_output=True).returncode:
        pytest.skip(f"{wanted} cannot be fetched here")
    found = os.pathsep.join([str(place), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", __file__],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": found}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
