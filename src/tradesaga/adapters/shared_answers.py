"""Answers that the agents of one process share: a service that all of them use is asked once.

Who asks within `FRESH_SECONDS` of an answer is given that answer, a failure like any other; who
asks while the question is under way waits for it. What is shared says how a service is, or what
time it is elsewhere, or is compared with what we know ourselves: nothing that an order is made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Generic, TypeVar

from tradesaga.domain.errors import Transient
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.ports.clock import Offset, OtherClock
from tradesaga.ports.services import DecisionService, EngineParking, Health, MarketData
from tradesaga.ports.stream import StreamEnd, StreamState, Told

FRESH_SECONDS: Final = 1.0
"""Real time; a heartbeat asks every 30 s."""
STATUS_FRESH_SECONDS: Final = 0.2
"""Of what a second source says of the session: at an open it must not be long behind."""
T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """One question; `monotonic` is a clock port's."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        monotonic: Callable[[], float],
        *,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._fresh_seconds = fresh_seconds
        self._turn = asyncio.Lock()
        self._answer: tuple[float, T | Transient] | None = None

    async def get(self) -> T:
        """The answer. Raises what asking raises."""
        async with self._turn:
            if self._answer is None or self._monotonic() - self._answer[0] >= self._fresh_seconds:
                answer: T | Transient
                try:
                    answer = await self._ask()
                except Transient as error:
                    answer = error
                self._answer = self._monotonic(), answer
            answer = self._answer[1]
        if isinstance(answer, Transient):
            raise type(answer)(*answer.args) from answer
        return answer


class SharedDecisionService:
    """Implements `ports.services.DecisionService` over one that many agents ask."""

    def __init__(self, service: DecisionService, monotonic: Callable[[], float]) -> None:
        self._health = SharedAnswer(service.health, monotonic)

    async def health(self) -> Health:
        """See the port."""
        return await self._health.get()


class SharedMarketData:
    """Implements `ports.services.MarketData`: prices are each agent's own question."""

    def __init__(self, service: MarketData, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._health = SharedAnswer(service.health, monotonic)
        self._status = SharedAnswer(
            service.market_status, monotonic, fresh_seconds=STATUS_FRESH_SECONDS
        )

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """See the port."""
        return await self._service.quotes(symbols)

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """See the port."""
        return await self._service.daily_closes(symbols, number=number)

    async def market_status(self) -> MarketStatus:
        """See the port."""
        return await self._status.get()

    async def health(self) -> Health:
        """See the port."""
        return await self._health.get()


class SharedClock:
    """Implements `ports.clock.OtherClock` over one that many agents read."""

    def __init__(self, clock: OtherClock, monotonic: Callable[[], float]) -> None:
        self._offset = SharedAnswer(clock.offset, monotonic)

    async def offset(self) -> Offset:
        """See the port."""
        return await self._offset.get()


class _Fresh(Generic[T]):
    """Who asks while another asks waits, and asks for all who wait: no answer is of before."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._turn = asyncio.Lock()
        self._begun = 0
        self._answers: list[T] = []

    async def get(self) -> T:
        begun = self._begun
        async with self._turn:
            if not self._answers or self._begun == begun:
                self._begun, self._answers = self._begun + 1, []
                self._answers.append(await self._ask())
            return self._answers[0]


class SharedStream:
    """Implements `ports.stream.StreamState` over one bus that carries the events of many agents.

    Nobody is given an end of before he asked: his own marks could lie behind it, as if lost.
    """

    def __init__(self, stream: StreamState) -> None:
        self._stream = stream
        self._end, self._last = _Fresh(stream.stream_end), _Fresh(stream.last_of_ours)

    def connection(self) -> int:
        """See the port."""
        return self._stream.connection()

    async def stream_end(self) -> StreamEnd:
        """See the port; who asks while another asks waits, and asks for all who wait."""
        return await self._end.get()

    async def last_of_ours(self) -> Told | None:
        """See the port; asked for likewise."""
        return await self._last.get()


class SharedParking:
    """Implements `ports.services.EngineParking` over one that parks for many agents."""

    def __init__(self, parking: EngineParking, monotonic: Callable[[], float]) -> None:
        self._parked = SharedAnswer(parking.park, monotonic)

    async def park(self) -> None:
        """See the port."""
        await self._parked.get()
