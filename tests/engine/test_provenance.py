"""One decision traced: everything that led to it and came of it, in one answer."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from tests.engine.place import SETTINGS, STRATEGY
from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tradesaga.domain.approval import ApprovalState, ExecutionMode
from tradesaga.domain.errors import NotFound
from tradesaga.domain.events import ANALYSIS_REQUESTED, SAGA_COMPLETED, SAGA_STARTED
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import OrderStatus


async def test_from_the_quote_to_the_position_under_the_ids_of_its_events() -> None:
    place, _ = new_place()
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
        [bought] = [d for d in decisions(place) if d.symbol == "ACME"]
        traced = await parts.control.risk.provenance(str(bought.id))
        [trade] = traced.trades
        order = trade.state.order
        names = trade.state.saga.id, order.id, order.client_order_id, order.venue_order_id
        for name in names:
            assert await parts.control.risk.provenance(str(name)) == traced, name
    assert traced.cycle == cycle
    assert traced.market_data["quotedAt"] <= traced.market_data["fetchedAt"]
    assert (traced.market_data["symbol"], traced.market_data["price"]) == ("ACME", "100.00")
    assert traced.decision.strategy_id == STRATEGY.id
    assert traced.decision.rules["rules"]["LADDER"][0] == "passed"
    assert trade.state.order.status is OrderStatus.FILLED
    assert [fill.quantity for fill in trade.fills] == [2]
    assert {step.kind for step in trade.steps}
    assert traced.position is not None
    assert traced.position.quantity == 2
    moments = [
        traced.market_data["fetchedAt"], bought.as_of, bought.created_at,
        trade.state.order.created_at, trade.fills[0].recorded_at,
    ]  # fmt: skip
    assert moments == sorted(moments)
    kinds = [
        line.entry.event.type
        for line in place.store.log_of(DEFAULT_AGENT)
        if line.entry.event is not None and line.entry.event.correlation_id == str(bought.id)
    ]
    assert kinds == [ANALYSIS_REQUESTED, SAGA_STARTED, SAGA_COMPLETED]
    assert (traced.correlation_id, traced.asked) == (str(bought.id), True)
    about_it = {str(bought.id), str(trade.state.saga.id)}
    rows = [line for line in place.store.log_of(DEFAULT_AGENT) if line.entry.subject in about_it]
    assert {line.entry.kind for line in rows} >= {"decision.judged", "saga.steps"}
    assert {line.entry.correlation_id for line in rows} == {str(bought.id)}


async def test_an_order_that_waits_for_a_person_shows_its_question() -> None:
    place, _ = new_place("ACME")
    place.settings = replace(SETTINGS, execution_mode=ExecutionMode.SEMI_AUTO)
    async with trading(place) as parts:
        await analysed(place, parts)
        [decision] = decisions(place)
        traced = await parts.control.risk.provenance(str(decision.id))
    assert traced.approval is not None
    assert traced.approval.state is ApprovalState.PENDING
    name = str(traced.approval.id)
    rows = [line for line in place.store.log_of(DEFAULT_AGENT) if line.entry.subject == name]
    assert {line.entry.correlation_id for line in rows} == {str(decision.id)}
    assert traced.trades == []


async def test_nothing_is_known_of_a_decision_that_never_was() -> None:
    place, _ = new_place("ACME")
    async with trading(place) as parts:
        for name in (str(uuid4()), "ts-unknown"):
            with pytest.raises(NotFound):
                await parts.control.risk.provenance(name)
