"""Cutting in a process of its own: a text that takes its cutter minutes or all memory costs that file only.

The cutters are native code that hears nobody: in the process of the library no Cancel and no Ctrl-C would be heard
before they end. The process is the same that reads files (`ingest.readers.process.client`), another one of it,
because that one may be reading ahead.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from functools import cached_property

from tokenizers import Tokenizer

from ingest.chunker import chunks_of
from ingest.readers.process.client import SpareWorker
from ingest.readers.process.worker_handle import Cutter
from ingest.readers.source import Limits
from ingest.records import Chunk, Document, digest

_spare = SpareWorker()
atexit.register(_spare.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_spare.forget)


class WorkerChunker:
    """As `ingest.chunker.Chunker`, in a process that is held to limits and can be lost."""

    def __init__(
        self, tokenizer: Tokenizer, tokens: int, limits: Limits, cancelled: Callable[[], bool]
    ) -> None:
        """Nothing is started yet. ``cancelled`` is asked while the process works."""
        self._tokenizer, self._tokens = tokenizer, tokens
        self._limits, self._cancelled = limits, cancelled

    def chunks(self, document: Document) -> list[Chunk]:
        """The document's chunks.

        Raises:
            ReadError: `TooLargeError` where it took too long, `DamagedFileError` where the process was lost.
            CancelledError: ``cancelled`` said yes.
        """
        worker = _spare.take()
        try:
            spans = worker.spans(document, self._cutter, self._limits, self._cancelled)
        finally:
            _spare.give_back(worker)
        return chunks_of(document, spans, self._tokenizer)

    @cached_property
    def _cutter(self) -> Cutter:
        vocabulary = self._tokenizer.to_str()
        return Cutter(digest(vocabulary, str(self._tokens)), vocabulary, self._tokens)
