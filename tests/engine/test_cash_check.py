"""Cash against the account: found within 10 s, told once, healed, acknowledged, and left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.engine.place import SETTINGS, Place, begin, carried_out
from tests.engine.test_reconciliation import working
from tradesaga.domain.cash import CashDrift, CashMark
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung
from tradesaga.engine.assembly import Parts
from tradesaga.engine.cash_check import CASH_CHECKS_MAX
from tradesaga.testing.services import ACCEPT

D = Decimal
EVERY = timedelta(seconds=3)


def place_of(tolerance: str | None = "1") -> Place:
    place = Place(policy=replace(Place().policy, poll_every=timedelta(hours=1)))
    place.settings = replace(
        SETTINGS, cash_tolerance=None if tolerance is None else D(tolerance), reconcile_every=EVERY
    )
    return place


def mark(place: Place) -> CashMark | None:
    found: list[CashMark] = place.store.of(CashMark, DEFAULT_AGENT)
    return found[0] if found else None


def stands(parts: Parts) -> bool:
    return parts.ladder.ladder.standing(Cause.CASH_DRIFT) is not None


async def look(place: Place, parts: Parts, times: int = 1) -> CashDrift | None:
    found = None
    for _ in range(times):
        place.clock.advance(EVERY)
        found = (await parts.books.run_once()).cash
    return found


async def test_the_first_look_marks_and_our_own_trades_are_no_difference() -> None:
    place = place_of()
    async with place.running() as parts:
        assert await look(place, parts) is None
        first = mark(place)
        assert first is not None
        assert first.base == place.venue.start_cash
        await carried_out(place, parts)
        assert (await place.venue.account()).cash < first.base
        assert await look(place, parts, 5) is None
        assert mark(place) == first
        assert not stands(parts)
    assert place.kinds().count("cash.marked") == 1


async def test_cash_that_nobody_explains_is_found_within_ten_seconds_and_closes_entries() -> None:
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        lost_at = place.clock.now()
        place.venue.start_cash -= D("1.01")
        found = await look(place, parts)
        assert found == CashDrift(ours=D(100_000), venue=D("99998.99"))
        assert place.clock.now() - lost_at <= timedelta(seconds=10)
        assert not stands(parts), "one look may have met a moment"
        await look(place, parts, CASH_CHECKS_MAX - 1)
        assert parts.ladder.rung() is Rung.NO_ENTRIES
        assert place.clock.now() - lost_at <= timedelta(seconds=10)
        await parts.ladder.write()
    assert ("error_occurred", "cash_drift") in place.metrics.seen
    async with place.running() as parts:  # stored, and seen again by the next process
        assert stands(parts)
        assert await look(place, parts) is not None


async def test_within_the_tolerance_nothing_is_told() -> None:
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        place.venue.start_cash -= D(1)
        assert await look(place, parts, 5) is None
        assert not stands(parts)


async def test_a_difference_that_heals_is_left_after_two_looks() -> None:
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        place.venue.start_cash += 50
        await look(place, parts, CASH_CHECKS_MAX)
        assert stands(parts)
        place.venue.start_cash -= 50
        assert await look(place, parts) is None
        assert stands(parts)
        await look(place, parts)
        assert not stands(parts)


async def test_a_deposit_that_a_person_acknowledges_is_the_new_base() -> None:
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        place.venue.start_cash += 5_000
        await look(place, parts, CASH_CHECKS_MAX)
        await parts.ladder.write()
        await parts.ladder.acknowledge(Cause.CASH_DRIFT, EVERYWHERE, "ann")
        assert parts.ladder.rung() is Rung.NORMAL
        await look(place, parts, 3)
        await parts.ladder.write()
        assert not stands(parts)
        after = mark(place)
        assert after is not None
        assert (after.base, after.version) == (D(105_000), 2)
        [line] = [x for x in place.store.log_of(DEFAULT_AGENT) if x.entry.kind == "cash.marked"][1:]
        assert line.entry.actor == "ann"
        assert "+5000.00" in line.entry.body["reason"]
        place.venue.start_cash += 7  # the next one is found anew
        await look(place, parts, CASH_CHECKS_MAX)
        assert parts.ladder.rung() is Rung.NO_ENTRIES


async def test_what_an_open_order_may_have_moved_is_no_difference_and_proves_none() -> None:
    """It works for 2 at about 100: a fill not heard of yet may have cost 300 at most."""
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        await working(place, parts)
        place.venue.start_cash -= 300
        assert await look(place, parts, 4) is None
        assert not stands(parts)
        place.venue.start_cash -= 50
        assert await look(place, parts, CASH_CHECKS_MAX) is not None
        assert stands(parts)
        place.venue.start_cash += 50
        await look(place, parts, 4)
        assert stands(parts), "with an order open nobody can say that all is well"


async def test_no_mark_is_made_while_an_order_is_open() -> None:
    place = place_of()
    async with place.running() as parts:
        place.venue.script(ACCEPT)
        await begin(place, parts)
        await look(place, parts, 2)
        assert mark(place) is None


async def test_without_a_tolerance_nobody_asks_for_the_account() -> None:
    place = place_of(None)
    async with place.running() as parts:
        await look(place, parts, 3)
        assert mark(place) is None


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "1e40"])
async def test_an_account_without_a_sane_amount_is_no_answer(odd: str) -> None:
    place = place_of()
    async with place.running() as parts:
        await look(place, parts)
        place.venue.start_cash = D(odd)
        with pytest.raises(Unavailable):
            await parts.books.run_once()
