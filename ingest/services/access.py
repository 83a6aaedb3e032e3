"""Services outside this process: where they are, the keys to them, and whether text may be sent there.

Nothing leaves this machine unless a person allowed it: a model behind a service elsewhere cannot even be opened before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ingest.errors import ModelError

COHERE_URL = "https://api.cohere.com"
OPENAI_URL = "https://api.openai.com/v1"
# In place of a host: text may be sent to whichever service is chosen.
ANYWHERE = "*"


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


def checked_key(key: str, variable: str) -> str:
    """``key`` as it is; ``variable`` is where people set it.

    Raises `ModelError` for one that cannot stand in a request's header, as clients' own errors for that show the key.
    """
    if all("!" <= sign <= "~" for sign in key):
        return key
    raise ModelError(
        f"{variable} holds a key with spaces, line ends or signs beyond ASCII, which no service takes. "
        "Copy the key again."
    )


def checked_address(url: str, what: str, variable: str, key_variable: str, example: str) -> str:
    """The address of ``what``, a server, as scheme, host, port and path.

    ``variable`` is where people set it, ``key_variable`` where its key belongs, and ``example`` what one looks like.

    Raises `ModelError` for what is no such address, and for one with a password, which would be shown.
    """
    if not url.strip():
        raise ModelError(f"No {what} is named. Set {variable} to its address, {example} say.")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ModelError(f"{variable} is no address of a server: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ModelError(f"{variable} is no address of a server; it begins with http:// or https://.")
    if "@" in parts.netloc or parts.query:
        raise ModelError(
            f"{variable} holds a password or a query, and addresses are shown. Put the key into {key_variable}, "
            "where it is not."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
