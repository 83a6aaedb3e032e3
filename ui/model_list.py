"""The rerankers that go by a name, as `secondlook models` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from textwrap import shorten
from typing import Any

from ingest.hub import Hub
from ingest.models import ModelSpec
from rerank.models import BUNDLED_RERANKER, LATE_INTERACTION, RERANKERS, resolve_reranker
from rerank.scorers.served import COHERE, COHERE_MODELS, SERVER
from rerank.scorers.services import ServiceAccess

COLUMNS = {
    "name": "--reranker", "parameters": "weights", "max_length": "tokens", "languages": "languages",
    "licence": "licence", "place": "where",
}  # fmt: skip
# Characters of a column: the JSON has the whole of a long licence.
WIDEST = 48


def known_rerankers(hub: Hub, access: ServiceAccess) -> list[dict[str, Any]]:
    """A row for each reranker that has a name: what it is, and whether it can be used here as things are."""
    return [*_local(hub), *_published(hub), *_served(hub, access)]


def _local(hub: Hub) -> list[dict[str, Any]]:
    here = {name: resolve_reranker(name, hub) for name in (BUNDLED_RERANKER, LATE_INTERACTION)}
    return [_row(name, model.spec, "on this machine") for name, model in here.items()]


def _published(hub: Hub) -> list[dict[str, Any]]:
    return [
        _row(
            name, spec, "on this machine" if hub.cached(name, spec.revision) else "to be fetched from the hub"
        )
        for name, spec in RERANKERS.items()
    ]


def _served(hub: Hub, access: ServiceAccess) -> list[dict[str, Any]]:
    """Cohere's, and the server that is set up, or how to set one up."""
    key = "a service; its key is set" if access.cohere_key else "a service; COHERE_API_KEY is not set"
    rows = [
        _row(name, resolve_reranker(name, hub, access).spec, key)
        for name in (f"{COHERE}:{model}" for model in COHERE_MODELS)
    ]
    if access.url:
        spec = resolve_reranker(SERVER, hub, access).spec
        return [*rows, _row(spec.name, spec, spec.revision)]
    empty = dict.fromkeys(("architecture", "revision", "licence", "languages", "max_length", "parameters"))
    return [*rows, {"name": SERVER, **empty, "place": "a service; SECONDLOOK_RERANK_URL is not set"}]


def _row(name: str, spec: ModelSpec, place: str) -> dict[str, Any]:
    return {
        "name": name, "architecture": spec.architecture, "revision": spec.revision, "licence": spec.licence,
        "languages": spec.languages, "max_length": spec.max_length, "parameters": spec.parameters, "place": place,
    }  # fmt: skip


def reranker_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as columns of text; weights in millions, and a dash where something is not known."""
    cells = [list(COLUMNS.values())]
    for row in rows:
        shown = row | {"parameters": f"{row['parameters']:g} M" if row["parameters"] else None}
        cells.append([shorten(str(shown[column] or "–"), WIDEST, placeholder=" …") for column in COLUMNS])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
    return "\n".join(chain(["Rerankers that go by a name:"], lines))
