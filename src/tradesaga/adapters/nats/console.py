"""NATS for a person at a terminal: look at what passes, publish one message. Nothing durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import nats.errors
from nats.aio.msg import Msg

from tradesaga.adapters.nats.envelope import BYTES_MAX
from tradesaga.adapters.nats.link import Link, opened
from tradesaga.domain.errors import Invalid, Refused, Unavailable

SECONDS_MAX = 5.0
DENIED = "permissions violation"
LOOK_SECONDS = 0.5
WAITING_MAX = 10_000
"""Messages that a slow terminal may be behind; more end the tail."""


class Console:
    """One connection; see `connected`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def tail(self, subjects: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
        """Subject and body of each message from now on, for ever.

        Raises:
            Unavailable: the connection is lost, or the reader is too slow.
            Refused: the server does not let this user listen there.
        """
        waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING_MAX)

        async def heard(message: Msg) -> None:
            if waiting.full():
                self._link.give_up()
                return
            waiting.put_nowait((message.subject, message.data))

        for subject in subjects:
            await self._link.client.subscribe(subject, cb=heard)
        await self._link.client.flush(int(SECONDS_MAX))
        self._must_be_allowed()
        while self._link.is_open:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    message = await waiting.get()
            except TimeoutError:
                self._must_be_allowed()  # a refusal may come behind the answer to the flush
                continue
            yield message
        raise Unavailable("the connection to NATS is lost")

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Its number in the stream that has stored it.

        Raises:
            Invalid: larger than any reader takes.
            Unavailable: no stream takes it, or no acknowledgement came.
            Refused: the server does not let this user publish there.
        """
        if len(body) > BYTES_MAX:
            raise Invalid([f"{len(body)} bytes are more than {BYTES_MAX}"])
        try:
            stored = await self._link.jetstream.publish(
                subject, body, timeout=SECONDS_MAX, headers=dict(headers)
            )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            self._must_be_allowed()  # or nobody would say why there was no answer
            raise Unavailable(f"{subject}: {str(error) or 'no acknowledgement'}") from error
        return stored.seq

    def _must_be_allowed(self) -> None:
        said = str(self._link.client.last_error)
        if DENIED in said.lower():
            raise Refused(said, code="permissions_violation")


@asynccontextmanager
async def connected(url: str, token: str, user: str = "") -> AsyncIterator[Console]:
    """A console on the first server of `url` that answers. Raises Unavailable, Refused."""
    async with opened(
        url,
        token,
        user=user,
        name="tradesaga-console",
        open_seconds_max=SECONDS_MAX,
        request_seconds_max=SECONDS_MAX,
    ) as link:
        yield Console(link)
