"""What this machine is, how fast it runs a graph, and with how many threads: measured, not guessed."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ingest.runtime.session import TOKEN_BUDGET, GraphSession, cores
from rerank.scorers.onnx_cross_encoder import open_session

LENGTH = 128  # tokens a row of the measured batch
ROUNDS = 4
# Batches for each core: enough that the last one to end does not decide.
BATCHES = 2
# Another number of threads has to be clearly faster.
WORTH_IT = 1.05
# Share of the time in which a thread that always has work to do must have a core. On a quiet machine it has all of it;
# one other busy process on two cores takes about a third of it.
QUIET = 0.85


@dataclass(frozen=True, slots=True)
class Threads:
    """How many threads run a graph, and how fast that was when it was measured.

    ``share`` is how much of the measured time these threads had a core: 1 on a quiet machine, less where other
    work took turns with them.
    """

    count: int
    tokens_per_second: float
    share: float = 1.0

    @property
    def quiet(self) -> bool:
        """Whether the machine was quiet enough for the measurement to be relied on."""
        return self.share >= QUIET


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second of each run, and the least ``share`` of its cores (see `Threads`) that a run was given."""

    tokens_per_second: tuple[float, ...]
    share: float


def machine_key() -> dict[str, str]:
    """What the choice of an engine depends on besides the model; another machine measures again."""
    return {"cpu": cpu_name(), "cores": str(cores()), "onnxruntime": onnxruntime.__version__}


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    fields = _cpuinfo()
    return fields.get("model name") or platform.processor() or platform.machine()


def has_vnni() -> bool:
    """Whether the processor multiplies int8 without overflow; taken for absent where the system does not say."""
    return "vnni" in _cpuinfo().get("flags", "")


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def choose_threads(path: Path) -> Threads:
    """How many threads to run the graph in ``path`` with.

    Tries all cores, half and a quarter of them, in turn. All cores is what stays where nothing is clearly faster, as
    on a machine that was busy while it was measured (`Threads.quiet`). Raises `ModelError` where the file cannot be
    loaded.
    """
    most = cores()
    counts = sorted({most, max(1, most // 2), max(1, most // 4)}, reverse=True)
    measured = rates([(path, count) for count in counts])
    each = zip(counts, measured.tokens_per_second, strict=True)
    tried = [Threads(count, rate, measured.share) for count, rate in each]
    best = tried[0]
    for threads in tried[1:]:
        if threads.tokens_per_second > WORTH_IT * best.tokens_per_second:
            best = threads
    return best


def rates(runs: Sequence[tuple[Path, int]]) -> Rates:
    """Time each (graph, threads) on the same batches; rounds are run in turn, and the best one counts."""
    sessions = [open_session(path, count) for path, count in runs]
    batch = example_batch()
    batches = BATCHES * max(count for _, count in runs)
    wall, worked = np.empty((ROUNDS, len(runs))), np.empty((ROUNDS, len(runs)))
    for turn in range(ROUNDS):
        for place, session in enumerate(sessions):
            wall[turn, place], worked[turn, place] = _timed(session, [batch] * batches)
    shares = worked.sum(axis=0) / wall.sum(axis=0)
    best = tuple((batches * batch["input_ids"].size / wall.min(axis=0)).tolist())
    return Rates(best, min(1.0, float(shares.min())))


def _timed(session: GraphSession, batches: Sequence[Mapping[str, NDArray[np.int64]]]) -> tuple[float, float]:
    """Seconds that ``batches`` took, and how many of them its threads had a core, in the mean of all threads."""

    def work(batch: Mapping[str, NDArray[np.int64]]) -> tuple[float, float]:
        started, worked_before = perf_counter(), thread_time()
        session.run("logits", batch)
        return perf_counter() - started, thread_time() - worked_before

    started = perf_counter()
    with ThreadPoolExecutor(session.threads) as pool:
        taken, worked = np.array(list(pool.map(work, batches))).sum(axis=0)
    seconds = perf_counter() - started
    return seconds, seconds * worked / taken


def example_batch() -> Mapping[str, NDArray[np.int64]]:
    """One full batch, as large as the scorer's are; which tokens stand in it makes no difference to the time.

    Types are all 0, which every vocabulary of types has: XLM-R's has nothing else.
    """
    shape = (TOKEN_BUDGET // LENGTH, LENGTH)
    return {
        "input_ids": np.arange(TOKEN_BUDGET, dtype=np.int64).reshape(shape) % 900 + 103,
        "attention_mask": np.ones(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
