"""Where the files lie that come with the program: the page's script, its theme, the sample and the bundled models.

A checkout has them at its top level; a wheel carries the same tree in the package `second_look_files` (setup.py).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import platformdirs

# Above this package: the top level of a checkout, or the folder that packages are installed into.
_ABOVE = Path(str(files("ingest"))).resolve().parent
IN_CHECKOUT = (_ABOVE / "pyproject.toml").is_file() and (_ABOVE / "app.py").is_file()


def shipped_files() -> Path:
    """The folder that holds `app.py`, `.streamlit` and `data`."""
    script = _ABOVE / "app.py" if IN_CHECKOUT else Path(str(files("second_look_files") / "app.py"))
    return script.parent


def program_version() -> str:
    """The version that is installed."""
    try:
        return version("second-look")
    except PackageNotFoundError:  # a checkout whose modules are run without an installation
        return "(not installed)"


def user_data() -> Path:
    """The folder for the user's own data, which nothing makes again; what can be is in `ingest.cache_folder`."""
    return platformdirs.user_data_path("second-look")


def default_library() -> Path:
    """The library of whoever names none: in the checkout, or in the folder for the user's own data."""
    return _ABOVE / "data" / "library" if IN_CHECKOUT else user_data() / "library"
