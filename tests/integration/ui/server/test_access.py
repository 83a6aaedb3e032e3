"""Who may see the page, decided before anything is served; and the password, kept and guessed at."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.errors import UsageError
from tests.browser.conftest import ROOT
from ui.server.access import Way, is_loopback, protection, providers
from ui.server.passwords import LONGEST_WAIT, MOST_ADDRESSES, Attempts, PasswordHash, read_password_file
from ui.settings import AccessSettings, read_access

SECRET = "correct horse battery"
LOOPBACK = [
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "[::1]",
    "[::1]:8501",
    "localhost",
    "localhost:8501",
    "a.localhost",
    "::ffff:127.0.0.1",
    "LOCALHOST.",
    "[::ffff:127.0.0.1]:80",
]
ELSEWHERE = [
    None,
    "",
    "0.0.0.0",
    "::",
    "192.168.1.5",
    "example.org",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "::ffff:10.0.0.1",
    *(
        "[::1]evil.example",
        "[::1].evil.example",
        "[::1]:8501@evil.example",
        "[::1]:evil.example",
        "[::1",
        "::1]",
    ),
    *("[]", "[[::1]]", "[localhost]", "[127.0.0.1]", "[::1%25evil]", "::1%evil", "evil.example:127.0.0.1"),
    *(
        "localho\u017ft",
        "localhost..",
        ".localhost",
        "a..localhost",
        "evil.example/.localhost",
        "me@localhost",
    ),
    *(
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "127.0.0.1:1:2",
        " localhost",
        "localhost\n",
        "localhost\0",
    ),
    *("127.1", "2130706433", "0x7f.0.0.1", "127.0.0.1/8", "127.0.0.1,evil.example", "localhost evil.example"),
]


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_served_as_it_is(address: str) -> None:
    assert is_loopback(address)
    assert protection(address, AccessSettings(), oidc=False).way is Way.LOCAL


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_network_is_refused_with_how_to_go_on(address: str | None) -> None:
    with pytest.raises(UsageError, match=r"(?s)not served at .*a password .*OIDC .*--address 127\.0\.0\.1"):
        protection(address, AccessSettings(), oidc=False)


def test_a_password_or_oidc_opens_a_network(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    guarded = protection("0.0.0.0", AccessSettings(password_file=file), oidc=False)
    assert guarded.way is Way.PASSWORD
    assert guarded.password is not None
    assert guarded.password.agrees(SECRET)
    assert SECRET not in repr(guarded)
    assert protection("0.0.0.0", AccessSettings(users=("@example.org",)), oidc=True).way is Way.OIDC
    assert (
        protection("127.0.0.1", AccessSettings(users=("*",)), oidc=True).way is Way.OIDC
    )  # where asked for, here too


def test_what_leaves_the_door_open_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    for settings, oidc, xsrf, match in [
        (AccessSettings(), True, True, "not whom it lets in"),
        (AccessSettings(file), True, True, "Choose one"),
        (AccessSettings(file), False, False, "XSRF protection is off"),
        (AccessSettings(tmp_path / "missing"), False, True, "cannot be read"),
    ]:
        with pytest.raises(UsageError, match=match):
            protection("0.0.0.0", settings, oidc=oidc, xsrf=xsrf)


@pytest.mark.parametrize(
    ("email", "verified", "admitted"),
    [
        ("ann@example.org", True, True), ("ANN@Example.ORG", None, True), ("bob@example.org", True, False),
        ("anyone@firm.example", True, True), ("anyone@firm.example", False, False), ("x@not-firm.example", True, False),
        ("ann@example.org@firm.example.evil", True, False), (None, True, False), ("firm.example", True, False),
    ],
)  # fmt: skip
def test_oidc_lets_in_whom_the_list_names(email: str | None, verified: bool | None, admitted: bool) -> None:
    access = read_access({"SECONDLOOK_USERS": "Ann@example.org, @firm.example,"})
    assert protection("0.0.0.0", access, oidc=True).admits(email, verified) is admitted


def test_a_list_of_users_that_means_nothing_is_said() -> None:
    with pytest.raises(UsageError, match="SECONDLOOK_USERS holds “ann”"):
        read_access({"SECONDLOOK_USERS": "ann"})


def test_providers_are_named() -> None:
    assert providers({"redirect_uri": "…", "client_id": "x"}) == [None]
    assert providers({"redirect_uri": "…", "firm": {"client_id": "x"}, "other": {"client_id": "y"}}) == [
        "firm",
        "other",
    ]


def test_a_hash_survives_its_file_and_tells_nothing(tmp_path: Path) -> None:
    first, second = PasswordHash.of(SECRET), PasswordHash.of(SECRET)
    assert str(first) != str(second), "no salt"
    file = tmp_path / "hash"
    file.write_text(str(first))
    read = read_password_file(file)
    assert read == first
    assert read.agrees(SECRET)
    assert not read.agrees(SECRET + " ")
    assert not read.agrees("x" * 100_000)
    assert str(first).rpartition("$")[2] not in repr(first)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("short", "has 5 characters"), ("", "has 0 characters"), ("two\nlines of it", "more than one line"),
        ("scrypt$2$8$1$AAAA$AAAA", "damaged hash"), ("scrypt$32768$8$3$!$!", "damaged hash"),
        ("scrypt$x", "damaged hash"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_password_is_said(text: str, match: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    with pytest.raises(UsageError, match=match) as caught:
        read_password_file(file)
    assert text not in str(caught.value) or not text


def test_guesses_wait_longer_and_longer_and_stay_bounded() -> None:
    attempts, now, waits = Attempts(), 1000.0, []
    for _ in range(12):
        assert attempts.begin("2001:db8::1", now) == 0
        waits.append(attempts.begin("2001:db8::2", now))  # the same /64 is the same machine
        now += waits[-1]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT
    assert attempts.begin("::ffff:192.0.2.8", now) == 0
    assert attempts.begin("::ffff:192.0.2.9", now) == 0, "IPv4 on a socket for both is not one network"
    assert attempts.begin("192.0.2.1", now) == 0
    attempts.forgive("192.0.2.1")
    assert attempts.begin("192.0.2.1", now) == 0
    for number in range(MOST_ADDRESSES + 5):
        attempts.begin(str(number), now)
    assert len(attempts._wrong) == MOST_ADDRESSES


def test_the_command_writes_a_private_hash(tmp_path: Path) -> None:
    file = tmp_path / "hash"
    command = [sys.executable, "-m", "ui.command_line.main", "password", str(file)]
    done = subprocess.run(command, cwd=ROOT, input=f"{SECRET}\n", text=True, capture_output=True, check=True)
    assert read_password_file(file).agrees(SECRET)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in done.stdout + done.stderr + file.read_text()
