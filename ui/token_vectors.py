"""`secondlook ingest … --token-vectors`: token vectors of late interaction, stored with the library and kept up."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ingest.command import cancel_on_interrupt
from ingest.errors import CancelledError, ModelError
from ingest.library.library import Library
from ingest.library.token_vectors import TokenStore
from ingest.models.hub.hub import Hub
from ingest.models.trust import allow
from rerank.registry import LATE_INTERACTION
from ui.presentation.formatting import count_of


def add_token_vector_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the wish for token vectors, and its end."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--token-vectors", nargs="?", const=LATE_INTERACTION, metavar="RERANKER",
        help="store the passages' token vectors for this reranker of late interaction (default "
        f"{LATE_INTERACTION}), now and at every later ingest, so that it answers in a fraction of the time; after the "
        "paths. They take some 50 KB a passage, and go with their document",
    )  # fmt: skip
    choice.add_argument(
        "--no-token-vectors", action="store_true", help="remove all stored token vectors, and store no more"
    )


def drop_token_vectors(folder: Path) -> None:
    """Remove the token vectors of the library in ``folder`` and the wish for them, where there are any."""
    if Library.exists(folder) and TokenStore(Library(folder)).remove():
        _say(f"The token vectors of {folder} are removed; no more are stored.")


def store_and_say(library: Library, hub: Hub, name: str | None = None, trusting: bool = False) -> int:
    """Bring the library's token vectors up to date, those for ``name`` too where one is asked for.

    Shows a bar where stderr is a terminal, and says there what is stored now, as an ingest's report is on stdout; 0, or
    1 where it was stopped or a model is not to be had any more.
    """
    if name is None and not TokenStore(library).wishes():
        return 0
    from rerank.token_vectors import (  # what loads models is not for every ingest
        keep_up,
        lasting,
        store_token_vectors,
    )

    bar = tqdm(unit=" passages", disable=not sys.stderr.isatty(), file=sys.stderr, desc="Token vectors")

    def show(done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.refresh()

    with bar, cancel_on_interrupt() as cancelled:
        try:
            asked = None if name is None else store_token_vectors(library, name, hub, show, cancelled)
            if asked is not None:  # a person named it just now
                allow(lasting(name or ""))
            # Of what was asked for, nothing is lacking by now.
            kept = keep_up(library, hub, show, cancelled, trusting)
        except CancelledError as stopped:
            _say(str(stopped))
            return 1
        except ModelError as error:
            _say(
                f"The token vectors are not brought up to date. {error} To store no more: --no-token-vectors"
            )
            return 1
    for one in (asked if asked is not None and asked.model == one.model else one for one in kept):
        more = (
            f" {count_of(one.too_long, 'passage')} did not fit the model and are computed at each question."
        )
        _say(
            f"Token vectors of {count_of(one.passages, 'passage')} for {one.model.name}: {one.added} new, "
            f"{one.bytes / 1e6:.1f} MB.{more if one.too_long else ''}"
        )
    return 0


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
