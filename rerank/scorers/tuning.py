"""What this machine is, how fast it runs a graph, and with how many threads: measured, not guessed."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rerank.scorers.onnx_cross_encoder import TOKEN_BUDGET, open_session

LENGTH = 128  # tokens a row of the measured batch
ROUNDS = 4
# Another number of threads has to be clearly faster, and spinning worth it to whoever else uses the machine.
WORTH_IT = 1.05
# Share of the time in which a thread that always has work to do must have a core. On a quiet machine it has all of it;
# one other busy process on two cores takes about a third of it.
QUIET = 0.85


@dataclass(frozen=True, slots=True)
class Threads:
    """How a session is run: its threads, and whether they spin while they wait. ``tokens_per_second`` is measured.

    ``share`` is how much of the measured time the measuring thread had a core: 1 on a quiet machine, less where other
    work took turns with it.
    """

    count: int
    spinning: bool
    tokens_per_second: float
    share: float = 1.0

    @property
    def quiet(self) -> bool:
        """Whether the machine was quiet enough for the measurement to be relied on."""
        return self.share >= QUIET


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second of each run, and the least ``share`` of a core (see `Threads`) that a run was given."""

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


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def choose_threads(path: Path) -> Threads:
    """How many threads to run the graph in ``path`` with, spinning or not.

    Tries all cores, half and a quarter of them, in turn. All cores without spinning is what stays where nothing is
    clearly faster, as on a machine that was busy while it was measured (`Threads.quiet`). Raises `ModelError` where the
    file cannot be loaded.
    """
    most = cores()
    counts = sorted({most, max(1, most // 2), max(1, most // 4)}, reverse=True)
    settings = [
        (count, spinning) for count in counts for spinning in (False, True) if count > 1 or not spinning
    ]
    measured = rates([(path, count, spinning) for count, spinning in settings])
    each = zip(settings, measured.tokens_per_second, strict=True)
    tried = [Threads(*setting, rate, measured.share) for setting, rate in each]
    best = tried[0]
    for threads in tried[1:]:
        if threads.tokens_per_second > WORTH_IT * best.tokens_per_second:
            best = threads
    return best


def rates(runs: Sequence[tuple[Path, int, bool]]) -> Rates:
    """Time each (graph, threads, spinning); rounds are run in turn, and the best one counts.

    Only runs whose calling thread never sleeps, because it is alone or spins, tell whether the machine is quiet.
    """
    sessions = [open_session(path, count, spinning) for path, count, spinning in runs]
    batch = example_batch()
    wall, worked = np.empty((ROUNDS, len(runs))), np.empty((ROUNDS, len(runs)))
    for turn in range(ROUNDS):
        for place, session in enumerate(sessions):
            started, worked_before = perf_counter(), thread_time()
            session.run(["logits"], dict(batch))
            wall[turn, place], worked[turn, place] = perf_counter() - started, thread_time() - worked_before
    awake = [count == 1 or spinning for _, count, spinning in runs]
    shares = (worked.sum(axis=0) / wall.sum(axis=0))[awake]
    best = tuple((batch["input_ids"].size / wall.min(axis=0)).tolist())
    return Rates(best, min(1.0, float(shares.min(initial=1.0))))


def example_batch() -> Mapping[str, NDArray[np.int64]]:
    """One full batch, as large as the scorer's; which tokens stand in it makes no difference to the time."""
    shape = (TOKEN_BUDGET // LENGTH, LENGTH)
    segments = np.zeros(shape, dtype=np.int64)
    segments[:, LENGTH // 8 :] = 1
    return {
        "input_ids": np.arange(TOKEN_BUDGET, dtype=np.int64).reshape(shape) % 900 + 103,
        "attention_mask": np.ones(shape, dtype=np.int64),
        "token_type_ids": segments,
    }
