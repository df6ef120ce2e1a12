"""Rules that look at the agent's own state: each is fed by the product, denies and allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.domain.limits import LIMITS
from tests.engine.place import STRATEGY, Place
from tests.engine.test_clock_watch import SetClock
from tradesaga.domain.agent import Mode
from tradesaga.domain.checkpoint import Checkpoint, Identity, Occasion, following
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.engine.assembly import Parts
from tradesaga.engine.risk_batch import Batch
from tradesaga.engine.risk_gate import MarketView
from tradesaga.ports.services import Account

Prepare = Callable[[Place, Parts], Awaitable[object]]
EQUITY = Decimal(100_000)
SECOND = timedelta(seconds=1)


async def judged(place: Place, parts: Parts, equity: Decimal = EQUITY) -> Decision:
    """A small entry into ACME, as the gate judges it now."""
    quote = place.market_data.show("ACME", 100)
    account = replace(await place.venue.account(), equity=equity)
    assert isinstance(account, Account)
    view = MarketView(quotes={"ACME": quote}, account=account, tradable=frozenset({"ACME"}))
    now = place.clock.now()
    return parts.instructed.gate.judge(
        Proposal(
            external_id="one", symbol="ACME", action="buy", confidence=Decimal("0.9"),
            suggested_quantity=Decimal(1), reasoning="", said_at=place.clock.now(),
        ),
        STRATEGY, view, as_of=now, now=now, cycle_id=None, batch=Batch(),
    )  # fmt: skip


def row(decision: Decision, code: str) -> list[Any]:
    found: list[Any] = (decision.rules or {})["rules"][code]
    return found


def equities(*seen: str) -> Prepare:
    async def saw(place: Place, parts: Parts) -> None:
        for equity in seen:
            await parts.watchers.losses.saw(Decimal(equity))

    return saw


def venue_ahead(ahead: timedelta) -> Prepare:
    async def measured(place: Place, parts: Parts) -> None:
        await parts.watchers.losses.saw(EQUITY)
        assert isinstance(place.venue_clock, SetClock)
        place.venue_clock.ahead = ahead
        await parts.watchers.clocks.check()

    return measured


def died(times: int) -> Prepare:
    async def counted(place: Place, parts: Parts) -> None:
        await parts.watchers.losses.saw(EQUITY)
        before: Checkpoint | None = None
        for number in range(times + 1):
            if number == times:  # all but the last died; that is the checkpoint of this process
                await parts.breaker.load()
            place.clock.advance(SECOND)
            before = following(
                before, Identity(), checkpoint_id=UUID(int=number + 1), agent_id=DEFAULT_AGENT,
                occasion=Occasion.RECOVERED, epoch=number, now=place.clock.now(), report={},
            )  # fmt: skip
            place.store.rows[Checkpoint, before.id] = before
        await parts.breaker.started()

    return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What denies by `code` and what is just allowed, with the figures that are stored."""

    code: str
    denied: Prepare
    allowed: Prepare
    equity_denied: str = "100000"
    equity_allowed: str = "100000"
    figures: tuple[str, str]


CASES = (
    Case(
        code="DAILY_LOSS", denied=equities("100000"), allowed=equities("100000"),
        equity_denied="97000", equity_allowed="97000.01", figures=("3", "3"),
    ),
    Case(
        code="DRAWDOWN", denied=equities("100000", "120000"),
        allowed=equities("100000", "120000"),
        equity_denied="111000", equity_allowed="111000.01", figures=("7.5", "7.5"),
    ),
    Case(
        code="CLOCK_SKEW", denied=venue_ahead(10 * SECOND + SECOND / 1000),
        allowed=venue_ahead(10 * SECOND), figures=("10.001 s", "10 s"),
    ),
    Case(
        code="CRASH_LOOP", denied=died(3), allowed=died(2), figures=("3", "2"),
    ),
)  # fmt: skip


def place_of() -> Place:
    place = Place(venue_clock=SetClock())
    limits = replace(LIMITS, restarts_per_day=3)
    place.settings = replace(place.settings, limits=dict.fromkeys(Mode, limits))
    return place


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
async def test_the_product_feeds_the_rule(case: Case) -> None:
    place = place_of()
    async with place.running() as parts:
        await case.denied(place, parts)
        denied = await judged(place, parts, Decimal(case.equity_denied))
        assert denied.verdict is Verdict.DENIED
        assert case.code in {denial.code for denial in denied.denials}
        outcome, value, limit = row(denied, case.code)[:3]
        assert (outcome, (value, limit)) == ("denied", case.figures)
    place = place_of()
    async with place.running() as parts:
        await parts.watchers.clocks.check()
        await case.allowed(place, parts)
        allowed = await judged(place, parts, Decimal(case.equity_allowed))
        assert row(allowed, case.code)[0] == "passed"
        assert allowed.verdict is Verdict.ALLOWED


@pytest.mark.parametrize("code", ["DAILY_LOSS", "DRAWDOWN", "CLOCK_SKEW"])
async def test_what_was_never_measured_denies(code: str) -> None:
    place = place_of()
    async with place.running() as parts:
        assert code in {denial.code for denial in (await judged(place, parts)).denials}


async def test_without_a_clock_of_the_venue_the_rule_is_off() -> None:
    place = Place()
    async with place.running() as parts:
        await parts.watchers.losses.saw(EQUITY)
        decision = await judged(place, parts)
        assert row(decision, "CLOCK_SKEW") == ["off"]
        assert decision.verdict is Verdict.ALLOWED


async def test_marks_and_deaths_are_known_to_the_next_process() -> None:
    place = place_of()
    async with place.running() as parts:
        await equities("100000")(place, parts)
        place.clock.advance(timedelta(days=1))
        await died(2)(place, parts)
    async with place.running() as parts:
        assert parts.breaker.deaths() == 3, "two, and the process that has just been found dead"
        assert parts.watchers.losses.marks == place.store.of(EquityMarks, DEFAULT_AGENT)[0]
        codes = {denial.code for denial in (await judged(place, parts, Decimal(96_000))).denials}
        assert {"CRASH_LOOP", "DAILY_LOSS"} <= codes
