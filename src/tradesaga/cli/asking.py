"""What the commands that ask a running orchestrator share: one answer told, or many waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from tradesaga.cli.client import CallFailed, Server, call, decoded
from tradesaga.cli.exit_codes import ExitCode

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def tell(
    server: Server, answer: Awaitable[bytes], text: Callable[[Mapping[str, Any]], list[str]]
) -> int:
    """Print what `answer`, a call, comes to; the exit code."""
    try:
        body = await answer
    except CallFailed as failure:
        return failure.tell()
    print(body.decode() if server.output == "json" else "\n".join(text(decoded(body))))
    return ExitCode.OK


async def patient(
    server: Server, path: str, query: Mapping[str, str | int], interval: float
) -> bytes:
    """The answer, asked for until it comes: a restart takes seconds. Ended by the caller alone."""
    told = False
    while True:
        try:
            return await call(server, "GET", path, query=query)
        except CallFailed as failure:
            if failure.exit_code is not ExitCode.UNREACHABLE:
                raise
            if not told:
                failure.tell()
            told = True
        await wait(interval)


async def wait(seconds: float) -> None:
    """Let that much time pass."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        return


def one_line(
    server: Server, item: Mapping[str, Any], text: Callable[[Mapping[str, Any]], str]
) -> str:
    """One item of a list that is watched: a line of text, or of JSON."""
    return text(item) if server.output == "text" else _encode(item).decode()
