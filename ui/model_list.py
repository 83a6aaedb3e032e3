"""The encoders and rerankers that go by a name, as `secondlook models` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from textwrap import shorten
from typing import Any

from ingest.models.consent import is_service
from ingest.models.hub.checksums import has_checksums
from ingest.models.hub.hub import Hub
from ingest.models.resolve import (
    BUNDLED_ENCODER,
    ENCODERS,
    ModelSource,
    ModelSpec,
    ResolvedModel,
    resolve_encoder,
)
from ingest.models.served import OPENAI, OPENAI_DIMENSIONS
from ingest.models.weights import CONVERT
from ingest.services.access import ServiceAccess
from rerank.registry import BUNDLED_RERANKER, LATE_INTERACTION, RERANKERS, named_rerankers, resolve_reranker
from rerank.scorers.served import COHERE, COHERE_MODELS, SERVER

COLUMNS = {
    "parameters": "weights", "max_length": "tokens", "languages": "languages", "licence": "licence", "place": "where",
}  # fmt: skip
HERE, AWAY = "on this machine", "to be fetched from the hub"
# Characters of a column: the JSON has the whole of a long licence.
WIDEST = 48


def known_encoders(hub: Hub, access: ServiceAccess) -> list[dict[str, Any]]:
    """A row for each encoder that has a name: what it is, and whether it can be used here as things are."""
    rows = [
        _row(name, spec, HERE if name == BUNDLED_ENCODER or hub.cached(name, spec.revision) else AWAY)
        for name, spec in ENCODERS.items()
    ]
    key = _key_words(access.openai_key, "OPENAI_API_KEY")
    rows += [
        _row(name, resolve_encoder(name, hub, access).spec, key)
        for name in (f"{OPENAI}:{model}" for model in OPENAI_DIMENSIONS)
    ]
    return [*rows, _nameless("server:MODEL", access.embed_url, "SECONDLOOK_EMBED_URL")]


def known_rerankers(hub: Hub, access: ServiceAccess) -> list[dict[str, Any]]:
    """A row for each reranker that has a name: what it is, and whether it can be used here as things are."""
    return [*_local(hub), *_published(hub), *_served(hub, access)]


def _local(hub: Hub) -> list[dict[str, Any]]:
    names = (BUNDLED_RERANKER, LATE_INTERACTION, *named_rerankers())
    here = {name: resolve_reranker(name, hub) for name in names}
    return [_row(name, model.spec, HERE) for name, model in here.items()]


def _published(hub: Hub) -> list[dict[str, Any]]:
    return [_row(name, spec, _published_place(spec, hub)) for name, spec in RERANKERS.items()]


def _published_place(spec: ModelSpec, hub: Hub) -> str:
    if hub.cached(spec.name, spec.revision):
        return HERE
    return CONVERT if spec.pickled else AWAY


def _served(hub: Hub, access: ServiceAccess) -> list[dict[str, Any]]:
    """Cohere's, and the server that is set up, or how to set one up."""
    key = _key_words(access.cohere_key, "COHERE_API_KEY")
    rows = [
        _row(name, resolve_reranker(name, hub, access).spec, key)
        for name in (f"{COHERE}:{model}" for model in COHERE_MODELS)
    ]
    if access.url:
        spec = resolve_reranker(SERVER, hub, access).spec
        return [*rows, _row(spec.name, spec, spec.revision)]
    return [*rows, _nameless(SERVER, "", "SECONDLOOK_RERANK_URL")]


def _key_words(key: str, variable: str) -> str:
    return "a service; its key is set" if key else f"a service; {variable} is not set"


def _nameless(name: str, url: str, variable: str) -> dict[str, Any]:
    """The row of a server whose models are not known."""
    empty = dict.fromkeys(("architecture", "revision", "licence", "languages", "max_length", "parameters"))
    return {"name": name, **empty, "place": url or f"a service; {variable} is not set"}


def _row(name: str, spec: ModelSpec, place: str) -> dict[str, Any]:
    return {
        "name": name, "architecture": spec.architecture, "revision": spec.revision, "licence": spec.licence,
        "languages": spec.languages, "max_length": spec.max_length, "parameters": spec.parameters, "place": place,
    }  # fmt: skip


def checksum_words(model: ResolvedModel) -> str:
    """What the weights were compared with when the model was found."""
    if is_service(model):
        return "not on this machine"
    if model.source is ModelSource.BUNDLED:
        return "SHA-256 as it was published here"
    if model.source is not ModelSource.FOLDER and has_checksums(model.folder):
        return "SHA-256 as the hub has it"
    return "no SHA-256 is known to compare them with"


def model_table(kind: str, rows: Sequence[dict[str, Any]]) -> str:
    """The rows as columns of text; weights in millions, and a dash where something is not known.

    ``kind`` is "encoder" or "reranker", as the argument that takes the names is called.
    """
    cells = [[f"--{kind}", *COLUMNS.values()]]
    for row in rows:
        shown = row | {"parameters": f"{row['parameters']:g} M" if row["parameters"] else None}
        cells.append(
            [shorten(str(shown[column] or "–"), WIDEST, placeholder=" …") for column in ("name", *COLUMNS)]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
    return "\n".join(chain([f"{kind.capitalize()}s that go by a name:"], lines))
