"""Arguments that several commands take, and what they may hold."""

from __future__ import annotations

import argparse
from pathlib import Path

from ingest.chunker import MIN_CHUNK_TOKENS
from ingest.errors import UsageError


def named_folder(text: str) -> Path:
    """The folder that ``text`` names; an empty text, of a variable that is not set say, would be the one one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder, “.” for this one")
    return Path(text)


def add_allow_services(parser: argparse.ArgumentParser) -> None:
    """Declare the leave to send text elsewhere."""
    parser.add_argument(
        "--allow-services", action="store_true",
        help="let an encoder or a reranker behind a service on another machine read text; without it, nothing leaves "
        "this machine (SECONDLOOK_ALLOW_SERVICES does the same for good)",
    )  # fmt: skip


def check_chunk_tokens(tokens: int) -> None:
    """Raise `UsageError` for passages of so few tokens that none holds a sentence."""
    if tokens < MIN_CHUNK_TOKENS:
        raise UsageError(f"--chunk-tokens must be at least {MIN_CHUNK_TOKENS}; {tokens} was given.")
