"""The way of events to the bus: in order, for ever until acknowledged, across restarts of both.

Events come in already durable (`paper/store.py`) and are forgotten there after the stream has
acknowledged them. A crash in between sends some again under the same `Nats-Msg-Id`. Faults that
were ordered for events act here, at the door.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

from structlog import get_logger

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.faults import FaultBook, FaultKind
from tradesaga.paper.store import Outgoing, Store

RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses after failed sends; the last one is repeated without end: events are never given up."""
FORGET_EVERY = 64
REORDER_SECONDS_MAX = 1.0
HELD_SECONDS_MAX = 10.0

Send = Callable[[Outgoing, str | None], Awaitable[None]]
"""Publish one event under that `Nats-Msg-Id` (None: without one). Raises Unavailable."""
_log = get_logger(__name__)


class Outbox:
    """The queue of committed events and the loop that sends them."""

    def __init__(
        self,
        store: Store,
        pending: Iterable[tuple[int, Outgoing]],
        books: Mapping[str, FaultBook],
    ) -> None:
        self._store = store
        self._books = books
        self._queue = deque(pending)
        self._held: dict[int, float] = {}
        self._more = asyncio.Event()
        self._more.set()
        self._empty = asyncio.Event()
        self._unforgotten = 0
        self.sent_last: Outgoing | None = None

    @property
    def depth(self) -> int:
        """How many events wait."""
        return len(self._queue)

    def add(self, placed: Iterable[tuple[int, Outgoing]], *, held_seconds: float = 0.0) -> None:
        """Queue committed events, not to leave before `held_seconds` of real time."""
        until = time.monotonic() + min(held_seconds, HELD_SECONDS_MAX)
        for number, event in placed:
            if held_seconds:
                self._held[number] = until
            self._queue.append((number, event))
            self._empty.clear()
        self._more.set()

    async def drained(self, seconds_max: float) -> bool:
        """Wait until all events are out, at most that long; answers whether they are."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def run(self, send: Send) -> None:
        """Send what is queued, for ever; ends by cancellation."""
        while True:
            if not self._queue:
                self._forget(force=True)
                self._empty.set()
                self._more.clear()
                await self._more.wait()
                continue
            number, event = self._queue[0]
            if (held := self._held.pop(number, 0.0) - time.monotonic()) > 0:
                await asyncio.sleep(held)
            last = await self._through_faults(number, event, send)
            self._forget_up_to(last)

    async def _through_faults(self, number: int, event: Outgoing, send: Send) -> int:
        """Send the event as the faults have it; answers the last place that is done with."""
        book = self._books[event.source]
        if not book.faults:
            await self._send(event, event.event_id, send)
            self._queue.popleft()
            return number
        kind, symbol = event.event_type, event.symbol
        if book.take(FaultKind.EVENT_DROPPED, symbol=symbol, event_type=kind):
            self._queue.popleft()
            return number
        if book.take(FaultKind.EVENT_REORDERED, symbol=symbol, event_type=kind):
            number = await self._overtaken(number, send)
        await self._send(event, event.event_id, send)
        if book.take(FaultKind.EVENT_DUPLICATED, symbol=symbol, event_type=kind):
            await self._send(event, None, send)  # with its id the stream would drop the repeat
        self._queue.popleft()
        return number

    async def _overtaken(self, number: int, send: Send) -> int:
        """Let the next event of the queue go first, if one comes within a second."""
        try:
            async with asyncio.timeout(REORDER_SECONDS_MAX):
                while len(self._queue) < 2:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return number
        next_number, following = self._queue[1]
        await self._send(following, following.event_id, send)
        del self._queue[1]
        return next_number

    async def _send(self, event: Outgoing, message_id: str | None, send: Send) -> None:
        attempt = 0
        while True:
            try:
                await send(event, message_id)
            except Unavailable as error:
                pause = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                if attempt == 0:
                    _log.warning("event_not_sent", event_type=event.event_type, reason=str(error))
                attempt += 1
                await asyncio.sleep(pause)
            else:
                self.sent_last = event
                return

    def _forget_up_to(self, number: int) -> None:
        self._done = number
        self._unforgotten += 1
        self._forget(force=False)

    def _forget(self, *, force: bool) -> None:
        if self._unforgotten and (force or self._unforgotten >= FORGET_EVERY):
            self._store.sent(self._done)
            self._unforgotten = 0
