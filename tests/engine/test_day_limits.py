"""Rules that count by the day, fed by the product: the budget for decisions, the first day of a
strategy version, entries repeated until a person looks. Each denies, allows, is stored and asked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.domain.limits import LIMITS, SESSION
from tests.domain.trades import START
from tests.engine.deciding import DecidingBus
from tests.engine.place import STRATEGY, Place
from tests.engine.test_analysis_cycle import OTHER, analysed, decisions, new_place, trading
from tests.engine.test_causes import beat
from tradesaga.domain.agent import Mode
from tradesaga.domain.decision_cost import DecisionCharge, Price
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import Cause, Rung, Scope, ScopeKind
from tradesaga.domain.market import Calendar
from tradesaga.domain.risk import Limits
from tradesaga.domain.strategies import (
    Edit,
    StrategyMode,
    StrategyStatus,
    activated,
    deactivated,
    edited,
    is_on_first_day,
    live,
)
from tradesaga.engine.assembly import Parts

D = Decimal
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def limited(place: Place, price: Price | None = None, **limits: object) -> Place:
    """The place under other limits."""
    changed: Limits = replace(LIMITS, **limits)  # type: ignore[arg-type]  # checked by replace
    place.settings = replace(
        place.settings,
        limits=dict.fromkeys(Mode, changed),
        decision_price=price or place.settings.decision_price,
    )
    return place


def rule(decision: Decision, code: str) -> list[str]:
    found: list[str] = decision.rules["rules"][code]
    return found


def priced(bus: DecidingBus, *actions: str, tokens: int | None = None) -> None:
    """Answer with these actions in turn, for so many tokens each."""

    def decide(number: int, symbol: str) -> Proposal:
        action = actions[min(number, len(actions)) - 1]
        said = bus.proposal(number, symbol, action)
        return replace(said, prompt_tokens=tokens, completion_tokens=tokens)

    bus.decide = decide


# ---- the budget for decisions --------------------------------------------------------------------

FLAT = Price(decision=D(1))


async def test_a_question_is_paid_before_it_is_asked_and_beyond_the_day_nobody_is_asked() -> None:
    place, bus = new_place()
    limited(place, FLAT, decision_budget=D(2))
    priced(bus, "hold")
    async with trading(place, OTHER) as parts:
        first = await analysed(place, parts)
        place.clock.advance(2 * MINUTE)
        place.market_data.show("ACME", 100)
        place.market_data.show("BOLT", 100)
        second = await analysed(place, parts)
        why = await parts.control.risk.why("ACME", None)
    assert first.decisions_generated == 2
    assert second.decisions_generated == 0
    assert {e.error for e in second.errors} == {
        f"not asked about {symbol}: DECISION_BUDGET, the day's is spent"
        for symbol in ("ACME", "BOLT")
    }
    assert any("DECISION_BUDGET" in reason for reason in why.reasons)


async def test_what_is_held_is_asked_about_without_money_and_may_be_left_never_increased() -> None:
    place, bus = new_place()
    limited(place, FLAT, decision_budget=D(1))
    priced(bus, "buy", "buy", "sell")
    async with trading(place) as parts:
        await analysed(place, parts)  # costs 1: the budget
        await analysed(place, parts)  # held: asked for another 1
        await analysed(place, parts)
    entry, more, exit_ = decisions(place)
    assert rule(entry, "DECISION_BUDGET") == ["passed", "1", "1"]
    assert more.verdict is Verdict.DENIED
    assert rule(more, "DECISION_BUDGET")[:3] == ["denied", "2", "1"]
    assert exit_.verdict is Verdict.ALLOWED
    assert rule(exit_, "DECISION_BUDGET")[:3] == ["bypassed", "3", "1"]


async def test_the_tokens_of_the_answer_settle_what_was_set_aside() -> None:
    """Set aside 1, used 100,000 in at 2 and out at 3 a million: 0.2 + 0.3 = 0.5."""
    place, bus = new_place()
    limited(place, Price(decision=D(1), prompt_million=D(2), completion_million=D(3)))
    priced(bus, "hold", tokens=100_000)
    async with trading(place) as parts:
        await analysed(place, parts)
        assert parts.watchers.budget.spent(place.clock.now()) == D("0.5")
    charges = place.store.of(DecisionCharge, DEFAULT_AGENT)
    assert [charge.amount for charge in charges] == [D(1), D("-0.5")]
    assert charges[1].prompt_tokens == 100_000


async def test_what_was_asked_before_a_crash_is_paid_and_the_next_day_begins_anew() -> None:
    place, bus = new_place()
    limited(place, FLAT, decision_budget=D(1))
    bus.decide = lambda number, symbol: None  # the answer never came
    async with trading(place) as parts:
        await analysed(place, parts)
    async with trading(place) as parts:
        assert parts.watchers.budget.spent(place.clock.now()) == D(1)
        assert parts.watchers.budget.spent(place.clock.now() + DAY) == D(0)
        cycle = await analysed(place, parts)
    assert "DECISION_BUDGET" in cycle.errors[0].error


async def test_without_prices_the_rule_is_off_and_nothing_is_stored() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        await analysed(place, parts)
    assert rule(decisions(place)[0], "DECISION_BUDGET") == ["off"]
    assert place.store.of(DecisionCharge, DEFAULT_AGENT) == []


# ---- the first day -------------------------------------------------------------------------------

TUESDAY = replace(
    SESSION, day=date(2026, 11, 24),
    pre_open=SESSION.pre_open + DAY, open=SESSION.open + DAY, close=SESSION.close + DAY,
    post_close=SESSION.post_close + DAY,
)  # fmt: skip
FRIDAY = replace(
    SESSION, day=date(2026, 11, 20),
    pre_open=SESSION.pre_open - 3 * DAY, open=SESSION.open - 3 * DAY,
    close=SESSION.close - 3 * DAY, post_close=SESSION.post_close - 3 * DAY,
)  # fmt: skip
DAYS = Calendar(sessions=(FRIDAY, SESSION, TUESDAY), first=date.min, last=date.max)
BEFORE = SESSION.open - MINUTE
SHADOW = edited(STRATEGY, Edit(mode=StrategyMode.SHADOW), START)


@pytest.mark.parametrize(
    ("since", "now", "new"),
    [
        (BEFORE, SESSION.open, True),
        (BEFORE, SESSION.close - MINUTE, True),
        (BEFORE, SESSION.close, False),
        (SESSION.open, SESSION.close, False),
        (SESSION.open + MINUTE, SESSION.close, True),  # a part of a session is no day
        (SESSION.open + MINUTE, TUESDAY.close, False),
        (TUESDAY.close, TUESDAY.close + DAY, True),  # the calendar ends: nobody knows better
        (None, TUESDAY.close, None),
    ],
)
def test_the_first_day_ends_with_the_first_whole_session(
    since: datetime | None, now: datetime, new: bool | None
) -> None:
    assert is_on_first_day(replace(STRATEGY, live_at=since), DAYS, now) is new


def test_a_version_begins_when_it_is_changed_or_becomes_live() -> None:
    old = replace(STRATEGY, live_at=BEFORE)
    later = START + MINUTE
    for edit in (Edit(symbols=["BOLT"]), Edit(parameters={"fast": 5})):
        assert edited(old, edit, later).live_at == later
    for edit in (Edit(name="Renamed"), Edit(priority=7), Edit(risk_mode="conservative")):
        assert edited(old, edit, later).live_at == BEFORE
    assert SHADOW.live_at is None
    assert is_on_first_day(SHADOW, DAYS, START) is False
    assert edited(SHADOW, Edit(mode=StrategyMode.LIVE), later).live_at == later
    stopped = deactivated(old, later, close_positions=False)
    assert activated(stopped, later + DAY).live_at == BEFORE
    unborn = replace(STRATEGY, status=StrategyStatus.STOPPED)
    changed = edited(unborn, Edit(symbols=["BOLT"]), later)
    assert changed.live_at is None, "it does not act yet"
    assert activated(changed, later + DAY).live_at == later + DAY
    assert live(old, later) is old


async def first_decision(since: datetime | None, quantity: int | None) -> Decision:
    """Of a strategy that is live since then; the limit of an order is 10 % of 100,000."""
    place, bus = new_place()
    limited(place, canary_percent=D(10))
    place.calendar = DAYS
    bus.decide = lambda number, symbol: replace(
        bus.proposal(number, symbol, "buy"),
        suggested_quantity=None if quantity is None else D(quantity),
    )
    async with place.node() as parts:
        await parts.book.load([replace(STRATEGY, live_at=since)])
    async with trading(place) as parts:
        await analysed(place, parts)
    return decisions(place)[0]


async def test_a_new_version_orders_a_tenth() -> None:
    """A tenth of 10,000 at 100.01: 9 pass, 10 do not; who names none gets 9."""
    assert (await first_decision(BEFORE, 9)).verdict is Verdict.ALLOWED
    denied = await first_decision(BEFORE, 10)
    assert rule(denied, "CANARY_SIZE") == [
        "denied", "1000.1", "1000", "canary's order would be 1000.10, at most 1000.00",
        "quantity 9 or less",
    ]  # fmt: skip
    by_itself = await first_decision(BEFORE, None)
    assert (by_itself.quantity, by_itself.verdict) == (D(9), Verdict.ALLOWED)


async def test_an_old_version_orders_as_the_limits_say_and_an_unknown_one_nothing() -> None:
    assert (await first_decision(FRIDAY.open, 10)).verdict is Verdict.ALLOWED
    assert (await first_decision(FRIDAY.open, None)).quantity == D(50)
    unknown = await first_decision(None, 1)
    assert "whether the strategy version is new is not known" in rule(unknown, "CANARY_SIZE")


# ---- repeated execution --------------------------------------------------------------------------

OWN = Scope(ScopeKind.STRATEGY, str(STRATEGY.id))


def standing(parts: Parts) -> bool:
    reason = parts.ladder.ladder.standing(Cause.REPEATED_EXECUTION, OWN)
    return reason is not None and reason.rung is Rung.NO_ENTRIES


async def entered(place: Place, parts: Parts, times: int) -> None:
    for _ in range(times):
        place.clock.advance(timedelta(seconds=1))
        await analysed(place, parts)


async def test_the_next_repeat_waits_for_a_person_also_after_a_restart() -> None:
    place, bus = new_place()
    limited(place, repeats_max=2)
    priced(bus, "buy")
    async with trading(place) as parts:
        await entered(place, parts, 2)
        assert not standing(parts)
        await entered(place, parts, 1)
        assert standing(parts)
        await parts.ladder.write()
    last = decisions(place)[-1]
    assert rule(last, "REPEATED_EXECUTION")[:3] == ["denied", "3", "2"]
    async with trading(place) as parts:
        assert standing(parts)
        await entered(place, parts, 1)
        assert decisions(place)[-1].verdict is Verdict.DENIED
        place.clock.advance(timedelta(days=2))
        await beat(place, parts)
        await beat(place, parts)
        assert standing(parts), "time alone ends nothing"


async def test_a_person_lets_it_go_on_and_counting_begins_anew() -> None:
    place, bus = new_place()
    limited(place, repeats_max=2)
    priced(bus, "buy")
    async with trading(place) as parts:
        await entered(place, parts, 3)
        await parts.ladder.write()
        await parts.ladder.acknowledge(Cause.REPEATED_EXECUTION, OWN, "ann")
    async with trading(place) as parts:  # known to the next process too
        await entered(place, parts, 2)
        assert [d.verdict for d in decisions(place)[-2:]] == [Verdict.ALLOWED] * 2
        await entered(place, parts, 1)
        assert decisions(place)[-1].verdict is Verdict.DENIED
        assert standing(parts), "another reason than the one that was acknowledged"
        await parts.ladder.write()
    kinds = [kind for kind in place.kinds() if kind.startswith("ladder.")]
    assert kinds == ["ladder.entered", "ladder.acknowledged", "ladder.entered"]


async def test_exits_other_symbols_and_a_raised_limit_pass() -> None:
    place, bus = new_place()
    limited(place, repeats_max=1)
    priced(bus, "buy", "buy", "sell")
    async with trading(place) as parts:
        await entered(place, parts, 2)
        assert standing(parts)
        await entered(place, parts, 1)
    assert decisions(place)[-1].verdict is Verdict.ALLOWED, "an exit bypasses it"


async def test_what_a_person_knows_of_goes_after_a_day() -> None:
    place, bus = new_place()
    limited(place, repeats_max=1)
    priced(bus, "buy")
    async with trading(place) as parts:
        await entered(place, parts, 2)
        await parts.ladder.acknowledge(Cause.REPEATED_EXECUTION, OWN, "ann")
        place.clock.advance(DAY + MINUTE)
        await beat(place, parts)
        await beat(place, parts)
        assert parts.ladder.ladder.standing(Cause.REPEATED_EXECUTION, OWN) is None
