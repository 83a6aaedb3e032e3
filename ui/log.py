"""What is logged of errors: what the command line says of them, with how to do what helps."""

from __future__ import annotations

import logging

from ingest.errors import SecondLookError
from ui.presentation.remedies import told


class WholeErrors(logging.Filter):
    """Of errors that are logged, what the command line says of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its errors whole."""
        if isinstance(record.args, tuple):
            record.args = tuple(told(arg) if isinstance(arg, SecondLookError) else arg for arg in record.args)
        return True


def log_whole_errors() -> None:
    """Have the log that a program has by default, which prints warnings, say errors whole."""
    if logging.lastResort is not None:
        logging.lastResort.addFilter(WholeErrors())
