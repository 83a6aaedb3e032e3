"""``python -m rerank.training``: the same as ``secondlook train``."""

from __future__ import annotations

import argparse
import sys

from ingest.errors import SecondLookError, UsageError
from rerank.training.command import add_train_arguments, run_train


def main() -> int:
    """Parses the command line and trains; 0 done, 1 failed or stopped, 2 a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m rerank.training", description=__doc__)
    add_train_arguments(parser)
    try:
        return run_train(parser.parse_args())
    except SecondLookError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    raise SystemExit(main())
