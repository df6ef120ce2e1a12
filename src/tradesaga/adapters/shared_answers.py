"""Answers that the agents of one process share: a service that all of them use is asked once.

Who asks within `FRESH_SECONDS` of an answer is given that answer, a failure like any other; who
asks while the question is under way waits for it. What is shared says how a service is, or what
time it is elsewhere: nothing that an order depends on.
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

FRESH_SECONDS: Final = 1.0
"""Real time; a heartbeat asks every 30 s."""
T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """One question; `monotonic` is a clock port's."""

    def __init__(self, ask: Callable[[], Awaitable[T]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._answer: tuple[float, T | Transient] | None = None

    async def get(self) -> T:
        """The answer. Raises what asking raises."""
        async with self._turn:
            if self._answer is None or self._monotonic() - self._answer[0] >= FRESH_SECONDS:
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
    """Implements `ports.services.MarketData`: health is shared, what is asked of the market not."""

    def __init__(self, service: MarketData, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._health = SharedAnswer(service.health, monotonic)

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
        return await self._service.market_status()

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


class SharedParking:
    """Implements `ports.services.EngineParking` over one that parks for many agents."""

    def __init__(self, parking: EngineParking, monotonic: Callable[[], float]) -> None:
        self._parked = SharedAnswer(parking.park, monotonic)

    async def park(self) -> None:
        """See the port."""
        await self._parked.get()
