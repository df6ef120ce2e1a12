"""Orders without a decision maker: positions are closed once, by the same machine and rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.domain.trades import DECISION
from tests.engine.place import CrashingJournal, Place, another, begin, carried_out, desk_of
from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.errors import IllegalTransition, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId, derived
from tradesaga.domain.instructions import Instruction, Origin
from tradesaga.domain.orders import Order, OrderStatus, Reservation
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.engine.assembly import Parts
from tradesaga.engine.instructed_trades import Instructed
from tradesaga.engine.risk_gate import MarketView
from tradesaga.testing.services import ACCEPT

ANN = "api:ann"
OTHER = StrategyId(derived("another strategy"))


async def close(parts: Parts, key: str = "k-1", **more: StrategyId) -> list[Instructed]:
    done = await parts.instructed.close_position(
        "ACME", origin=Origin.EXIT, key=key, reason="enough", actor="engine", **more
    )
    for one in done:
        if one.trade is not None:
            await one.trade.ended.wait()
    return list(done)


async def view(place: Place, parts: Parts) -> MarketView:
    place.market_data.show("ACME", 100)
    account = await place.venue.account()
    await parts.watchers.losses.saw(account.equity)
    return MarketView(quotes=place.market_data.known, account=account, tradable=frozenset({"ACME"}))


def stored(place: Place, kind: type[Saga] | type[Order] | type[Decision]) -> list[object]:
    return list(place.store.of(kind, DEFAULT_AGENT))


async def test_an_operator_closes_a_position_with_reason_and_actor() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        (begun,) = await parts.control.sagas.close_position("ACME", reason="rumours", actor=ANN)
        trade = desk_of(parts).trades.of(begun.saga.id)
        if trade is not None:
            await trade.ended.wait()
        record = await parts.control.sagas.trade(begun.saga.id)
    saga, order = record.state.saga, record.state.order
    assert (saga.type, saga.status) == ("position_close", SagaStatus.COMPLETED)
    assert (order.side, order.quantity, order.purpose) == ("sell", Decimal(2), "operator_exit")
    assert record.state.reservation.amount == 0
    assert order.strategy_id == DECISION.strategy_id, "the strategy that held it holds it no more"
    (decision,) = place.store.of(Decision, DEFAULT_AGENT)
    assert (decision.id, decision.model, decision.reasoning) == (
        order.decision_id, "operator", "rumours",
    )  # fmt: skip
    (said,) = [
        e.entry for e in place.store.log_of(DEFAULT_AGENT) if e.entry.kind == "decision.judged"
    ]
    assert (said.actor, said.body["reason"], said.body["origin"]) == (ANN, "rumours", "operator")
    assert await place.position() == 0
    assert await place.broken() == []


async def test_the_same_instruction_makes_one_saga_however_often_it_is_given() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        place.venue.script(ACCEPT)
        async with asyncio.TaskGroup() as group:
            at_once = [
                group.create_task(
                    parts.instructed.close_position(
                        "ACME", origin=Origin.EXIT, key="k-1", reason="x", actor="engine"
                    )
                )
                for _ in range(3)
            ]
        assert sum(len(task.result()) for task in at_once) >= 1
        place.venue.fill(desk_of(parts).trades.__iter__().__next__().state.order.client_order_id)
        while len(desk_of(parts).trades):
            for trade in desk_of(parts).trades:
                await trade.ended.wait()
        assert await close(parts) == []
    assert [saga.type for saga in place.store.of(Saga, DEFAULT_AGENT)] == [
        "trade_execution", "position_close",
    ]  # fmt: skip
    assert await place.position() == 0
    assert await place.broken() == []


@pytest.mark.parametrize("durable", [False, True])
async def test_an_exit_survives_the_crash_of_its_process(durable: bool) -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
    with pytest.raises(BaseExceptionGroup):
        async with place.node(CrashingJournal(place.store, at=1, durable=durable)) as parts:
            await close(parts)
    async with place.node() as parts:
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
        await close(parts)
    assert await place.position() == 0
    assert len(place.store.of(Saga, DEFAULT_AGENT)) == 2
    assert await place.broken() == []


async def test_own_entries_are_cancelled_before_the_exit_is_sized() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        place.venue.script(ACCEPT)
        entry = await begin(place, parts, another(2))
        while entry.state.order.status is not OrderStatus.WORKING:
            entry.news.clear()
            await entry.news.wait()
        (done,) = await close(parts)
        assert entry.state.saga.status is SagaStatus.COMPENSATED
        assert done.trade is not None
        assert done.trade.state.order.quantity == 2
    assert await place.position() == 0
    assert await place.broken() == []


async def test_each_strategy_s_share_is_a_saga_of_its_own() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        await carried_out(place, parts, replace(another(2), strategy_id=OTHER))
        (one,) = await close(parts, strategy_id=OTHER)
        assert one.trade is not None
        assert one.trade.state.order.strategy_id == OTHER
        assert await place.position() == 2
        (rest,) = await close(parts, key="k-2")
        assert rest.trade is not None
        assert rest.trade.state.order.strategy_id == DECISION.strategy_id
    assert await place.position() == 0
    assert await place.broken() == []


async def test_nothing_held_is_nothing_to_close() -> None:
    place = Place()
    async with place.running() as parts:
        assert await close(parts) == []
        with pytest.raises(IllegalTransition, match="nothing of ACME is held"):
            await parts.control.sagas.close_position("ACME", reason="x", actor=ANN)
    assert stored(place, Saga) == []


async def test_an_operator_s_exit_is_sent_while_the_agent_is_stopped_and_no_other_is() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        await parts.control.stop(reason="x", cancel_open_orders=False, actor=ANN)
        (refused,) = await close(parts)
        assert refused.trade is not None
        assert refused.trade.state.order.status is OrderStatus.NOT_PLACED
        (begun,) = await parts.control.sagas.close_position("ACME", reason="out", actor=ANN)
        while desk_of(parts).trades.of(begun.saga.id) is not None:
            for trade in desk_of(parts).trades:
                await trade.ended.wait()
    assert await place.position() == 0


async def test_before_the_recovery_nothing_is_sized() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        desk_of(parts).recovered = False
        with pytest.raises(Unavailable):
            await close(parts)


async def test_what_a_rule_denies_is_recorded_and_makes_no_saga() -> None:
    place = Place()
    async with place.running() as parts:
        given = Instruction(
            origin=Origin.REBALANCE, key="cycle-1", symbol="ACME", action=Action.SELL,
            quantity=Decimal(1), reason="drift", actor="engine",
        )  # fmt: skip
        for code in ("SHORT_NOT_ALLOWED", "DENIED_BEFORE"):
            done = await parts.instructed.begin(
                given, await view(place, parts), epoch=desk_of(parts).epoch
            )
            assert done.trade is None
            assert code in [denial.code for denial in done.decision.denials]
        with pytest.raises(IllegalTransition, match="nothing"):
            await parts.control.sagas.close_position("ACME", reason="x", actor=ANN)
    (decision,) = place.store.of(Decision, DEFAULT_AGENT)
    assert decision.verdict is Verdict.DENIED
    assert stored(place, Saga) == []


async def test_a_leg_of_a_rebalance_reserves_and_is_unique_by_leg() -> None:
    place = Place()
    async with place.running() as parts:
        seen, epoch = await view(place, parts), desk_of(parts).epoch
        for leg in (0, 1, 1):
            given = Instruction(
                origin=Origin.REBALANCE, key="cycle-1", symbol="ACME", action=Action.BUY,
                quantity=Decimal(2), reason="drift", actor="engine", leg=leg,
            )  # fmt: skip
            done = await parts.instructed.begin(given, seen, epoch=epoch)
            assert done.trade is not None, done.decision.denials
            await done.trade.ended.wait()
    sagas = place.store.of(Saga, DEFAULT_AGENT)
    assert [saga.type for saga in sagas] == ["rebalance_leg"] * 2
    assert [order.leg for order in place.store.of(Order, DEFAULT_AGENT)] == [0, 1]
    assert all(held.amount > 0 for held in place.store.of(Reservation, DEFAULT_AGENT))
    assert await place.position() == 4
    assert await place.broken() == []
