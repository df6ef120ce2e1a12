"""Probes: does a service answer?

HTTP is asked on the loopback, in a worker thread and with a bound, by the standard library's client
on purpose: no proxy setting of the environment can divert it.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable

from tradesaga.domain.errors import TradesagaError

SECONDS_MAX = 1.0
_BODY_BYTES_MAX = 10_000

Probe = Callable[[], Awaitable[bool]]
"""Tells whether a service answers; OSError and our own errors count as no."""


async def answers(probe: Probe) -> bool:
    """Probe once."""
    try:
        return await probe()
    except (OSError, TradesagaError):
        return False


async def http_answer(port: int, path: str) -> tuple[int, bytes]:
    """Return status and start of the body of GET `path` on 127.0.0.1.

    Raises OSError if nobody answers in HTTP.
    """
    return await asyncio.to_thread(_get, port, path)


def http_probe(port: int, path: str) -> Probe:
    """Return a probe that wants status 200."""

    async def probe() -> bool:
        return (await http_answer(port, path))[0] == 200

    return probe


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(_BODY_BYTES_MAX)
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP on port {port}") from error
    finally:
        connection.close()
