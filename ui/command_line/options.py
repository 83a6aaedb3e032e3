"""Arguments that several commands take, and what they may hold."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

from ingest.chunker import MIN_CHUNK_TOKENS
from ingest.errors import UsageError

Record = TypeVar("Record")


def record_of(kind: type[Record], parsed: argparse.Namespace) -> Record:
    """What was typed as a record of a command: ``kind`` is a frozen dataclass whose fields have the arguments' names.

    Only the top of the command line knows argparse; all that is below it is given such a record.
    """
    names = [field.name for field in fields(cast(Any, kind))]  # a type variable cannot ask for a dataclass
    values: dict[str, Any] = {name: getattr(parsed, name) for name in names}
    return kind(**values)


def named_folder(text: str) -> Path:
    """The folder that ``text`` names; an empty text, of a variable that is not set say, would be the one one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder, “.” for this one")
    return Path(text)


def add_library(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Declare the library that is used, by default ``folder``."""
    parser.add_argument(
        "--library", type=named_folder, default=folder, metavar="DIR", help="the library's folder"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare that data is printed as JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_model_access(parser: argparse.ArgumentParser) -> None:
    """Declare what models may do: be fetched, be asked elsewhere, be loaded because a library names them."""
    parser.add_argument("--offline", action="store_true", help="use only models that are on this machine")
    add_allow_services(parser)
    add_trust_encoder(parser)


def add_trust_encoder(parser: argparse.ArgumentParser) -> None:
    """Declare the leave to load a model that a library names."""
    parser.add_argument(
        "--trust-encoder", action="store_true",
        help="load the encoder that the library names (and its reranker of token vectors) though it is neither bundled "
        "nor on the list of known models; remembered for you on this machine. Naming it with --encoder does the same",
    )  # fmt: skip


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number") from error
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too few; give 1 or more")
    return number


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
