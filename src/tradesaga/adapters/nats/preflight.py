"""The start check of a NATS server: would JetStream keep what it acknowledges?

The client protocol does not tell `sync_interval`; the monitoring endpoint does. Without its
address the report says that durability is unverified, rather than nothing.
"""

from __future__ import annotations

import asyncio
import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from tradesaga.adapters.nats.link import login_of
from tradesaga.domain.errors import Refused, Unavailable

VERSION_MIN = (2, 12)
SECONDS_MAX = 3.0
LAZY = "a message is acknowledged before it is on the disk"
_ANSWER_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """What the server is, each problem with its remedy, and what could not be found out."""

    version: str
    problems: tuple[str, ...]
    unverified: tuple[str, ...] = ()


class _JetStreamConfig(msgspec.Struct):
    sync_always: bool = False


class _JetStream(msgspec.Struct):
    config: _JetStreamConfig | None = None


async def check_nats(
    url: str, token: str | None = None, monitor_url: str | None = None, *, user: str = ""
) -> ServerReport:
    """Connect and judge version, JetStream and, through `monitor_url`, durability.

    Raises Unavailable if it cannot be reached, Refused if it refuses the token.
    """
    place = _place(url)
    client = await _connect(url, token, place, user)
    problems = []
    try:
        found = client.connected_server_version
        version = f"{found.major}.{found.minor}.{found.patch}"
        if (found.major, found.minor) < VERSION_MIN:
            problems.append(f"version {version} is too old; upgrade to 2.12 or later")
        if not await _has_jetstream(client, place):
            problems.append("JetStream is off; start it with -js or a jetstream block")
    finally:
        await client.close()
    unverified: tuple[str, ...] = ()
    if monitor_url is None:
        unverified = (
            f"NATS at {place}: sync_interval, since eventBus.monitorUrl names no address",
        )
    elif not await asyncio.to_thread(_syncs_always, monitor_url):
        problems.append(
            f"{LAZY}; set sync_interval: always in its jetstream block, or say "
            "eventBus.acceptLazySync"
        )
    return ServerReport(
        version=version,
        problems=tuple(f"NATS at {place}: {problem}" for problem in problems),
        unverified=unverified,
    )


async def _connect(url: str, token: str | None, place: str, user: str) -> Client:
    seen: list[Exception] = []

    async def remember(error: Exception) -> None:  # the client would print each try's traceback
        seen.append(error)

    client = Client()
    try:
        async with asyncio.timeout(SECONDS_MAX):
            await client.connect(
                servers=url,
                **login_of(user, token),  # type: ignore[arg-type]  # each a string of its name
                error_cb=remember,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                connect_timeout=1,
            )
    except (OSError, nats.errors.Error) as error:
        await client.close()
        if "authorization" in str(error).lower():
            raise Refused(
                f"NATS at {place} refuses the {'missing ' if token is None else ''}token; "
                "check the token or user in NATS_URL",
                code="authorization_violation",
            ) from error
        reason = str(seen[-1] if seen else error) or f"no answer within {SECONDS_MAX:.0f} s"
        raise Unavailable(
            f"NATS at {place} cannot be reached: {reason}; start it, check NATS_URL, or leave it "
            "out to use the embedded server"
        ) from error
    return client


async def _has_jetstream(client: Client, place: str) -> bool:
    try:
        await client.jetstream(timeout=SECONDS_MAX).account_info()
    except (nats.js.errors.APIError, nats.errors.NoRespondersError):
        return False
    except nats.errors.Error as error:
        raise Unavailable(f"JetStream of NATS at {place} does not answer: {error}") from error
    return True


def _syncs_always(monitor_url: str) -> bool:
    parts = urlsplit(monitor_url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SECONDS_MAX)
    try:
        connection.request("GET", "/jsz?config=true")
        answer = connection.getresponse().read(_ANSWER_BYTES_MAX)
        found = msgspec.json.decode(answer, type=_JetStream)
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise Unavailable(
            f"NATS monitoring at {parts.netloc} does not answer: {error}; check its address"
        ) from error
    finally:
        connection.close()
    return found.config is not None and found.config.sync_always


def _place(url: str) -> str:
    """Return host and port; the token may stand before them and must not reach a log."""
    return urlsplit(url).netloc.rpartition("@")[2] or url
