"""The client behind the commands: one request, one answer, one exit code.

A failure is told on stderr with its title, its detail and what to do; stdout stays empty. Nothing
is sent twice: after a deadline it is not known whether a command took effect, and the message
says where to look.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import msgspec
from cyclopts import Parameter

from tradesaga.api.loopback import is_loopback
from tradesaga.bootstrap.token_file import read_token, token_path
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.errors import Invalid
from tradesaga.embedded.failures import Unusable
from tradesaga.embedded.state import default_state_dir

PREFIX: Final = "/api/v1"
PROBLEM: Final = "application/problem+json"
TIME_MAX_SECONDS: Final = 10.0
OF_ALL_AGENTS: Final = ("/agents", "/nodes", "/tokens")
"""Paths that are not below an agent's."""


HINT_WITHOUT_ONE: Final = (
    "The token of the usual state directory is shown by itself; give that of another one "
    "with --token-file DIR/api-token, or one that `tradesaga token create` made."
)
_EXIT_CODES: Final[Mapping[str, ExitCode]] = {
    "invalid-request": ExitCode.USAGE,
    "not-found": ExitCode.NOT_FOUND,
    "wrong-state": ExitCode.WRONG_STATE,
    "unavailable": ExitCode.UNREACHABLE,
    "deadline-exceeded": ExitCode.UNREACHABLE,
}
"""By the code of the problem document; every other is a failure."""

_HINTS: Final = {"wrong-state": "", "invalid-request": "Nothing has been done."}
"""In place of hints that speak of the document's fields, whose content stands above them."""

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the orchestrator is, and how its answer is shown."""

    url: Annotated[
        str,
        Parameter(env_var="TRADESAGA_URL", help="Address of the API; else from TRADESAGA_URL."),
    ] = "http://127.0.0.1:3005"
    agent: Annotated[
        UUID | None,
        Parameter(env_var="TRADESAGA_AGENT", help="The agent, by its id; else the default one."),
    ] = None
    output: Annotated[
        Literal["text", "json"],
        Parameter(name=["--output", "-o"], help="Text for people or JSON for programs."),
    ] = "text"
    token_file: Annotated[
        Path | None,
        Parameter(
            env_var="TRADESAGA_TOKEN_FILE",
            help="A private file with the token; else from TRADESAGA_TOKEN_FILE, else, for this "
            "machine, that of the state directory.",
        ),
    ] = None


class CallFailed(Exception):
    """No usable answer; `lines` is what to tell, the first one the title."""

    def __init__(self, exit_code: ExitCode, *lines: str) -> None:
        super().__init__(lines[0])
        self.exit_code = exit_code
        self.lines = lines

    def tell(self) -> int:
        """Print it to stderr; the exit code."""
        first, *rest = self.lines
        print(f"tradesaga: {first}", *(f"  {line}" for line in rest), sep="\n", file=sys.stderr)
        return self.exit_code


def _below_agent(server: Server, path: str) -> str:
    if server.agent is None or path.startswith(OF_ALL_AGENTS):
        return path
    return f"/agents/{server.agent}{path}"


async def call(
    server: Server,
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    *,
    query: Mapping[str, str | int] | None = None,
    fields: Mapping[str, Any] | None = None,
    time_max: float = TIME_MAX_SECONDS,
) -> bytes:
    """The body of the answer, JSON; `fields` that are None are left out of the request.

    Raises:
        CallFailed: no connection, no answer within `time_max` seconds, or a problem.
    """
    _must_be_address(server.url)
    body = {name: value for name, value in (fields or {}).items() if value is not None}
    content = msgspec.json.encode(body) if method in ("POST", "PUT", "PATCH") else None
    headers = _authorization(server) | ({"Content-Type": "application/json"} if content else {})
    try:
        # The library's own limit is per read; the deadline is for the whole exchange.
        async with (
            asyncio.timeout(time_max),
            httpx2.AsyncClient(base_url=server.url, timeout=time_max, trust_env=False) as client,
        ):
            response = await client.request(
                method,
                f"{PREFIX}{_below_agent(server, path)}",
                params=dict(query or {}),
                content=content,
                headers=headers,
            )
    except httpx2.ConnectError as error:
        raise CallFailed(
            ExitCode.UNREACHABLE,
            f"nothing answers at {server.url}",
            "Start it with `tradesaga up`, or name another address with --url.",
        ) from error
    except (TimeoutError, httpx2.TransportError) as error:
        raise CallFailed(
            ExitCode.UNREACHABLE,
            f"no answer from {server.url} within {time_max:g} seconds",
            "Whether it took effect is not known: look with `tradesaga status`.",
        ) from error
    return _usable(server, response)


def decoded(body: bytes) -> Any:
    """`body` with fractions as Decimal."""
    return _DECODER.decode(body)


def _must_be_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        is_address = False
    if not is_address:
        raise CallFailed(ExitCode.USAGE, f"{url} is no address", "Give --url http://HOST:PORT.")


def _authorization(server: Server) -> dict[str, str]:
    """The header with the token; empty without a token file.

    A token is read from a file alone: every user of the machine sees arguments. That of this
    machine is shown to this machine alone.
    """
    try:
        if server.token_file is not None:
            return _bearer(read_token(server.token_file, foreign=True))
        if is_loopback(urlsplit(server.url).hostname or ""):
            return _bearer(read_token(token_path(default_state_dir())))
    except FileNotFoundError as error:
        if server.token_file is not None:
            raise CallFailed(ExitCode.USAGE, f"there is no {server.token_file}") from error
    except Unusable:  # no home, no state directory
        return {}
    except Invalid as error:
        raise CallFailed(ExitCode.USAGE, *error.problems) from error
    return {}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _usable(server: Server, response: httpx2.Response) -> bytes:
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if media_type == PROBLEM:
        problem = decoded(response.content)
        if problem["code"] == "unauthenticated" and server.token_file is None:
            problem["hint"] = HINT_WITHOUT_ONE
        raise _failure_of(problem)
    if response.is_success and media_type == "application/json":
        return response.content
    raise CallFailed(
        ExitCode.FAILED,
        f"what answers at {server.url} is not Tradesaga (status {response.status_code})",
        "Name its address with --url.",
    )


def _failure_of(problem: Mapping[str, Any]) -> CallFailed:
    exit_code = _EXIT_CODES.get(problem["code"], ExitCode.FAILED)
    lines = [problem["title"]]
    lines += problem.get("problems") or [problem["detail"]]
    if actions := problem.get("allowedActions"):
        state = problem.get("currentState")
        where = "Allowed now" if state is None else f"It is {state}; allowed now"
        lines.append(f"{where}: {', '.join(actions)}")
    lines += filter(None, [_HINTS.get(problem["code"], problem["hint"])])
    if exit_code is ExitCode.FAILED:
        lines.append(f"trace id {problem['traceId']}")
    return CallFailed(exit_code, *lines)
