"""Shadow strategies: they decide on the same inputs, are scored, and never order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.domain.trades import DECISION, POLICY, START
from tests.engine.deciding import DecidingBus
from tests.engine.place import SETTINGS, STRATEGY, Place
from tests.engine.test_analysis_cycle import OTHER, analysed, decisions, new_place, trading
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.decisions import Verdict
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order
from tradesaga.domain.saga import Saga
from tradesaga.domain.strategies import Edit, StrategyMode
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.assembly import Parts

D = Decimal
SHADOW = replace(OTHER, mode=StrategyMode.SHADOW)
ANN = "operator:ann"


def sell_later(bus: DecidingBus) -> None:
    """Both strategies buy 2 of their symbol with the first cycle and sell them with the second."""
    bus.decide = lambda number, symbol: bus.proposal(
        number, symbol, "buy" if number <= 2 else "sell"
    )


async def test_a_shadow_decides_beside_the_others_and_only_they_order() -> None:
    place, bus = new_place()
    sell_later(bus)
    async with trading(place, SHADOW) as parts:
        await analysed(place, parts)
    [live] = [d for d in decisions(place) if d.strategy_id == STRATEGY.id]
    [shadow] = [d for d in decisions(place) if d.strategy_id == SHADOW.id]
    assert (live.verdict, shadow.verdict) == (Verdict.ALLOWED, Verdict.SHADOW)
    assert shadow.rules, "it met every rule"
    assert [o.strategy_id for o in place.store.of(Order, DEFAULT_AGENT)] == [STRATEGY.id]
    assert await place.position("BOLT") == ZERO


async def test_a_shadow_sells_what_it_would_hold_and_is_scored_by_the_quotes_of_then() -> None:
    """Bought at the ask, sold at the bid: 2 x (103 - 101) = 4, one round trip, won."""
    place, bus = new_place()
    sell_later(bus)
    async with trading(place, SHADOW) as parts:
        place.market_data.show("BOLT", 100, spread=D(2))
        await analysed(place, parts)
        place.market_data.show("BOLT", 104, spread=D(2))
        await analysed(place, parts)
        record = await parts.control.strategy_control.strategy("rsi")
    mine = [d for d in decisions(place) if d.strategy_id == SHADOW.id]
    assert [(d.verdict, d.action, d.reference_price) for d in mine] == [
        (Verdict.SHADOW, "buy", D(101)),
        (Verdict.SHADOW, "sell", D(103)),
    ]
    done = record.performance
    assert (done.pnl, done.trades, done.win_rate, done.hypothetical) == (D(4), 1, D(1), True)
    assert await place.records.imagined_positions(DEFAULT_AGENT) == {(SHADOW.id, "BOLT"): ZERO}


async def test_a_shadow_takes_no_room_from_the_others() -> None:
    """Two entries a cycle are allowed: the shadow's is none of them."""
    place, bus = new_place()
    third = replace(STRATEGY, **named("third"), symbols=("BOLT",))
    first = replace(SHADOW, symbols=("ACME", "BOLT"), priority=9)
    bus.decide = lambda number, symbol: bus.proposal(number, symbol, "buy")
    async with trading(place, first, third) as parts:
        cycle = await analysed(place, parts)
    shadows = [d for d in decisions(place) if d.strategy_id == SHADOW.id]
    assert [d.verdict for d in shadows] == [Verdict.SHADOW, Verdict.SHADOW]
    assert cycle.orders_submitted == 2


async def test_what_holds_or_may_come_to_hold_something_cannot_become_a_shadow() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        control = parts.control.strategy_control
        await analysed(place, parts)
        assert await place.position() == D(2)
        with pytest.raises(IllegalTransition, match="holds ACME"):
            await control.update("sma", Edit(mode=StrategyMode.SHADOW), actor=ANN)
        await control.update("sma", Edit(mode=StrategyMode.LIVE), actor=ANN)


async def test_an_order_of_a_shadow_is_not_even_sent() -> None:
    """The last guard: had a trade been made in spite of all, the gate would hold it."""
    place = Place()
    async with place.running() as parts:
        edit = Edit(mode=StrategyMode.SHADOW)
        await parts.control.strategy_control.update("sma", edit, actor=ANN)
        desk = parts.approvals.trades.desk
        trade = await parts.crew.begin(place.trade(), epoch=desk.epoch)
        await trade.ended.wait()
    assert place.venue.submits == []
    assert trade.state.saga.reason == "its strategy is a shadow"


async def test_without_its_guards_a_shadow_would_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the property below would see: the guards, and nothing else, keep a shadow from it."""
    place, bus = new_place()
    sell_later(bus)
    monkeypatch.setattr("tradesaga.engine.risk_gate.shadowed", lambda decision, _: decision)
    async with trading(place, SHADOW) as parts:
        await analysed(place, parts)
        assert {s.strategy_id for s in place.store.of(Saga, DEFAULT_AGENT)} == {
            STRATEGY.id,
            SHADOW.id,
        }
        assert [o.order.symbol for o in place.venue.orders.values()] == ["ACME"], "the gate"


def test_no_trade_is_made_of_a_shadows_decision() -> None:
    shadow = replace(DECISION, verdict=Verdict.SHADOW)
    with pytest.raises(AssertionError):
        trade_for(shadow, reserve=ZERO, now=START, policy=POLICY)


@pytest.mark.parametrize("seed", range(12))
async def test_no_path_leads_from_a_shadow_to_a_saga(seed: int) -> None:
    """Commands in any order, in every execution mode; orders only of who was live then."""
    draw = Random(seed)
    place, bus = new_place()
    place.settings = replace(SETTINGS, execution_mode=draw.choice(list(ExecutionMode)))
    bus.decide = lambda number, symbol: bus.proposal(
        number, symbol, draw.choice(("buy", "sell", "hold")), draw.choice((1, 2, 500))
    )
    async with trading(place, SHADOW, replace(SHADOW, **named("late"))) as parts:
        for _ in range(10):
            before = {saga.id for saga in place.store.of(Saga, DEFAULT_AGENT)}
            shadows = {s.id for s in parts.book.known() if s.is_shadow}
            await something(draw, place, parts)
            new = [s for s in place.store.of(Saga, DEFAULT_AGENT) if s.id not in before]
            still = {s.id for s in parts.book.known() if s.is_shadow} & shadows
            assert not {saga.strategy_id for saga in new} & still
        assert await place.broken() == []
    shadowed = {d.id for d in decisions(place) if d.verdict is Verdict.SHADOW}
    assert not {o.decision_id for o in place.store.of(Order, DEFAULT_AGENT)} & shadowed


def named(name: str) -> dict[str, Any]:
    return {"id": StrategyId(derived(name)), "external_id": name, "name": name}


async def something(draw: Random, place: Place, parts: Parts) -> None:
    """One command or cycle; what is refused changes nothing."""
    control, name = parts.control.strategy_control, draw.choice(("sma", "rsi", "late"))
    match draw.randrange(5):
        case 0 | 1:
            await analysed(place, parts)
        case 2:
            try:
                mode = draw.choice(list(StrategyMode))
                await control.update(name, Edit(mode=mode), actor=ANN)
            except IllegalTransition:
                pass
        case 3:
            await control.deactivate(name, close_positions=draw.random() < 0.5, actor=ANN)
            await control.activate(name, actor=ANN)
        case _:
            for one in await parts.approvals.approvals(limit=10, state=None):
                try:
                    await parts.approvals.approve(one.id, by="ann", reason="", actor=ANN)
                except IllegalTransition:
                    pass
    await place.clock.sleep_until(place.clock.now() + timedelta(minutes=1))
