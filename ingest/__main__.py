"""`python -m ingest PATH… --library DIR`: the same as `secondlook ingest`."""

from __future__ import annotations

import argparse
import sys

from ingest.command import add_ingest_arguments, run_ingest
from ingest.errors import SecondLookError, UsageError
from ingest.models.hub.hub import Hub
from ingest.terminal import harmless_output


def main() -> int:
    """Parse the command line and ingest; exit status 0, 1 (failed) or 2 (wrong call)."""
    parser = argparse.ArgumentParser(prog="python -m ingest", description="Add documents to a library.")
    add_ingest_arguments(parser)
    arguments = parser.parse_args()
    try:
        with harmless_output():
            return run_ingest(arguments, Hub(allow_downloads=not arguments.offline))
    except SecondLookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
