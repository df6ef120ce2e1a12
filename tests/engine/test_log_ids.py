"""A log line of a cycle or a trade says which: played here, whatever is logged bears its ids."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import LogCapture

from tests.engine.place import Place, begin, carried_out
from tests.engine.test_analysis_cycle import analysed, decisions, new_place, trading
from tests.engine.test_approvals import approve, waiting
from tests.engine.test_busts import told
from tests.engine.test_crash import STORIES, commits_of, died, settled
from tests.spans import Spans
from tradesaga.domain.approval import Approval
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Order
from tradesaga.domain.saga import SagaStatus
from tradesaga.testing.venue_script import LOSE_ANSWER, OnSubmit

Lines = Sequence[Mapping[str, Any]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Every line that anything of ours logs from now on, as it would be written."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None,
        processors=[merge_contextvars, capture],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),  # not another test's
    )
    for name, module in [*sys.modules.items()]:
        for at in ("log", "_log"):
            if name.startswith("tradesaga.") and hasattr(module, at):
                monkeypatch.setattr(module, at, logger)
    return capture.entries


def ids_by_trade(place: Place) -> list[dict[str, str]]:
    """What each order that there is must be known by."""
    orders: list[Order] = place.store.of(Order, DEFAULT_AGENT)
    return [
        {
            "saga_id": str(order.saga_id),
            "decision_id": str(order.decision_id),
            "correlation_id": str(order.decision_id),
            "order_id": order.client_order_id,
            **({} if order.cycle_id is None else {"cycle_id": str(order.cycle_id)}),
        }
        for order in orders
    ]


def must_be_whole(lines: Lines, place: Place, *events: str) -> None:
    """Who names one id of a trade names them all; who names a decision, its correlation id."""
    for line in lines:
        named = {str(value) for value in line.values()}
        for ids in ids_by_trade(place):
            if named & {ids["saga_id"], ids["order_id"]}:
                assert {name: line.get(name) for name in ids} == ids, line
            elif ids["decision_id"] in named:
                assert line["correlation_id"] == ids["decision_id"], line
    said = [line["event"] for line in lines if "correlation_id" in line]
    assert [event for event in events if event not in said] == []


async def test_from_the_question_to_the_fill(lines: Lines) -> None:
    place, bus = new_place()
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
        bus.connected = False
        await analysed(place, parts)  # nobody is asked
        [bought] = [d for d in decisions(place) if d.symbol == "ACME"]
    must_be_whole(lines, place, "event not acknowledged", "saga ended", "cycle ended")
    ended = next(line for line in lines if line["event"] == "cycle ended")
    assert (ended["cycle_id"], ended["correlation_id"]) == (str(cycle.id),) * 2
    [done] = [line for line in lines if line["event"] == "saga ended"]
    assert (done["decision_id"], done["cycle_id"]) == (str(bought.id), str(cycle.id))


async def test_what_waits_for_a_person_and_what_he_does(lines: Lines) -> None:
    place, found = await waiting()
    async with place.node() as parts:
        await approve(place, parts, found)
    must_be_whole(lines, place, "an order waits for an approval", "saga ended")
    [asked] = [line for line in lines if line["event"] == "an order waits for an approval"]
    [approval] = place.store.of(Approval, DEFAULT_AGENT)
    assert (asked["approval_id"], asked["decision_id"]) == (
        str(approval.id),
        str(approval.decision_id),
    )


async def test_a_trade_that_a_person_has_to_settle(lines: Lines) -> None:
    place = Place()
    place.venue.script(OnSubmit(lost=True, hidden=timedelta(days=1)))
    async with place.running() as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()
        if trade.state.saga.status is SagaStatus.MANUAL_REQUIRED:
            await parts.control.sagas.retry(trade.state.saga.id, reason="look", actor="ann")
    must_be_whole(lines, place)
    assert [line for line in lines if "saga_id" in line]


async def test_a_process_that_dies_and_the_next_one(lines: Lines) -> None:
    story = STORIES["answer lost"]
    first, _ = await commits_of(story)
    place = Place()
    place.venue.script(LOSE_ANSWER)
    await died(place, first + 1, durable=False)
    await settled(place)
    must_be_whole(lines, place, "saga ended")


async def test_a_fill_that_the_venue_takes_back(lines: Lines) -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        (name,) = [o.order.client_order_id for o in place.venue.orders.values()]
        await told(place, parts, place.venue.take_back(name), 1)
    must_be_whole(lines, place, "saga ended", "the venue took a fill back")


async def test_while_traces_are_on_a_line_says_where_it_stands(lines: Lines) -> None:
    place, _ = new_place("ACME")
    spans = Spans()
    place.tracer = spans.tracer
    async with trading(place) as parts:
        await analysed(place, parts)
    known = {
        (f"{one.context.trace_id:032x}", f"{one.context.span_id:016x}")
        for one in spans.ended()
        if one.context is not None
    }
    told = [line for line in lines if line["event"] in ("saga ended", "cycle ended")]
    assert len(told) == 2
    for line in told:
        assert (line["trace_id"], line["span_id"]) in known
