"""Files → Documents: one file per format, and one door for all of them.

A new format is one file here and one line of ``FORMATS`` in ``registry.py``.
"""

from __future__ import annotations

from ingest.readers.registry import SUFFIXES, formats_in_words, read_documents
from ingest.readers.source import Limits

__all__ = ["SUFFIXES", "Limits", "formats_in_words", "read_documents"]
