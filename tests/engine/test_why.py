"""Asking the engine why: from what it committed, also after a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import START
from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import DecisionId, derived
from tradesaga.domain.risk import codes


async def test_a_denied_decision_is_explained_with_every_rule_after_a_restart() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy", 1000)
    async with trading(place) as parts:
        await analysed(place, parts)
    (decision,) = decisions(place)
    async with place.node() as parts:
        why = await parts.control.risk.why_decision(decision.id)
        by_time = await parts.control.risk.why("ACME", place.clock.now())
        with pytest.raises(NotFound):
            await parts.control.risk.why_decision(DecisionId(derived("nobody")))
    assert why.decision == by_time.decision == decision
    rules = decision.rules["rules"]
    assert list(rules) == list(codes())
    # 10 % of 100,000 at an ask of 100.01
    assert rules["ORDER_NOTIONAL"][0] == "denied"
    assert rules["ORDER_NOTIONAL"][4] == "quantity 99 or less"


async def test_why_nobody_decided() -> None:
    place, bus = new_place()
    bus.decide = lambda number, symbol: None
    async with trading(place) as parts:
        before = await parts.control.risk.why("ACME", START - timedelta(hours=5))
        await parts.control.pause(duration=None, actor="operator")
        paused = await parts.control.risk.why("ACME", None)
        nobody = await parts.control.risk.why("NONE", None)
        await parts.control.resume(actor="operator")
        await analysed(place, parts)
        silent = await parts.control.risk.why("ACME", None)
    assert any("the market was closed; it opens at 2026-11-23T14:30" in r for r in before.reasons)
    assert "the agent was paused (operator)" in paused.reasons
    assert "no strategy watches NONE" in nobody.reasons
    assert silent.decision is None
    assert "no decision about ACME in time" in silent.reasons


async def test_what_is_denied_at_execution_is_explained_too() -> None:
    """Both strategies are allowed to enter; when the first has begun, money is short."""
    place, _ = new_place()
    async with trading(place) as parts:
        gate = parts.scheduler._analysis.gate
        once: list[int] = []
        judge = type(gate).situation_of

        def poorer(*told: object, **how: object) -> object:
            situation = judge(*told, **how)  # type: ignore[arg-type]  # passed on as it came
            once.append(1)
            return replace(situation, book=replace(situation.book, buying_power=Decimal(1)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(gate), "situation_of", poorer)
            cycle = await analysed(place, parts)
        (decision,) = decisions(place)
        why = await parts.control.risk.why_decision(decision.id)
    assert (len(once), cycle.orders_submitted) == (1, 0)
    assert why.denied_at_execution is not None
    assert why.denied_at_execution["rules"]["INSUFFICIENT_FUNDS"][0] == "denied"
    assert decision.rules["rules"]["INSUFFICIENT_FUNDS"][0] == "passed"
