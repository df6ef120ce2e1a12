"""One connection to NATS, from its opening to its loss; it never reconnects by itself.

The client library reconnects too, but its way back differs from its way in: after some errors it
closes for ever, and streams or consumers that are gone stay gone. Here a lost connection ends the
link, and the bus opens the next one exactly as the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import NoReturn

import nats.errors
from nats.aio.client import Client
from nats.js.client import JetStreamContext
from structlog import get_logger

from tradesaga.domain.errors import Refused, Unavailable

log = get_logger(__name__)

PING_SECONDS = 5
PINGS_MISSED_MAX = 2
CLOSE_SECONDS_MAX = 2.0
LOOK_SECONDS = 0.2


class Link:
    """A connection that stands, or has stood."""

    def __init__(self, client: Client, request_seconds_max: float) -> None:
        self.client = client
        self.jetstream: JetStreamContext = client.jetstream(timeout=request_seconds_max)
        self._closed = asyncio.Event()
        self._bounds: set[asyncio.Timeout] = set()

    @property
    def is_open(self) -> bool:
        """Whether it stands at this moment."""
        return self.client.is_connected and not self._closed.is_set()

    @contextmanager
    def cut_short(self, bound: asyncio.Timeout) -> Iterator[None]:
        """Let `bound` run out at once when the link is lost: no answer will come over it."""
        self._bounds.add(bound)
        try:
            if not self.is_open:
                self._expire(bound)
            yield
        finally:
            self._bounds.discard(bound)

    async def until_lost(self) -> NoReturn:
        """Wait for its end.

        Raises:
            Unavailable: it has come.
        """
        # Looked at as well: a reset while the library writes its last words loses its callback.
        while self.is_open:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._closed.wait()
        self.give_up()
        raise Unavailable("the connection to NATS is lost")

    def give_up(self) -> None:
        """Take it for lost, whatever the client says: what stands behind it is gone."""
        self._closed.set()
        for bound in self._bounds:
            self._expire(bound)

    async def on_closed(self) -> None:
        """The client's callback: it has closed."""
        self.give_up()

    def _expire(self, bound: asyncio.Timeout) -> None:
        if not bound.expired():
            bound.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def opened(
    url: str,
    token: str,
    *,
    name: str,
    open_seconds_max: float,
    request_seconds_max: float,
    user: str = "",
) -> AsyncIterator[Link]:
    """A link to the first server of `url` (several with commas) that answers.

    With a `user` the token is its password, and answers come to an inbox of its own.

    Raises:
        Unavailable: none answers in time.
        Refused: the login is wrong.
    """
    client = Client()
    link = Link(client, request_seconds_max)
    try:
        login = login_of(user, token)
        await _connect(client, link, url, login, name=name, seconds_max=open_seconds_max)
        yield link
    finally:
        # Also after a failed connect: the client leaves its socket open otherwise.
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await client.close()
        except (TimeoutError, OSError, nats.errors.Error) as error:
            log.debug("bus_close_failed", error=str(error))
        _take_failure_of_reader(client)


def _take_failure_of_reader(client: Client) -> None:
    """Ask the library's reading task how it ended, or asyncio prints its traceback later."""
    task = client._reading_task
    if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
        log.debug("bus_reader_failed", error=str(task.exception()))


def login_of(user: str, token: str | None) -> dict[str, str]:
    """What the client library is told; a user's inboxes are closed to others."""
    if user:
        return {"user": user, "password": token or "", "inbox_prefix": f"_INBOX_{user}"}
    return {"token": token} if token else {}


async def _connect(
    client: Client,
    link: Link,
    url: str,
    login: Mapping[str, str],
    *,
    name: str,
    seconds_max: float,
) -> None:
    seen: list[Exception] = []

    async def remember(error: Exception) -> None:  # the library would print a traceback
        seen.append(error)
        del seen[:-1]
        if "permissions violation" in str(error).lower():
            log.error("bus_denies", error=str(error))
        else:
            log.debug("bus_client_error", error=str(error))

    try:
        async with asyncio.timeout(seconds_max):
            await client.connect(
                servers=url.split(","),
                name=name,
                **login,  # type: ignore[arg-type]  # each is a string of its own name
                allow_reconnect=False,
                max_reconnect_attempts=1,  # 0 would mean for ever
                reconnect_time_wait=0,
                connect_timeout=max(1, int(seconds_max)),
                ping_interval=PING_SECONDS,
                max_outstanding_pings=PINGS_MISSED_MAX,
                error_cb=remember,
                closed_cb=link.on_closed,
            )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        if "authorization" in str(error).lower():
            raise Refused("NATS refuses the login", code="authorization_violation") from error
        reason = str(seen[-1] if seen else error) or "no answer in time"
        raise Unavailable(f"NATS cannot be reached: {reason}") from error
