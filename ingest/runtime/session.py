"""An ONNX graph on the CPU: batches of like length, one thread each, several at once.

Left to itself, ONNX Runtime gives all its threads one batch and has them wait for each other after each node. Threads
with a batch of their own wait once, at the end, and small batches stay in each core's cache
(docs/performance.md).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Batch = Mapping[str, NDArray[np.int64]]

# Tokens a batch, padding included. Larger ones leave the processor's cache; smaller ones are many small products.
TOKEN_BUDGET = 384


class GraphSession:
    """One graph and the threads that run it. Safe to share between threads."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Load ``path`` to be run with so many threads, with one for each core where 0.

        Raises whatever ONNX Runtime raises for a file that it cannot load; its exceptions share no base class.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        # The fused node of skip and layer norm takes four times as long on a CPU as the three nodes that it replaces.
        self._session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["SkipLayerNormFusion"],
        )
        self.threads = threads or cores()
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="graph")

    def run(self, output: str, batch: Batch) -> NDArray[np.float32]:
        """The graph's ``output`` for one batch, in this thread; arrays that the graph does not read are left out."""
        inputs = {name: values for name, values in batch.items() if name in self._inputs}
        (array,) = self._session.run([output], inputs)
        return np.asarray(array, dtype=np.float32)

    def run_all(
        self, output: str, batches: Sequence[Batch]
    ) -> Generator[tuple[int, NDArray[np.float32]], None, None]:
        """The number of each batch and what `run` gives for it, as they are done.

        Closing the generator drops the batches that have not begun and waits for those that have.
        """
        if self.threads == 1 or len(batches) == 1:
            yield from ((number, self.run(output, batch)) for number, batch in enumerate(batches))
            return
        running = {self._pool.submit(self.run, output, batch): number for number, batch in enumerate(batches)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            for future in running:
                future.cancel()
            wait(running)


def batched(lengths: Sequence[int], budget: int = TOKEN_BUDGET, threads: int = 1) -> list[list[int]]:
    """Row numbers in batches of like length, longest first; each of at most ``budget`` tokens with padding.

    The batches are about as large as each other, and as many for each thread, where the budget allows it. Where the
    longest row is over the budget by itself, its length is the budget.
    """
    if not lengths:
        return []
    rows = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    longest, slots = lengths[rows[0]], threads * -(-sum(lengths) // (threads * budget))
    sizes = range(longest, max(longest, budget) + 1)
    place = bisect_left(sizes, True, key=lambda size: len(_filled(rows, lengths, size)) <= slots)
    return _filled(rows, lengths, sizes[min(place, len(sizes) - 1)])


def _filled(rows: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """``rows``, longest first, in as few batches as there can be."""
    batches: list[list[int]] = []
    for row in rows:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def padded(rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, NDArray[np.int64]]:
    """The inputs of a BERT-like graph for rows of (token ids, type ids): each (n, longest), zero after a row's end."""
    shape = (len(rows), max(len(ids) for ids, _ in rows))
    inputs: dict[str, Any] = {
        name: np.zeros(shape, dtype=np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, (ids, types) in enumerate(rows):
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["attention_mask"][row, : len(ids)] = 1
        inputs["token_type_ids"][row, : len(ids)] = types
    return inputs


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
