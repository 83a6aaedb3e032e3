"""ingest(): files into a library, one report a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ingest.encoders.base import Encoder
from ingest.errors import CancelledError
from ingest.intake import Intake
from ingest.library.library import Library
from ingest.library.writer import writing
from ingest.progress import OnProgress
from ingest.readers.source import Limits
from ingest.records import IngestReport
from ingest.services.billing import billing
from ingest.sources import Source


def ingest(
    sources: Sequence[Source],
    library: Library,
    encoder: Encoder,
    *,
    on_progress: OnProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
    limits: Limits | None = None,
    originals: bool = True,
) -> IngestReport:
    """Add files to the library; what is there already is neither stored nor embedded again.

    Every file ends with a report, and a file that cannot be read never stops the others. A report of
    ``indexed`` is given only once searches find the file. ``cancelled`` is asked after each batch of the encoder
    and while a file is read: when it says yes, the files whose passages all have their vectors are published, and the
    rest are left as they were. The files themselves are kept in the library too, unless it keeps none or ``originals``
    says not to. Raises
    `EncoderMismatchError` if another encoder made the library, `LibraryBusyError` if another process
    is writing to it, `ServiceError` where the encoder is a service that fails.
    """
    library.require_encoder(encoder.model.spec)
    started = time.perf_counter()
    with billing() as bill, writing(library) as writer:
        run = Intake(
            writer,
            encoder,
            len(sources),
            on_progress,
            cancelled or (lambda: False),
            limits or Limits(),
            sources=sources,
            originals=originals and library.keeps_originals,
        )
        try:
            for number, source in enumerate(sources, start=1):
                run.add(number, source)
            run.publish()
        except CancelledError:
            run.stop()
    return IngestReport(run.reports, time.perf_counter() - started, run.stopped, bill)
