"""HTTP questions to our own processes on this machine: small, bounded, and by the plain client of
the standard library, so that no proxy setting of the environment can divert them.
"""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tradesaga.domain.errors import Unavailable

SECONDS_MAX: Final = 15.0
_BODY_BYTES_MAX: Final = 8_000_000
_encode = msgspec.json.Encoder().encode


async def ask(
    method: str,
    url: str,
    body: Mapping[str, Any] | None = None,
    *,
    token: str = "",
    seconds_max: float = SECONDS_MAX,
) -> tuple[int, bytes]:
    """Status and body of the answer. Raises Unavailable if nobody answers in HTTP in time."""
    return await asyncio.to_thread(_ask, method, url, body, token, seconds_max)


async def answers_ok(url: str) -> bool:
    """Whether GET answers 200 within a second; a probe of the supervisor."""
    return (await ask("GET", url, seconds_max=1.0))[0] == 200


def _ask(
    method: str, url: str, body: Mapping[str, Any] | None, token: str, seconds_max: float
) -> tuple[int, bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None, url
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds_max)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, None if body is None else _encode(body), headers)
        response = connection.getresponse()
        return response.status, response.read(_BODY_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{parts.netloc} does not answer: {error!r}") from error
    finally:
        connection.close()
