"""What the agent notices by itself: when a reason is entered, and when it goes again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.domain.trades import START
from tests.engine.place import STRATEGY, Place, another, begin, carried_out, desk_of
from tests.engine.test_analysis_cycle import analysed, new_place, trading
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.ladder import Cause, Rung, Scope, ScopeKind
from tradesaga.engine.assembly import Parts
from tradesaga.engine.ladder_watch import CYCLE_FAILURES_MAX, DRIFT_CHECKS_MAX
from tradesaga.ports.services import Health, VenuePosition

ACME = Scope(ScopeKind.SYMBOL, "ACME")


async def beat(place: Place, parts: Parts) -> Rung:
    """One heartbeat; the rung after it, for orders of no special strategy on ACME."""
    await parts.scheduler._heartbeat.run(TriggeredBy.SCHEDULE, place.clock.now())
    return parts.ladder.rung(None, "ACME")


def standing(parts: Parts) -> list[Cause]:
    return [reason.cause for reason in parts.ladder.ladder.reasons]


async def test_a_quiet_heartbeat_enters_nothing() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        for _ in range(5):
            assert await beat(place, parts) is Rung.NORMAL


@pytest.mark.parametrize(
    ("health", "is_down"),
    [
        (Health.HEALTHY, False),
        (Health.DEGRADED, False),
        (Health.UNHEALTHY, True),
        (Health.UNREACHABLE, True),
    ],
)
async def test_a_service_that_is_down_forbids_entries_until_it_was_well_twice(
    health: Health, is_down: bool
) -> None:
    place = Place()
    async with place.running() as parts:
        place.market_data.state = health
        await beat(place, parts)
        assert standing(parts) == ([Cause.MARKET_DATA_DOWN] if is_down else [])
        place.market_data.state = Health.HEALTHY
        assert await beat(place, parts) is (Rung.NO_ENTRIES if is_down else Rung.NORMAL)
        await beat(place, parts)
        await parts.ladder.write()
        assert parts.ladder.rung() is Rung.NORMAL


async def test_a_position_that_stays_another_one_forbids_entries_on_its_symbol() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        (placed,) = place.venue.orders.values()
        fills, placed.fills = placed.fills, []  # the venue forgets what it filled
        for _ in range(DRIFT_CHECKS_MAX - 1):
            assert await beat(place, parts) is Rung.NORMAL
        assert await beat(place, parts) is Rung.NO_ENTRIES
        assert parts.ladder.rung(None, "BOLT") is Rung.NORMAL
        await parts.ladder.write()
    async with place.running() as parts:
        assert await beat(place, parts) is Rung.NO_ENTRIES, "also for the next process"
        assert await beat(place, parts) is Rung.NO_ENTRIES, "whose count is still low"
        placed.fills = fills
        assert await beat(place, parts) is Rung.NO_ENTRIES
        await beat(place, parts)
        await parts.ladder.write()
        assert parts.ladder.rung(None, "ACME") is Rung.NORMAL


async def test_a_venue_that_does_not_answer_heals_no_drift() -> None:
    place = Place()
    async with place.running() as parts:
        parts.ladder.enter(Cause.DRIFT, "", scope=ACME)
        place.venue.down = True
        for _ in range(3):
            await beat(place, parts)
        assert Cause.DRIFT in standing(parts)


ALL, EQUAL, DIFFER, LEFT_OUT = "", "equal", "differ", "left out"
Look = dict[str, str]
"""What one comparison found, by symbol; a symbol that is missing is held by neither side."""


@pytest.mark.parametrize(
    ("stored", "looks", "standing_after"),
    [
        ([], [{"A": DIFFER}] * 2, []),
        ([], [{"A": DIFFER}] * 3, ["A"]),
        ([], [{"A": DIFFER}, {"A": DIFFER}, {}, {"A": DIFFER}], []),
        ([], [{"A": DIFFER}, {"A": DIFFER}, {"A": LEFT_OUT}, {"A": DIFFER}], ["A"]),
        (["A"], [{"A": LEFT_OUT}] * 5, ["A"]),
        (["A"], [{"A": EQUAL}], ["A"]),
        (["A"], [{"A": EQUAL}, {"A": EQUAL}], []),
        (["A"], [{}, {}], []),
        (["A"], [{"A": EQUAL}, {"A": LEFT_OUT}, {"A": EQUAL}], []),
        (["A"], [{"A": EQUAL}, {"A": DIFFER}, {"A": EQUAL}], ["A"]),
        (["A"], [{"A": LEFT_OUT, "B": EQUAL}, {"A": LEFT_OUT, "B": EQUAL}], ["A"]),
        ([], [{"A": DIFFER, "B": DIFFER}] * 3, ["A", "B", ALL]),
        (["A"], [{"A": LEFT_OUT, "B": DIFFER}] * 3, ["A", "B", ALL]),
        (["A", "B", ALL], [{"A": EQUAL, "B": LEFT_OUT}] * 4, ["B"]),
        (["A", "B", ALL], [{"A": LEFT_OUT, "B": LEFT_OUT}] * 4, ["A", "B", ALL]),
    ],
)
async def test_what_was_not_compared_changes_nothing_and_what_is_equal_ends(
    stored: list[str], looks: list[Look], standing_after: list[str]
) -> None:
    place = Place()
    async with place.node() as parts:
        for symbol in stored:
            kind = ScopeKind.SYMBOL if symbol else ScopeKind.ALL
            parts.ladder.enter(Cause.DRIFT, "stood before", scope=Scope(kind, symbol))
        await parts.ladder.write()
    async with place.node() as parts:
        for look in looks:
            parts.scheduler._heartbeat.causes.positions(
                {s: "we hold 2, the venue 0" for s, how in look.items() if how is DIFFER},
                left_out=[s for s, how in look.items() if how is LEFT_OUT],
            )
            await parts.ladder.write()
        reasons = parts.ladder.ladder.reasons
        assert sorted(r.scope.subject for r in reasons) == sorted(standing_after)
        locked = {lock.symbol for lock in desk_of(parts).locks()}
        assert locked == {symbol for symbol in standing_after if symbol}


async def test_a_fill_between_the_two_looks_makes_it_no_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    async with place.running() as parts:
        parts.ladder.enter(Cause.DRIFT, "", scope=Scope(ScopeKind.SYMBOL, "BOLT"))
        check = parts.scheduler._heartbeat.books.positions
        real = place.venue.positions

        async def positions() -> Sequence[VenuePosition]:
            found = await real()
            await carried_out(place, parts, another(len(place.venue.orders) + 10))
            return found

        monkeypatch.setattr(place.venue, "positions", positions)
        for _ in range(3):
            assert await check.run() == ()
        assert standing(parts) == [Cause.DRIFT]


def ended(parts: Parts, status: CycleStatus, kind: CycleType = CycleType.ANALYSIS) -> Cycle:
    new = parts.recovery.runner.new(kind, TriggeredBy.SCHEDULE, START)
    return replace(new, status=status)


async def test_three_failed_analyses_in_a_row_forbid_entries_until_two_complete() -> None:
    place = Place()
    async with place.running() as parts:
        tell = parts.recovery.runner._on_ended
        for status in (CycleStatus.FAILED, CycleStatus.FAILED, CycleStatus.COMPLETED):
            await tell(ended(parts, status))
        for _ in range(CYCLE_FAILURES_MAX - 1):
            await tell(ended(parts, CycleStatus.FAILED))
            await tell(ended(parts, CycleStatus.CANCELLED))
            await tell(ended(parts, CycleStatus.COMPLETED, CycleType.HEARTBEAT))
        assert standing(parts) == []
        await tell(ended(parts, CycleStatus.FAILED))
        assert standing(parts) == [Cause.CYCLE_FAILURES]
        assert parts.ladder.rung() is Rung.NO_ENTRIES
        await tell(ended(parts, CycleStatus.COMPLETED))
        assert standing(parts) == [Cause.CYCLE_FAILURES]
        await tell(ended(parts, CycleStatus.COMPLETED))
        await parts.ladder.write()
        assert standing(parts) == []


async def test_a_silent_decision_maker_forbids_entries_of_its_strategy_alone() -> None:
    place, bus = new_place("ACME")
    bus.decide = lambda number, symbol: None
    async with trading(place) as parts:
        for _ in range(2):
            await analysed(place, parts)
        assert standing(parts) == []
        await analysed(place, parts)
        assert standing(parts) == [Cause.DECISION_FAILURES]
        assert parts.ladder.rung(str(STRATEGY.id), "ACME") is Rung.NO_ENTRIES
        assert parts.ladder.rung(None, "ACME") is Rung.NORMAL


async def test_an_overfill_leaves_reducing_only_until_a_person_knows_of_it() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()
        order = trade.state.order
        desk_of(parts).on_booked(order)
        assert standing(parts) == []
        desk_of(parts).on_booked(replace(order, filled_quantity=order.quantity + Decimal("0.001")))
        assert parts.ladder.rung() is Rung.REDUCE_ONLY
        assert await beat(place, parts) is Rung.REDUCE_ONLY
        await parts.ladder.acknowledge(Cause.OVERFILL, Scope(), "ann")
        assert parts.ladder.rung() is Rung.NORMAL
