"""Files → Documents: one file per format, and one door for all of them, ``registry.py``.

A new format is one file here and one line of ``FORMATS`` there.
"""
