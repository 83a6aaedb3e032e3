"""Services outside this process: where they are, the keys to them, and whether text may be sent there.

Nothing leaves this machine unless a person allowed it: a model behind a service elsewhere cannot even be opened before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from ingest.errors import ModelError
from ingest.notices import Help, Remedy

COHERE_URL = "https://api.cohere.com"
OPENAI_URL = "https://api.openai.com/v1"
# In place of a host: text may be sent to whichever service is chosen.
ANYWHERE = "*"


class Service(StrEnum):
    """Whom text may be sent to, as a sentence names it."""

    OPENAI = "OpenAI"
    COHERE = "Cohere"
    EMBEDDINGS_SERVER = "the embeddings server"
    RERANK_SERVER = "the rerank server"


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """Where models outside this process are, the keys to them, which no ``repr`` shows, and what may be sent where.

    ``url`` and ``model`` are those of a server with a rerank route, ``embed_url`` is that of one with OpenAI's
    embeddings route; ``key`` and ``embed_key`` are what they ask for as a bearer token. ``allowed`` holds the hosts to
    which text may be sent, or `ANYWHERE`.
    """

    url: str = ""
    model: str = ""
    key: str = field(default="", repr=False)
    cohere_key: str = field(default="", repr=False)
    cohere_url: str = COHERE_URL
    embed_url: str = ""
    embed_key: str = field(default="", repr=False)
    openai_key: str = field(default="", repr=False)
    openai_url: str = OPENAI_URL
    allowed: frozenset[str] = frozenset()


def checked_key(key: str, service: Service) -> str:
    """``key`` as it is; ``service`` asks for it.

    Raises `ModelError` for one that cannot stand in a request's header, as clients' own errors for that show the key.
    """
    if all("!" <= sign <= "~" for sign in key):
        return key
    raise ModelError(
        f"The key to {service} holds spaces, line ends or signs beyond ASCII, which no service takes. Copy it again.",
        Help(Remedy.SET_KEY, subject=service),
    )


def checked_address(url: str, service: Service, example: str) -> str:
    """The address of ``service`` as scheme, host, port and path; ``example`` is what one looks like.

    Raises `ModelError` for what is no such address, and for one with a password, which would be shown.
    """
    how = Help(Remedy.SET_ADDRESS, subject=service)
    if not url.strip():
        raise ModelError(f"Nobody said where {service} is. Give its address ({example}, say).", how)
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ModelError(
            f"The address of {service} is no address of a server: {error}. Give another.", how
        ) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ModelError(
            f"The address of {service} is none of a server. Give one that begins with http:// or https://.",
            how,
        )
    if "@" in parts.netloc or parts.query:
        raise ModelError(
            f"The address of {service} holds a password or a query, and addresses are shown. Set the key apart.",
            Help(Remedy.SET_KEY, subject=service),
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
