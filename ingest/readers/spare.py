"""The reading process that is kept between files: taken, given back, and ended when it has been idle for long."""

from __future__ import annotations

import threading

from ingest.readers.process import Worker

# An idle process holds some 50 MB; the next ingest often follows at once, or not for a long time.
KEEP_SECONDS = 60.0


class SpareWorker:
    """The process that is kept for the next file, and for how long."""

    def __init__(self) -> None:
        """None is kept yet."""
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._timer: threading.Timer | None = None

    def take(self) -> Worker:
        """The spare one, else a new one."""
        with self._lock:
            worker, self._worker = self._worker, None
            if self._timer is not None:
                self._timer.cancel()
        if worker is not None and not worker.alive:
            worker.close()
            worker = None
        return worker or Worker()

    def give_back(self, worker: Worker) -> None:
        """Keep it, if it is any good and there is none yet."""
        with self._lock:
            if worker.alive and self._worker is None:
                self._worker = worker
                self._timer = threading.Timer(KEEP_SECONDS, self.close)
                self._timer.daemon = True
                self._timer.start()
                return
        worker.close()

    def close(self) -> None:
        """End the spare one."""
        with self._lock:
            worker, self._worker = self._worker, None
            if self._timer is not None:
                self._timer.cancel()
        if worker is not None:
            worker.close()

    def forget(self) -> None:
        """In a forked child: the process is the parent's, to use and to end."""
        self.__init__()  # type: ignore[misc]
