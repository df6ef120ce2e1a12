"""Tokens from the command line, and with which token commands speak."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.api.fake_access import ACTOR, FRESH, secret_of
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.bootstrap.token_file import read_token, token_path
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.access import AccessScope
from tradesaga.domain.errors import Conflict


async def test_a_token_is_made_shown_once_listed_rotated_and_revoked(
    api: Api, terminal: Terminal
) -> None:
    async with served(api.app) as url:
        made = await terminal.types("token", "create", "ci", "--scopes", "read, trade", url=url)
        listed = await terminal.types("token", "ls", url=url)
        gone = await terminal.types("token", "revoke", "ci", url=url)
        missing = await terminal.types("token", "rotate", "ci", url=url)
    assert (made.code, made.out.splitlines()[-1]) == (0, FRESH)
    assert api.access.calls[0] == (
        "create", {"name": "ci", "life": api.access.calls[0][1]["life"], "actor": ACTOR}
    )  # fmt: skip
    assert "read,trade" in listed.out
    assert FRESH not in listed.out
    assert gone.code == 0
    assert (missing.code, missing.out) == (ExitCode.NOT_FOUND, "")


async def test_a_name_that_is_taken_is_told_with_the_ways_out(
    api: Api, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(*_: object, **__: object) -> None:
        raise Conflict("a token named ci lives", allowed=("rotate", "revoke"))

    monkeypatch.setattr(api.access, "create", taken)
    async with served(api.app) as url:
        said = await terminal.types("token", "create", "ci", "--scopes", "read", url=url)
    assert said.code != 0
    assert "Allowed now: rotate, revoke" in said.err


async def test_a_secret_goes_to_a_private_file_when_asked(
    api: Api, terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "ci-token"
    async with served(api.app) as url:
        said = await terminal.types(
            "token", "rotate", "read-token", "--days", "7", "--to", str(file), url=url
        )
    assert said.code == 0
    assert FRESH not in said.out
    assert (file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)) == (FRESH, 0o600)


async def test_the_token_of_this_machine_is_written_anew(
    terminal: Terminal, tmp_path: Path
) -> None:
    said = await terminal.types(
        "token", "rotate", "--local", "--state-dir", str(tmp_path), url="http://127.0.0.1:1"
    )
    assert said.code == 0
    assert read_token(token_path(tmp_path)) not in said.out
    both = await terminal.types("token", "rotate", "ci", "--local", url="http://127.0.0.1:1")
    assert both.code == ExitCode.USAGE


async def test_what_a_token_does_not_allow_is_told(
    api: Api, terminal: Terminal, token_file: Path
) -> None:
    token_file.write_text(secret_of(AccessScope.READ))  # noqa: ASYNC240 -- a few bytes
    async with served(api.app) as url:
        read = await terminal.types("status", url=url)
        stopped = await terminal.types("stop", url=url)
    assert read.code == 0
    assert stopped.code == ExitCode.FAILED
    assert "this needs the scope operate" in stopped.err


async def test_the_token_of_this_machine_is_shown_to_this_machine_alone(
    api: Api, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRADESAGA_TOKEN_FILE")
    monkeypatch.setattr("tradesaga.cli.client.default_state_dir", lambda: tmp_path)
    path = token_path(tmp_path)
    path.touch(mode=0o600)
    path.write_text(secret_of(AccessScope.ADMIN))
    async with served(api.app) as url:
        here = await terminal.types("status", url=url)
        monkeypatch.setattr("tradesaga.cli.client.is_loopback", lambda _: False)
        elsewhere = await terminal.types("status", url=url)
    assert here.code == 0
    assert "no token that is known" in elsewhere.err


async def test_a_token_that_others_may_read_is_not_used(
    terminal: Terminal, token_file: Path
) -> None:
    token_file.chmod(0o644)  # noqa: ASYNC240 -- as above
    said = await terminal.types("status", url="http://127.0.0.1:1")
    assert said.code == ExitCode.USAGE
    assert "may be read by others" in said.err
