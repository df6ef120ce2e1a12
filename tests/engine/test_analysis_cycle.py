"""The analysis cycle: who fails alone, what is never begun, what a cancelled one leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from typing_extensions import override

from tests.domain.trades import START
from tests.engine.deciding import DecidingBus
from tests.engine.place import STRATEGY, Place, begin, desk_of
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.orders import Order
from tradesaga.domain.risk import Limits
from tradesaga.domain.saga import ENDS, Saga
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.assembly import Parts
from tradesaga.ports.journal import Change, CycleLog
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.venue_script import ACCEPT

OTHER = replace(
    STRATEGY,
    id=StrategyId(derived("other")),
    external_id="rsi",
    name="Reversion",
    symbols=("BOLT",),
)


def new_place(*symbols: str) -> tuple[Place, DecidingBus]:
    place = Place(clock=VirtualClock(START, idle_turns=400))  # a question takes many turns
    bus = place.bus = DecidingBus(place.clock)
    for symbol in symbols or ("ACME", "BOLT"):
        place.market_data.show(symbol, 100)
    return place, bus


@asynccontextmanager
async def trading(place: Place, *strategies: Strategy) -> AsyncIterator[Parts]:
    """A running node whose relay and coordinator work."""
    async with trading_on(place, None, *strategies) as parts:
        yield parts


@asynccontextmanager
async def trading_on(
    place: Place, journal: MemoryJournal | None, *strategies: Strategy
) -> AsyncIterator[Parts]:
    """The same on a journal of the test's own."""
    async with place.running(journal) as parts, asyncio.TaskGroup() as group:
        await parts.book.load([STRATEGY, *strategies])
        tasks = [group.create_task(parts.relay.run()), group.create_task(parts.coordinator.run())]
        yield parts
        for task in tasks:
            task.cancel()


async def analysed(place: Place, parts: Parts) -> Cycle:
    """One cycle, begun now and run to its end."""
    assert parts.scheduler.tick_analysis(place.clock.now())
    (task,) = parts.scheduler.running.tasks
    await task
    found = await place.records.cycles(DEFAULT_AGENT, limit=1)
    return found[0]


def lines(place: Place) -> list[CycleLog]:
    return [line for _, line in place.store.logs]


def decisions(place: Place) -> list[Decision]:
    return place.store.of(Decision, DEFAULT_AGENT)


async def test_a_decision_becomes_an_order_and_a_hold_does_not() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        first, second = await analysed(place, parts), await analysed(place, parts)
    assert (first.outcome, first.orders_submitted, first.orders_filled) == ("success", 1, 1)
    assert (second.outcome, second.orders_submitted) == ("success", 0)
    assert [d.verdict for d in decisions(place)] == [Verdict.ALLOWED, Verdict.HELD]
    assert await place.position() == Decimal(2)


async def test_a_strategy_without_a_quote_fails_alone() -> None:
    place, _ = new_place("ACME")
    async with trading(place, OTHER) as parts:
        cycle = await analysed(place, parts)
    assert (cycle.status, cycle.outcome) == (CycleStatus.COMPLETED, "partial")
    assert [(e.strategy_id, e.error) for e in cycle.errors] == [("rsi", "no quote of BOLT")]
    assert cycle.orders_filled == 1


async def test_a_strategy_without_an_answer_fails_alone() -> None:
    place, bus = new_place()

    def silent_on_bolt(number: int, symbol: str) -> Proposal | None:
        return None if symbol == "BOLT" else bus.proposal(number, symbol, "buy")

    bus.decide = silent_on_bolt
    async with trading(place, OTHER) as parts:
        cycle = await analysed(place, parts)
    assert cycle.outcome == "partial"
    assert [e.strategy_id for e in cycle.errors] == ["rsi"]
    assert cycle.orders_filled == 1
    assert await place.position("ACME") == Decimal(2)


async def test_a_venue_without_an_account_fails_the_cycle_and_asks_nobody() -> None:
    place, bus = new_place()
    async with trading(place) as parts:
        place.venue.down = True
        cycle = await analysed(place, parts)
    assert cycle.status is CycleStatus.FAILED
    assert [row.type for row in bus.published if "analysis" in row.type] == []


@pytest.mark.parametrize("action", ["short", "", "BUY NOW"])
async def test_what_is_no_action_is_denied(action: str) -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, action)
    async with trading(place) as parts:
        await analysed(place, parts)
    (decision,) = decisions(place)
    assert [d.code for d in decision.denials] == ["ACTION_UNKNOWN"]
    assert place.venue.submits == []


async def test_a_paused_agent_leaves_positions_and_enters_none() -> None:
    place, bus = new_place()
    async with trading(place) as parts:
        await analysed(place, parts)  # buys 2
        await parts.control.pause(duration=None, reason="", actor="operator")
        bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy")
        await analysed(place, parts)
        bus.decide = lambda number, symbol: bus.proposal(number, symbol, "sell")
        await analysed(place, parts)
    allowed, denied, left = decisions(place)
    assert [d.verdict for d in (allowed, denied, left)] == ["allowed", "denied", "allowed"]
    assert "LADDER" in {d.code for d in denied.denials}
    assert await place.position() == Decimal(0)


async def test_two_strategies_cannot_spend_the_same_money() -> None:
    """Each order of 9 x 100 fits the 1,500 that are there, both together do not."""
    place, bus = new_place()
    place.venue.start_cash = Decimal(1_500)
    place.settings = replace(
        place.settings, limits={m: roomy(x) for m, x in place.settings.limits.items()}
    )
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy", 9)
    async with trading(place, OTHER) as parts:
        cycle = await analysed(place, parts)
    assert cycle.orders_submitted == 1
    verdicts = sorted((d.verdict.value, [c.code for c in d.denials]) for d in decisions(place))
    (allowed, denied) = verdicts
    assert allowed == ("allowed", [])
    assert "INSUFFICIENT_FUNDS" in denied[1]


def roomy(limits: Limits) -> Limits:
    return replace(
        limits, order_notional_percent=Decimal(100), position_percent=Decimal(200),
        exposure_percent=Decimal(400),
    )  # fmt: skip


async def test_exits_are_begun_before_entries() -> None:
    place, bus = new_place()
    async with trading(place, OTHER) as parts:
        bus.decide = lambda number, symbol: bus.proposal(
            number, symbol, "buy" if symbol == "BOLT" else "hold"
        )
        await analysed(place, parts)  # holds 2 BOLT now
        bus.decide = lambda number, symbol: bus.proposal(
            number, symbol, "sell" if symbol == "BOLT" else "buy"
        )
        await analysed(place, parts)
    sides = [order.side.value for order in place.store.of(Order, DEFAULT_AGENT)]
    assert sides == ["buy", "sell", "buy"]


async def test_a_position_that_the_venue_has_and_we_do_not_is_reported_and_not_copied() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "hold")
    async with trading(place) as parts:
        await place.venue.submit(place.trade().order)  # somebody else's hand
        await analysed(place, parts)
    assert "position drift in ACME" in {line.message for line in lines(place)}
    assert await place.position() == Decimal(0)


async def test_a_saga_outlives_the_cycle_that_began_it() -> None:
    place, _ = new_place()
    place.venue.script(ACCEPT)
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
        assert (cycle.orders_submitted, cycle.orders_filled) == (1, 0)
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
    assert {saga.status for saga in place.store.of(Saga, DEFAULT_AGENT)} <= ENDS
    assert await place.broken() == []


async def test_a_cycle_cancelled_at_any_moment_leaves_no_saga_behind() -> None:
    """Every saga whose intent was committed is driven on; none is committed and forgotten."""
    begun = 0
    for turns in range(150):
        place, _ = new_place()
        async with trading(place) as parts:
            assert parts.scheduler.tick_analysis(place.clock.now())
            for _ in range(turns):
                await asyncio.sleep(0)
            await parts.scheduler.cancel_all()
            sagas = place.store.of(Saga, DEFAULT_AGENT)
            begun += len(sagas)
            for saga in sagas:
                assert saga.status in ENDS or saga.id in desk_of(parts).trades, turns
            for trade in desk_of(parts).trades:
                await trade.ended.wait()
        assert await place.broken() == []
    assert begun > 0, "the range reaches the moment at which sagas begin"


async def test_a_trade_begun_elsewhere_is_counted_before_it_is_committed() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy")
    async with trading(place) as parts:
        place.venue.script(ACCEPT)
        await begin(place, parts)
        cycle = await analysed(place, parts)
    assert cycle.orders_submitted == 0
    assert {"ACTIVE_ORDERS"} <= {c.code for d in decisions(place) for c in d.denials}


class HeldJournal(MemoryJournal):
    """Lets others work for a while before the first judged decisions are written."""

    def __init__(self, place: Place, meanwhile: Callable[[], object]) -> None:
        super().__init__(place.store)
        self.meanwhile: Callable[[], object] | None = meanwhile

    @override
    async def commit(self, change: Change) -> int:
        judged = any(entry.kind == "decision.judged" for entry in change.entries)
        if judged and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            for _ in range(100):
                await asyncio.sleep(0)
        return await super().commit(change)


@pytest.mark.parametrize("event_id", ["e-1", "e-again"])
@pytest.mark.parametrize("at_once", [1, 2])
async def test_an_answer_told_again_before_its_commit_fails_no_cycle(
    event_id: str, at_once: int
) -> None:
    place, bus = new_place()
    place.settings = replace(place.settings, analysis_concurrent_max=at_once)

    def again() -> None:
        (first,) = (each.incoming for each in bus._handed[:1])
        assert first is not None
        bus.deliver(replace(first, event_id=event_id))

    async with trading_on(place, HeldJournal(place, again)) as parts:
        await analysed(place, parts)
        await bus.until_idle()
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
    cycles = await place.records.cycles(DEFAULT_AGENT, limit=10)
    assert {cycle.status for cycle in cycles} == {CycleStatus.COMPLETED}
    assert len({decision.external_id for decision in decisions(place)}) == len(decisions(place))
    assert len(place.venue.orders) == 1
