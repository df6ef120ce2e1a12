"""The default agent while there are others: what the bus tells of theirs is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.domain.trades import report
from tests.engine.place import Place, desk_of
from tests.engine.test_event_coordinator import listening, told
from tradesaga.domain.decisions import Decision, Proposal
from tradesaga.domain.events import DecisionGenerated, Incoming
from tradesaga.domain.ids import DEFAULT_AGENT, SagaId, client_order_id, derived
from tradesaga.domain.ladder import EVERYWHERE
from tradesaga.domain.orders import OrderStatus
from tradesaga.engine.assembly import Parts
from tradesaga.engine.send_gate import SendGate
from tradesaga.testing.bus import Answer

NOON = datetime(2020, 12, 15, 17, tzinfo=UTC)
THEIRS = client_order_id(SagaId(derived("another agent", "saga")), 0, "entry")


@asynccontextmanager
async def beside_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, others: bool
) -> AsyncIterator[Parts]:
    """The default agent, listening."""
    alone = place.world
    monkeypatch.setattr(
        type(place), "world", lambda _, journal: replace(alone(journal), others=lambda: others)
    )
    async with listening(place) as parts:
        yield parts


@pytest.mark.parametrize("others", [False, True])
async def test_an_order_under_one_of_our_ids_may_be_another_agents(
    others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place()
    async with beside_others(place, monkeypatch, others=others):
        said = replace(report(OrderStatus.FILLED, 2), client_order_id=THEIRS)
        delivery = place.bus.deliver(told(said, "e-1"))
        await place.bus.until_idle()
    assert delivery.answer is Answer.ACKNOWLEDGED
    assert place.kinds().count("order.external") == int(not others)


async def test_its_own_order_and_a_strangers_are_heard_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    async with beside_others(place, monkeypatch, others=True) as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        name = trade.state.order.client_order_id
        place.bus.deliver(told(replace(report(OrderStatus.FILLED, 2), client_order_id=name), "e-1"))
        stranger = replace(report(OrderStatus.FILLED, 2), venue_order_id="v-9")
        place.bus.deliver(told(replace(stranger, client_order_id="by hand"), "e-2"))
        await place.bus.until_idle()
    assert trade.state.order.filled_quantity == 2
    assert place.kinds().count("order.external") == 1


@pytest.mark.parametrize(("others", "request_id"), [(True, "r-1"), (True, None), (False, "r-1")])
async def test_an_answer_to_a_question_of_another_agent_is_not_unsolicited(
    others: bool, request_id: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place()
    async with beside_others(place, monkeypatch, others=others):
        said = Proposal(
            external_id="d-1",
            symbol="ACME",
            action="hold",
            confidence=None,
            reasoning="x",
            said_at=place.clock.now(),
            request_id=request_id,
        )
        incoming = Incoming(
            event_id="e-1",
            type="ai.decision.generated",
            source="ai-decision",
            correlation_id=None,
            at=NOON,
            content=DecisionGenerated(proposal=said),
        )
        delivery = place.bus.deliver(incoming)
        await place.bus.until_answered(delivery)
    theirs = others and request_id is not None
    analysed = bool(place.store.of(Decision, DEFAULT_AGENT)) or "decision.ignored" in place.kinds()
    assert analysed or theirs or delivery.answer is not Answer.ACKNOWLEDGED
    if theirs:
        assert (delivery.answer, analysed) == (Answer.ACKNOWLEDGED, False)


def test_a_mark_of_the_process_closes_the_gates_of_all_its_agents() -> None:
    process = SendGate()
    one, other = SendGate(above=process), SendGate(above=process)
    one.close(EVERYWHERE)
    assert one.halted == {EVERYWHERE}
    assert not other.halted
    process.mark([EVERYWHERE])
    assert other.halted == {EVERYWHERE}
    process.mark([])
    assert other.halted == frozenset()
