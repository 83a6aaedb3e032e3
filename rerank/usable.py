"""Which rerankers can be used here as things are: those on this machine, and those behind a service that is set up."""

from __future__ import annotations

from ingest.errors import ModelError
from ingest.models.hub.hub import Hub
from ingest.services.access import ServiceAccess
from rerank.models import BUNDLED_FOLDER, BUNDLED_RERANKER, LATE_INTERACTION, RERANKER_ALIASES, RERANKERS
from rerank.scorers import named_rerankers
from rerank.scorers.served import COHERE, COHERE_MODELS, SERVER, served_model


def usable_rerankers(hub: Hub, access: ServiceAccess) -> list[str]:
    """Their full names: bundled ones, those in the hub's cache, Cohere's where there is a key, the server.

    Takes a millisecond, as the page asks with every run: nothing is loaded, verified or asked of the network.
    """
    bundled = [BUNDLED_RERANKER] if (BUNDLED_FOLDER / "secondlook.json").is_file() else []
    cached = [name for name, spec in RERANKERS.items() if hub.cached(name, spec.revision)]
    cohere = [f"{COHERE}:{model}" for model in COHERE_MODELS] if access.cohere_key else []
    server = [full_name(SERVER, access)] if access.url else []
    return [*bundled, LATE_INTERACTION, *named_rerankers(), *cached, *cohere, *server]


def full_name(name: str, access: ServiceAccess) -> str:
    """The name that a reranker has in lists, for one of its aliases; a folder's or an unknown one as it is."""
    name = RERANKER_ALIASES.get(name, name)
    try:
        served = served_model(name, access)
    except ModelError:  # a server without an address is refused when it is used
        return name
    return served.name if served else name
