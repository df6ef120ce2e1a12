"""The tokens of the API from the command line. A secret is printed once, or written to a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from cyclopts import App, Parameter, validators

from tradesaga.bootstrap.token_file import rotate_token
from tradesaga.cli.asking import tell
from tradesaga.cli.client import CallFailed, Server, call, decoded
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.rendering import moment, table
from tradesaga.embedded.state import default_state_dir, write_private

HERE: Final = Server()
Days = Annotated[int | None, Parameter(validator=validators.Number(gte=1, lte=366))]

token = App(name="token", help="List, create, revoke and rotate the tokens of the API.")


@token.command(name="ls")
async def list_tokens(*, server: Server = HERE) -> int:
    """List all tokens, the ended ones too; secrets are kept nowhere."""
    return await tell(server, call(server, "GET", "/tokens"), _listed)


@token.command(name="create")
async def create(
    name: str,
    /,
    *,
    scopes: str,
    days: Days = None,
    to: Path | None = None,
    server: Server = HERE,
) -> int:
    """Create a token; its secret is shown this once.

    Parameters
    ----------
    name
        Its name in the audit log.
    scopes
        Some of read, operate, trade, risk_admin, admin, separated by commas.
    days
        How long it lives, 90 days when not given.
    to
        Write the secret to this file (0600) instead of the terminal.
    """
    wanted = [scope.strip() for scope in scopes.split(",")]
    fields = {"name": name, "scopes": wanted, "expiresInDays": days}
    return await _minted(server, "/tokens", fields, to)


@token.command(name="revoke")
async def revoke(name: str, /, *, server: Server = HERE) -> int:
    """End a token, within a second everywhere.

    Parameters
    ----------
    name
        Its name or id.
    """
    answer = call(server, "POST", f"/tokens/{quote(name, safe='')}/revoke")
    return await tell(server, answer, lambda one: _rows([one]))


@token.command(name="rotate")
async def rotate(
    name: str | None = None,
    /,
    *,
    local: Annotated[bool, Parameter(negative=())] = False,
    days: Days = None,
    to: Path | None = None,
    state_dir: Path | None = None,
    server: Server = HERE,
) -> int:
    """Give a token another secret; the old one ends at once.

    Parameters
    ----------
    name
        Its name or id.
    local
        The token of this machine instead, which is a file in the state directory.
    days
        How long it lives from now, 90 days when not given.
    to
        Write the secret to this file (0600) instead of the terminal.
    state_dir
        Where the token of this machine is.
    """
    if local is (name is not None):
        return CallFailed(ExitCode.USAGE, "give the name of a token, or --local").tell()
    if name is not None:
        fields = {"expiresInDays": days}
        return await _minted(server, f"/tokens/{quote(name, safe='')}/rotate", fields, to)
    try:
        path = rotate_token((state_dir or default_state_dir()).resolve())
    except OSError as error:
        return CallFailed(ExitCode.FAILED, f"no token is written: {error}").tell()
    print(f"wrote {path}; a running orchestrator heeds it within a second")
    return ExitCode.OK


async def _minted(server: Server, path: str, fields: Mapping[str, Any], to: Path | None) -> int:
    try:
        body = await call(server, "POST", path, fields=fields)
    except CallFailed as failure:
        return failure.tell()
    answer = decoded(body)
    if to is not None:
        write_private(to, answer["secret"] + "\n")
        print("\n".join(_rows([answer["token"]])))
    elif server.output == "json":
        print(body.decode())
    else:
        print("\n".join([*_rows([answer["token"]]), "", answer["secret"]]))
    return ExitCode.OK


def _listed(answer: Mapping[str, Any]) -> list[str]:
    return _rows(answer["tokens"])


def _rows(tokens: list[Mapping[str, Any]]) -> list[str]:
    header = ("NAME", "SCOPES", "EXPIRES", "REVOKED", "LAST USED", "CREATED BY", "ID")
    rows = [
        (
            one["name"],
            ",".join(one["scopes"]),
            moment(one["expiresAt"]),
            _moment(one["revokedAt"]),
            _moment(one["lastUsedAt"]),
            one["createdBy"],
            one["id"],
        )
        for one in tokens
    ]
    return table(header, rows)


def _moment(text: str | None) -> str:
    return "-" if text is None else moment(text)
