"""One password for the page: kept as a scrypt hash, compared in constant time, and guessed at only slowly."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from ingest.errors import UsageError

SHORTEST = 12  # characters: one password guards everything, and nothing else is asked for
LONGEST = 1024  # characters: what a form may send

# OWASP's Password Storage Cheat Sheet gives these three as equal in cost to N = 2^17, p = 1, with a quarter of its
# memory (32 MiB). Some 0.2 s a guess on the machine this was written on.
COST, BLOCK, LANES = 2**15, 8, 3
MEMORY = 64 * 2**20  # bytes that scrypt may take; it needs 128 * COST * BLOCK and a little
SALT_BYTES, KEY_BYTES = 16, 32
NAME = "scrypt"

LONGEST_WAIT = (
    60.0  # seconds between guesses, at most: a person who mistyped ten times is not locked out for a day
)
MOST_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """A salted scrypt hash (RFC 7914) of a password; its text form is ``scrypt$N$r$p$salt$key`` in base 64."""

    cost: int
    block: int
    lanes: int
    salt: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str) -> PasswordHash:
        """The hash of a new password. Raises `UsageError` for one that is too short or too long."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise UsageError(
                f"The password has {len(password)} characters; take {SHORTEST} to {LONGEST}, four random words say."
            )
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(COST, BLOCK, LANES, salt, _derive(password, salt, COST, BLOCK, LANES))

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """The hash that ``str`` wrote. Raises ValueError for anything else, and for costs that are not ours."""
        name, *numbers, salt, key = text.split("$")
        cost, block, lanes = map(int, numbers)
        if (name, cost, block, lanes) != (NAME, COST, BLOCK, LANES):
            raise ValueError("other parameters than those that this version writes")
        return cls(cost, block, lanes, _bytes(salt, SALT_BYTES), _bytes(key, KEY_BYTES))

    def __str__(self) -> str:
        parts = (base64.b64encode(part).decode() for part in (self.salt, self.key))
        return "$".join((NAME, str(self.cost), str(self.block), str(self.lanes), *parts))

    def agrees(self, password: str) -> bool:
        """Whether this is the password; takes the same time whatever it differs in."""
        if len(password) > LONGEST:
            return False
        return hmac.compare_digest(self.key, _derive(password, self.salt, self.cost, self.block, self.lanes))


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, maxmem=MEMORY, dklen=KEY_BYTES)


def _bytes(text: str, count: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not in base 64") from error
    if len(data) != count:
        raise ValueError(f"{len(data)} bytes in place of {count}")
    return data


def read_password_file(path: Path) -> PasswordHash:
    """The password in a file: a hash that `secondlook password` wrote, or the password itself, alone on a line.

    Raises `UsageError` where the file cannot be read, or holds neither.
    """
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The password file {path} cannot be read ({type(error).__name__}). SECONDLOOK_PASSWORD_FILE names a file "
            f"that `secondlook password {path}` writes."
        ) from error
    if "\n" in text:
        raise UsageError(
            f"The password file {path} has more than one line. Write the password alone into it."
        )
    if not text.startswith(f"{NAME}$"):
        return PasswordHash.of(text)
    try:
        return PasswordHash.parse(text)
    except ValueError as error:
        raise UsageError(
            f"The password file {path} holds a damaged hash ({error}). Write it again: secondlook password {path}"
        ) from error


class Attempts:
    """How long each address has to wait before its next guess: a second after the first wrong one, then doubled.

    Every guess counts as wrong until it is known to be right, so that guesses sent at once are counted too.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = (
            OrderedDict()
        )  # guesses, and when the next may come

    def begin(self, address: str, now: float) -> float:
        """Count a guess at ``now`` (seconds); the seconds to wait where it comes too soon, else 0."""
        key = neighbourhood(address)
        guesses, free_at = self._wrong.pop(key, (0, now))
        wait = max(free_at - now, 0.0)
        if not wait:
            guesses += 1
            free_at = now + min(2.0 ** (guesses - 1), LONGEST_WAIT)
        self._wrong[key] = (guesses, free_at)
        while len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        return wait

    def forgive(self, address: str) -> None:
        """The guess was right: begin anew."""
        self._wrong.pop(neighbourhood(address), None)


def neighbourhood(address: str) -> str:
    """The address itself, or the /64 of an IPv6 address, all of which one machine may have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if (
        mapped := getattr(parsed, "ipv4_mapped", None)
    ) is not None:  # as a socket for both versions writes IPv4
        return str(mapped)
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
