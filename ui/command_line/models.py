"""The encoders and rerankers that go by a name, as `secondlook models` lists them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from textwrap import shorten
from typing import Any

from ingest.errors import ModelError
from ingest.models.consent import is_service, privacy_notice
from ingest.models.encoders import BUNDLED_ENCODER, DEFAULT_ENCODER, ENCODER_ALIASES, ENCODERS
from ingest.models.hub import Hub
from ingest.models.hub_checksums import has_checksums
from ingest.models.hub_download import PREFETCH
from ingest.models.resolve import resolve, resolve_encoder
from ingest.models.served import OPENAI, OPENAI_DIMENSIONS, SERVER, is_served_name
from ingest.models.spec import ModelSource, ModelSpec, ResolvedModel
from ingest.services.access import ServiceAccess
from rerank.engines.choose import engine_of, is_pending, runs_on_torch
from rerank.registry import (
    BUNDLED_RERANKER,
    DEFAULT_RERANKER,
    LATE_INTERACTION,
    RERANKERS,
    named_rerankers,
    resolve_reranker,
)
from rerank.scorers.services import COHERE, COHERE_MODELS
from ui.command_line.options import add_json, add_model_access
from ui.command_line.terminal import print_json
from ui.presentation.remedies import told
from ui.settings import Settings

COLUMNS = {
    "parameters": "weights", "max_length": "tokens", "languages": "languages", "licence": "licence", "place": "where",
}  # fmt: skip
HERE, AWAY = "on this machine", "to be fetched from the hub"
PICKLED = "pickled on the hub: convert it once"
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
    return PICKLED if spec.pickled else AWAY


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


@dataclass(frozen=True, slots=True)
class ModelsArguments:
    """What `secondlook models` was given."""

    action: str | None
    names: Sequence[str]
    json: bool


def add_models_arguments(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare the arguments, with the settings as their defaults."""
    parser.add_argument("action", nargs="?", choices=["prefetch"], help="fetch models into the hub's cache")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="encoders and rerankers to fetch (default: the default pair)"
    )
    add_pair(parser, settings)
    add_json(parser)


def add_pair(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Declare which pair of models answers."""
    parser.add_argument("--encoder", default=settings.encoder, help="name or folder of the bi-encoder")
    parser.add_argument("--reranker", default=settings.reranker, help="name or folder of the cross-encoder")
    add_model_access(parser)


def models(arguments: ModelsArguments, settings: Settings) -> int:
    """`secondlook models [prefetch [NAME…]]`: the pair that answers, and why that one."""
    if arguments.action == "prefetch":
        return prefetch(Hub(settings.allow_downloads, stall_limit=PREFETCH), arguments.names)
    hub = Hub(settings.allow_downloads)
    rows = []
    for kind, find, name in (
        ("encoder", partial(resolve_encoder, access=settings.services), settings.encoder),
        ("reranker", partial(resolve_reranker, access=settings.services), settings.reranker),
    ):
        model = find(name, hub)
        rows.append(_model_row(kind, model, settings.engine))
    encoders, known = known_encoders(hub, settings.services), known_rerankers(hub, settings.services)
    if arguments.json:
        print_json({"models": rows, "encoders": encoders, "rerankers": known})
        return 0
    for row in rows:
        print(f"{row['use']}: {row['name']}")
        print(f"    from {row['source']} ({row['folder']}), {row['megabytes']} MB")
        window = f", at most {row['window']} of a passage" if row["window"] else ""
        print(
            f"    revision {row['revision']}, licence {row['licence']}, {row['languages']}, {row['max_length']} tokens"
            f"{window}"
        )
        print(f"    weights: {row['checksum']}")
        print(f"    runs on {row['engine']}")
        if row.get("why"):
            print(f"    because {row['why']}")
        for attempt in row["tried"]:
            print(f"    tried before: {attempt}")
    print(f"\n{model_table('encoder', encoders)}\n\n{model_table('reranker', known)}")
    return 0


def _model_row(use: str, model: ResolvedModel, wanted: str) -> dict[str, Any]:
    spec = model.spec
    row: dict[str, Any] = {
        "use": use, "name": spec.name, "architecture": spec.architecture, "source": str(model.source),
        "folder": spec.revision if is_service(model) else str(model.folder),
        "megabytes": round(model.size_bytes / 1e6, 1), "revision": spec.revision,
        "licence": spec.licence, "languages": spec.languages, "max_length": spec.max_length, "dim": spec.dim,
        "window": spec.window, "query_prefix": spec.query_prefix, "passage_prefix": spec.passage_prefix,
        "tried": list(model.tried), "checksum": checksum_words(model),
    }  # fmt: skip
    return row | _engine(model, wanted)


def _engine(model: ResolvedModel, wanted: str) -> dict[str, Any]:
    """What runs the model here, and why, as far as that was settled by running it once."""
    if notice := privacy_notice(model):
        return {"engine": "a service", "why": f"it was asked for. {notice}"}
    if model.spec.architecture == "bi-encoder":
        return {"engine": "onnxruntime fp32"}
    if model.spec.architecture not in ("cross-encoder", "onnx-cross-encoder"):
        return {"engine": "torch"}
    if runs_on_torch(model, wanted):
        return {
            "engine": "torch",
            "why": "there is a GPU" if wanted == "auto" else "SECONDLOOK_ENGINE asks for it",
        }
    chosen = engine_of(model, wanted=wanted)
    if chosen is None:
        return {"engine": _pending(model, wanted)}
    threads = chosen.threads
    return {
        "engine": str(chosen), "why": chosen.why, "arithmetic": chosen.name, "agreement": chosen.agreement,
        "reference": chosen.reference, "threads": threads.count,
        "tokens_per_second": threads.tokens_per_second, "machine": chosen.machine,
    }  # fmt: skip


def _pending(model: ResolvedModel, wanted: str) -> str:
    if is_pending(model, wanted=wanted):
        return "onnxruntime fp32, until the page has chosen what is fastest here (after its first search)"
    return "what the first search finds fastest here (it measures for half a minute, once)"


def prefetch(hub: Hub, names: Sequence[str] = ()) -> int:
    """Fetch models into the hub's cache, the default pair where none is named, for a time without a network."""
    hub.forget()
    failed = 0
    for name in names or (DEFAULT_ENCODER, DEFAULT_RERANKER):
        try:
            model = _found(name, hub)
        except ModelError as error:
            print(told(error), file=sys.stderr)
            failed = 1
        else:
            where = (
                "nothing to fetch, it is a service"
                if is_service(model)
                else f"{model.source}, {model.folder}"
            )
            print(f"{model.name}: {where}", file=sys.stderr)
    return failed


def _found(name: str, hub: Hub) -> ResolvedModel:
    """The model of that name, whichever of the two kinds it is. Raises `ModelError`."""
    full = ENCODER_ALIASES.get(name, name)
    if full in ENCODERS and full != BUNDLED_ENCODER:
        return resolve(ENCODERS[full], hub)
    if is_served_name(name) and not name.startswith(SERVER):
        return resolve_encoder(name, hub)
    return resolve_reranker(name, hub)
