"""What pyproject.toml cannot say: the wheel carries files of the top level, in a folder of their own.

The tree in `second_look_files` is that of the checkout, so that the program finds them in the same way in both
(`ingest/installation.py`). An editable install needs no copy. Everything else stands in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

from setuptools import setup
from setuptools.command.build_py import build_py

PACKAGE = "second_look_files"
SHIPPED = [
    "app.py", ".streamlit/config.toml", "data/sample/*.jsonl", "data/sample/qrels/*.tsv", "data/sample/documents/*",
    "data/models/*/README.md", "data/models/*/secondlook.json", "data/models/*/tokenizer.json",
    "data/models/*/*.onnx",
]  # fmt: skip


def shipped() -> list[Path]:
    """The files, by their paths below the top level. Raises `FileNotFoundError` where a pattern matches none."""
    top = Path(__file__).parent
    found = []
    for pattern in SHIPPED:
        matching = sorted(path.relative_to(top) for path in top.glob(pattern) if path.is_file())
        if not matching:
            raise FileNotFoundError(f"{pattern} matches no file; the wheel would be without it.")
        found += matching
    return found


class BuildWithShippedFiles(build_py):
    """Copies them beside the packages."""

    def run(self) -> None:
        """Build the packages, and copy the files; nothing that an earlier build left goes with them."""
        if not self.editable_mode:
            rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for source, target in self._copies().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target, preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Everything that is built."""
        return [*super().get_outputs(include_bytecode), *self._copies().values()]

    def get_source_files(self) -> list[str]:
        """Everything that a source distribution must hold to be built from."""
        return [*super().get_source_files(), *map(str, shipped())]

    def _copies(self) -> dict[str, str]:
        return {str(path): str(Path(self.build_lib, PACKAGE, path)) for path in shipped()}


setup(cmdclass={"build_py": BuildWithShippedFiles})
