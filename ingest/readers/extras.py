"""What readers can do where an extra is installed. It is asked in every process, so nothing heavy is imported here."""

from __future__ import annotations

import importlib.util


def ocr_is_installed() -> bool:
    """Whether the text of scans and pictures can be recognized here (the extra ``ocr``)."""
    return importlib.util.find_spec("rapidocr") is not None
