"""A day on which portfolios are rebalanced: 09:00 in New York, the open, and prices that live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from typing_extensions import override

from tests.domain.limits import LIMITS, SESSION
from tests.engine.place import SETTINGS, Place
from tradesaga.domain.agent import Mode
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.ids import DEFAULT_AGENT, ScheduleId
from tradesaga.domain.market import Quote
from tradesaga.domain.rebalance import Method, RebalancePolicy
from tradesaga.engine.assembly import Parts
from tradesaga.ports.journal import CycleLog
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.market_data import ScriptedMarketData

D = Decimal
SECOND = timedelta(seconds=1)
NINE = datetime.fromisoformat("2026-11-23T14:00Z")
RELEASE = SESSION.open + 30 * SECOND
WANTED = RebalancePolicy(
    method=Method.FIXED,
    targets={"ACME": D("0.10"), "BOLT": D("0.05")},
    threshold=D("0.01"),
    closes=60,
)


class LivePrices(ScriptedMarketData):
    """Quotes that are always of now, at the venue's prices."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.clock)
        self._prices = place.venue.prices

    @override
    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        for symbol in symbols:
            if symbol in self._prices:
                self.show(symbol, self._prices[symbol])
        return await super().quotes(symbols)


def place_at(moment: datetime, policy: RebalancePolicy | None = WANTED) -> Place:
    """A place whose portfolio is worth 100,000, all cash."""
    limits = dict.fromkeys(Mode, replace(LIMITS, orders_per_minute=30))
    settings = replace(SETTINGS, rebalance=policy, limits=limits)
    place = Place(settings=settings, clock=VirtualClock(moment, idle_turns=400))
    place.venue.prices |= {"ACME": D(100), "BOLT": D(50), "CUBE": D(20)}
    place.market_data = LivePrices(place)
    return place


def rebalances(place: Place) -> list[Cycle]:
    """All of them, the first one first."""
    found = [c for c in place.store.of(Cycle, DEFAULT_AGENT) if c.type is CycleType.REBALANCE]
    return sorted(found, key=lambda cycle: (cycle.started_at, cycle.id))


def due(place: Place, parts: Parts, fire: datetime | None = None) -> None:
    """The rebalance of `fire`, by default one of now, is due."""
    fires = {key: fire or place.clock.now() for key in keys(parts)}
    parts.scheduler.offer(fires, TriggeredBy.SCHEDULE)


def keys(parts: Parts) -> list[ScheduleId]:
    """The schedule of the rebalance, if there is one."""
    return [s.id for s in parts.schedules.all() if s.cycle_type is CycleType.REBALANCE]


async def done(parts: Parts) -> None:
    """What runs has come to its end."""
    for task in tuple(parts.scheduler.running.tasks):
        await task


def aim(place: Place, **weights: str) -> None:
    """Other targets for the next process."""
    targets = {symbol: D(weight) for symbol, weight in weights.items()}
    place.settings = replace(place.settings, rebalance=replace(WANTED, targets=targets))


async def rebalanced(place: Place, parts: Parts) -> Cycle:
    """One rebalance of now, to its end."""
    due(place, parts)
    await done(parts)
    cycle = rebalances(place)[-1]
    assert cycle.status is not CycleStatus.STARTED
    return cycle


def lines(place: Place, message: str) -> list[CycleLog]:
    """What cycles have noted under that message."""
    return [line for _, line in place.store.logs if line.message == message]
