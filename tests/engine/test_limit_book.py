"""Changing limits while the agent runs: in force at once, after a restart, for a while, audited."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.limits import LIMITS
from tests.domain.trades import START
from tests.engine.place import Place
from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tradesaga.domain.agent import Mode
from tradesaga.domain.errors import Conflict, Invalid
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.risk import Changes
from tradesaga.engine.assembly import Parts
from tradesaga.engine.limit_book import LimitBook

D = Decimal
HOUR = timedelta(hours=1)


def book_of(parts: Parts) -> LimitBook:
    return parts.recovery.limits


async def change(
    parts: Parts, limits: Changes, *, hours: int | None = None, confirmed: bool = True
) -> None:
    await parts.control.risk.change_limits(
        Mode.NORMAL,
        limits,
        expires_at=None if hours is None else START + hours * HOUR,
        revision=None,
        actor="operator",
        reason="earnings",
        confirmed=confirmed,
    )


async def test_a_change_is_in_force_at_once_and_after_a_restart() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy", 3)
    async with trading(place) as parts:
        await change(parts, {"orderNotionalPercent": D("0.2")})  # 200 of 100,000, not 10,000
        await analysed(place, parts)
    (decision,) = decisions(place)
    assert [denial.code for denial in decision.denials] == ["ORDER_NOTIONAL"]
    async with place.node() as parts:
        assert book_of(parts).of_mode(Mode.NORMAL).order_notional_percent == D("0.2")
        assert book_of(parts).of_mode(Mode.AGGRESSIVE) == LIMITS
        await change(parts, {})
        assert book_of(parts).of_mode(Mode.NORMAL) == LIMITS, "an empty change clears"


async def test_a_change_for_a_while_ends_by_itself_and_uncovers_the_lasting_one() -> None:
    place = Place()
    async with place.running() as parts:
        await change(parts, {"positionPercent": D(18)})
        await change(parts, {"positionPercent": D(12)}, hours=1)
        before = book_of(parts).of_mode(Mode.NORMAL).position_percent
        await place.clock.sleep_until(START + HOUR)
        after = book_of(parts).of_mode(Mode.NORMAL).position_percent
    assert (before, after) == (D(12), D(18))


async def test_no_limit_becomes_looser_unconfirmed_now_or_later() -> None:
    place = Place()
    async with place.running() as parts:
        loosest = LIMITS.position_percent
        await change(parts, {"positionPercent": loosest - 2}, confirmed=False)
        with pytest.raises(Invalid, match="confirm is missing: this loosens positionPercent from"):
            await change(parts, {}, confirmed=False)
        with pytest.raises(Invalid, match="allowShort from False to True"):
            await change(
                parts, {"positionPercent": loosest - 2, "allowShort": True}, confirmed=False
            )
        await change(parts, {"positionPercent": loosest - 4}, hours=2, confirmed=False)
        with pytest.raises(Invalid, match="confirm"):
            await change(parts, {"positionPercent": loosest - 4}, hours=1, confirmed=False)
        with pytest.raises(Invalid, match="confirm"):  # beneath the one with an end: later
            await change(parts, {"positionPercent": loosest}, confirmed=False)
        assert book_of(parts).revision == 2
        await change(parts, {}, confirmed=True)
        assert book_of(parts).revision == 3


async def test_a_change_is_audited_with_before_and_after() -> None:
    place = Place()
    async with place.running() as parts:
        await change(parts, {"positionPercent": D(12)})
    entries = [line.entry for line in place.store.log_of(DEFAULT_AGENT)]
    (entry,) = [entry for entry in entries if entry.kind == "limits.changed"]
    assert entry.actor == "operator"
    assert entry.body["reason"] == "earnings"
    assert entry.body["before"] == {"positionPercent": LIMITS.position_percent}
    assert entry.body["after"] == {"positionPercent": D(12)}


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"positionPercent": D(101)}, "positionPercent"),
        ({"positionPercent": D("NaN")}, "positionPercent"),
        ({"positionPercent": D(9)}, "orderNotionalPercent"),  # an order may be 10 %
        ({"margin": 1}, "margin is no limit"),
        ({"entriesPerHour": D("1.5")}, "entriesPerHour"),
        ({"allowShort": 1}, "allowShort"),
        ({"leverageMax": D(2)}, "leverageMax"),
    ],
)
async def test_what_is_no_limit_is_refused_and_nothing_changes(limits: Changes, named: str) -> None:
    place = Place()
    async with place.running() as parts:
        with pytest.raises(Invalid, match=named):
            await change(parts, limits)
        assert book_of(parts).of_mode(Mode.NORMAL) == LIMITS
        assert book_of(parts).revision == 0


async def test_a_change_of_what_another_hand_has_changed_is_refused() -> None:
    place = Place()
    async with place.running() as parts:
        await change(parts, {"positionPercent": D(12)})
        with pytest.raises(Conflict):
            await parts.control.risk.change_limits(
                Mode.NORMAL, {}, expires_at=None, revision=0, actor="operator", reason="x"
            )


async def test_a_strategy_may_only_be_stricter() -> None:
    wide = replace(LIMITS, position_percent=D(40), exposure_percent=D(90))
    place = Place()
    place.settings = replace(
        place.settings,
        limits={Mode.CONSERVATIVE: LIMITS, Mode.NORMAL: LIMITS, Mode.AGGRESSIVE: wide},
    )
    async with place.running() as parts:
        book = book_of(parts)
        assert book.in_force(Mode.NORMAL, "aggressive") == LIMITS
        assert book.in_force(Mode.AGGRESSIVE, "normal") == LIMITS
        assert book.in_force(Mode.AGGRESSIVE, "aggressive") == wide
        assert book.in_force(Mode.AGGRESSIVE, "reckless") == LIMITS, "unknown is the strictest"
