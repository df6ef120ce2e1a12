"""Verdicts and the trades that they allow: one commit, and nothing counted that was not written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from typing_extensions import override

from tests.engine.place import Place, desk_of
from tests.engine.test_analysis_cycle import (
    OTHER,
    analysed,
    decisions,
    lines,
    new_place,
    trading_on,
)
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.decisions import Verdict
from tradesaga.domain.errors import Conflict, TradesagaError, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Order
from tradesaga.domain.saga import Saga
from tradesaga.engine.assembly import Parts
from tradesaga.ports.journal import Change
from tradesaga.testing.journal import MemoryJournal


class NotedJournal(MemoryJournal):
    """Keeps what it commits; `before` happens once, before the first judged decisions."""

    def __init__(self, place: Place, before: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__(place.store)
        self.before = before
        self.judged: list[Change] = []

    @override
    async def commit(self, change: Change) -> int:
        if any(entry.kind == "decision.judged" for entry in change.entries):
            self.judged.append(change)
            before, self.before = self.before, None
            if before is not None:
                await before()
        return await super().commit(change)


def counted(parts: Parts, place: Place) -> tuple[int, int]:
    """Open trades, and orders that the pace rules have seen today."""
    desk = desk_of(parts)
    return len(desk.trades), desk.holdings.pace.day.count(place.clock.now())


async def test_verdicts_and_intents_are_one_commit() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy")
    journal = NotedJournal(place)
    async with trading_on(place, journal, OTHER) as parts:
        cycle = await analysed(place, parts)
    assert (cycle.orders_submitted, len(journal.judged)) == (2, 1)
    kinds = [type(row.value).__name__ for row in journal.judged[0].rows]
    for name, number in {
        "Cycle": 1, "Decision": 2, "InboxEntry": 4, "Saga": 2, "Reservation": 2, "Order": 2,
    }.items():  # fmt: skip
        assert kinds.count(name) == number, name
    assert await place.broken() == []


async def test_a_stop_in_between_leaves_the_verdicts_and_begins_nothing() -> None:
    place, _ = new_place()
    journal = NotedJournal(place)
    async with trading_on(place, journal) as parts:

        async def stopped() -> None:
            await parts.leadership.raise_epoch()

        journal.before = stopped
        cycle = await analysed(place, parts)
        assert counted(parts, place) == (0, 0)
    assert (cycle.status, cycle.orders_submitted) == (CycleStatus.COMPLETED, 0)
    assert [d.verdict for d in decisions(place)] == [Verdict.ALLOWED]
    assert place.store.of(Saga, DEFAULT_AGENT) == place.store.of(Order, DEFAULT_AGENT) == []
    assert "not begun: the agent was stopped" in {line.message for line in lines(place)}
    assert place.venue.orders == {}


@pytest.mark.parametrize("error", [Conflict("moved"), Unavailable("too many wait")])
async def test_what_the_journal_refuses_has_never_counted(error: TradesagaError) -> None:
    place, _ = new_place()

    async def refused() -> None:
        raise error

    async with trading_on(place, NotedJournal(place, refused)) as parts:
        cycle = await analysed(place, parts)
        assert cycle.status is CycleStatus.FAILED
        assert counted(parts, place) == (0, 0)
    assert place.store.of(Saga, DEFAULT_AGENT) == []
    assert place.venue.orders == {}
