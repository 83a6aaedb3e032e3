"""What a session remembers of judging and calibrating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui.jobs.search import SearchJob

if TYPE_CHECKING:  # what measures and fits is loaded when it is asked for
    from ui.jobs.calibration import FitJob
    from ui.running import Weighed


@dataclass
class Judging:
    """``confirmed`` is the number of the last judgement from the browser that was dealt with.

    ``problem`` says why one could not be kept, ``said`` and ``import_problem`` what came of the last import. ``seen``
    are the searches whose places the labels know, ``weighed`` the verdict with what it was made of, ``fit`` the last
    fitting (``fits`` counts those that succeeded), and ``all_the_same`` the question whose passages are wanted though
    nothing answers it.
    """

    confirmed: int = 0
    problem: str = ""
    said: str = ""
    import_problem: str = ""
    uploader: int = 0
    seen: tuple[SearchJob, ...] = ()
    weighed: Weighed | None = None
    fit: FitJob | None = None
    fits: int = 0
    all_the_same: str | None = None

    @property
    def fitting(self) -> bool:
        """Whether a calibration is being fitted."""
        return self.fit is not None and not self.fit.finished
