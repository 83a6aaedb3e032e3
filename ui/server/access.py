"""Who may see the page: this machine alone, whoever knows a password, or whom an OIDC provider names.

Beyond this machine nothing is served without the second or the third. `protection` decides it, before anything is
served; `ui.server.gate` enforces it on every request.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ingest.errors import UsageError
from ui.server.passwords import PasswordHash, read_password_file
from ui.settings import EVERYBODY, AccessSettings

HOW = """Say who may see the library, one of these two:
  a password    secondlook password FILE, then start with SECONDLOOK_PASSWORD_FILE=FILE
  OIDC          an [auth] section in .streamlit/secrets.toml, and SECONDLOOK_USERS=ann@example.org,@example.com
docs/security.md says more. Without either, serve it to this machine alone: --address 127.0.0.1"""


# An address of IPv6 in brackets or alone, or a name of labels (RFC 1123) or an address of IPv4; a port after the first
# and the last. A name may end with the dot of the root.
_HOST = re.compile(
    r"(?:\[(?P<bracketed>[0-9a-f.]*:[0-9a-f:.]*)\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)(?::[0-9]{1,5})?"
    r"|(?P<bare>[0-9a-f:.]+)",
    re.ASCII | re.IGNORECASE,
)


class Way(StrEnum):
    """How a visitor is known."""

    LOCAL = "from this machine"
    PASSWORD = "by the password"  # noqa: S105 (no password, a word for one)
    OIDC = "by an OIDC provider"


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands in front of the page. ``password`` is there where the way is a password."""

    way: Way
    password: PasswordHash | None = None
    users: tuple[str, ...] = ()

    def admits(self, email: object, verified: object) -> bool:
        """Whether OIDC's visitor is one of ours. An address that the provider calls unverified is nobody's."""
        if EVERYBODY in self.users:
            return True
        if not isinstance(email, str) or "@" not in email or verified is False:
            return False
        plain = email.casefold()
        return plain in self.users or f"@{plain.rpartition('@')[2]}" in self.users


def protection(address: str | None, access: AccessSettings, oidc: bool, xsrf: bool = True) -> Protection:
    """What stands in front of a page that is served at ``address`` (``None``: on every one of the machine).

    ``oidc`` says whether a provider is configured, ``xsrf`` whether Streamlit's XSRF protection is on.
    Raises `UsageError`, whose sentences say how to go on, where anybody could come in.
    """
    if not xsrf:
        raise UsageError(
            "Streamlit's XSRF protection is off, so that other pages in the same browser could send files here. Take "
            "enableXsrfProtection and enableCORS out of the configuration."
        )
    if access.password_file is not None and oidc:
        raise UsageError(
            "Both a password (SECONDLOOK_PASSWORD_FILE) and OIDC ([auth] in secrets.toml) are configured. Choose one."
        )
    if access.password_file is not None:
        return Protection(Way.PASSWORD, read_password_file(access.password_file))
    if oidc:
        if not access.users:
            raise UsageError(
                "OIDC is configured, but not whom it lets in: most providers know the whole world. Set "
                "SECONDLOOK_USERS to e-mail addresses and @domains with commas between, or to * for everybody."
            )
        return Protection(Way.OIDC, users=access.users)
    if not is_loopback(address):
        where = f"at {address}" if address else "at every address of this machine"
        raise UsageError(f"Second Look is not served {where} to whoever can reach it. {HOW}")
    return Protection(Way.LOCAL)


def is_loopback(address: str | None) -> bool:
    """Whether an address or the name of a host, with or without a port, means this machine alone.

    Whatever is not exactly one of the two is somebody else's: a name that only begins like ours may be registered.
    """
    match = _HOST.fullmatch(address or "")
    if match is None:
        return False
    if match["name"]:
        name = match["name"].lower()
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761: never resolved to anything else
            return True
    try:
        host = ipaddress.ip_address(match["bracketed"] or match["bare"] or match["name"])
    except ValueError:
        return False
    mapped = getattr(host, "ipv4_mapped", None)
    return (mapped or host).is_loopback


def providers(section: Mapping[str, object]) -> Sequence[str | None]:
    """The names of OIDC providers in Streamlit's [auth] section; ``None`` is the one that stands in it itself."""
    named = [name for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    return [None] if "client_id" in section else named
