"""Neighbours' events: once, whenever they come; nothing is acknowledged before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.domain.trades import POLICY, report
from tests.engine.place import Place, begin, desk_of
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.errors import Invalid
from tradesaga.domain.events import (
    DecisionGenerated,
    ErrorOccurred,
    HeartbeatSeen,
    Incoming,
    SessionChanged,
    Unhandled,
)
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.market import SessionKind
from tradesaga.domain.orders import Fill, OrderStatus, VenueReport
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.trade_messages import Reported, TradeState
from tradesaga.engine.assembly import Parts
from tradesaga.engine.event_bounds import TRIES_MAX
from tradesaga.engine.health import TRADING_ENGINE
from tradesaga.ports.services import Health
from tradesaga.testing.bus import Answer
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.services import as_event
from tradesaga.testing.venue_script import ACCEPT, OnCancel

Is = OrderStatus


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[Parts]:
    """A running node whose coordinator takes deliveries."""
    async with place.running() as parts, asyncio.TaskGroup() as group:
        task = group.create_task(parts.coordinator.run())
        yield parts
        task.cancel()


def told(said: VenueReport, event_id: str) -> Incoming:
    return as_event(said, event_id)


async def test_a_fill_told_by_an_event_is_booked_and_ends_the_wait() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    async with listening(place) as parts:
        trade = await begin(place, parts)
        while trade.state.order.venue_order_id is None:
            trade.news.clear()
            await trade.news.wait()
        said = place.venue.fill(trade.state.order.client_order_id)
        place.bus.deliver(told(said, "e-1"))
        await trade.ended.wait()
        await place.bus.until_idle()
    assert trade.state.saga.status is SagaStatus.COMPLETED
    assert await place.records.was_received(DEFAULT_AGENT, "e-1")
    assert place.clock.now() - trade.state.saga.created_at < POLICY.poll_every, "no poll was needed"


async def test_duplicates_under_one_id_and_in_new_clothes_have_one_effect() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    async with listening(place) as parts:
        trade = await begin(place, parts)
        await trade.news.wait()
        first = place.venue.fill(trade.state.order.client_order_id, 1)
        second = place.venue.fill(trade.state.order.client_order_id, 1)
        for number, said in enumerate((second, first, second, first)):
            place.bus.deliver(told(said, f"e-{number % 2}"))  # each id twice
            place.bus.deliver(told(said, f"new-{number}"))
        await place.bus.until_idle()
        await trade.ended.wait()
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 2
    assert await place.position() == Decimal(2)
    assert await place.broken() == []
    assert {d.answer for d in place.bus.answered} == {Answer.ACKNOWLEDGED}


async def test_a_fill_that_overtakes_the_reply_is_joined_by_the_client_order_id() -> None:
    place = Place()
    async with listening(place) as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)  # nobody has sent it yet
        name = trade.state.order.client_order_id
        place.bus.deliver(told(replace(report(Is.FILLED, 2), client_order_id=name), "e-1"))
        await place.bus.until_idle()
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert place.venue.submits == []


async def test_an_event_by_venue_id_alone_waits_for_the_reply_that_names_it() -> None:
    place = Place()
    async with listening(place) as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        early = report(Is.FILLED, 2)  # v-1, which no order of ours is known by
        delivery = place.bus.deliver(told(early, "e-1"))
        await place.bus.until_answered(delivery)
        assert delivery.answer is Answer.RETRIED
        assert trade.state.order.filled_quantity == 0
        await desk.book(trade, Reported(report=report(Is.WORKING, source="reply")))
        await place.bus.until_idle()
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert await place.position() == Decimal(2)


async def test_a_reply_that_comes_while_the_store_is_read_makes_no_stranger_of_our_order() -> None:
    place = Place()
    async with listening(place) as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        read = place.records.trade_of

        async def replied_meanwhile(*args: Any, **names: Any) -> TradeState | None:
            found = await read(*args, **names)
            if trade.state.order.venue_order_id is None:
                await desk.book(trade, Reported(report=report(Is.FILLED, 2, source="reply")))
            return found

        place.records.trade_of = replied_meanwhile  # type: ignore[method-assign]  # reads in between
        delivery = place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        await place.bus.until_answered(delivery)
        assert delivery.answer is Answer.RETRIED
        await place.bus.until_idle()
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert "order.external" not in place.kinds()
    assert await place.position() == Decimal(2)


async def test_an_order_of_somebody_else_is_noted_and_left_alone() -> None:
    place = Place()
    async with listening(place):
        place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        await place.bus.until_idle()
    assert place.kinds().count("order.external") == 1
    assert await place.position() == Decimal(0)


async def test_a_late_fill_is_booked_on_a_saga_that_has_ended() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    async with listening(place) as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()  # cancelled after the fill wait
        assert trade.state.saga.status is SagaStatus.COMPENSATED
        venue_id = trade.state.order.venue_order_id
        assert venue_id is not None
        place.bus.deliver(told(replace(report(Is.FILLED, 2), venue_order_id=venue_id), "late"))
        await place.bus.until_idle()
    assert await place.position() == Decimal(2)
    assert await place.broken() == []


async def test_a_saga_that_needs_a_person_still_hears_of_fills() -> None:
    place = Place()
    place.venue.default_cancel = OnCancel(ignored=True)
    place.venue.script(ACCEPT)
    async with listening(place) as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()
        said = place.venue.fill(trade.state.order.client_order_id)
        place.bus.deliver(told(said, "e-1"))
        await place.bus.until_idle()
        assert trade.state.saga.status is SagaStatus.MANUAL_REQUIRED
    assert await place.position() == Decimal(2)


async def test_poison_is_buried_and_what_follows_is_handled() -> None:
    place = Place()
    async with listening(place):
        poison = place.bus.deliver_poison(b"\x00not json", "no JSON")
        after = place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        await place.bus.until_idle()
    assert (poison.answer, after.answer) == (Answer.DISCARDED, Answer.ACKNOWLEDGED)
    ((_, letter),) = place.store.dead_letters
    assert (letter.body, letter.reason) == (b"\x00not json", "no JSON")
    assert ("error_occurred", "dead_letter") in place.metrics.seen


async def test_what_cannot_be_committed_is_delivered_again() -> None:
    from tradesaga.domain.errors import Unavailable

    place = Place()
    journal = MemoryJournal(place.store)
    async with place.running(journal) as parts:
        failures = iter([Unavailable("full")])
        journal.refuse_next = lambda change: next(failures, None)
        delivery = place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        task = asyncio.ensure_future(parts.coordinator.run())
        await place.bus.until_idle()
        task.cancel()
        await asyncio.wait([task])
    assert delivery.answer is Answer.RETRIED
    assert place.bus.answered[-1].answer is Answer.ACKNOWLEDGED
    assert place.kinds().count("order.external") == 1


def proposal(external_id: str = "d-9", action: str = "buy") -> Proposal:
    return Proposal(
        external_id=external_id,
        symbol="ACME",
        action=action,
        confidence=Decimal("0.9"),
        reasoning="",
        said_at=report(Is.WORKING).at,
        suggested_quantity=Decimal(2),
    )


def decided(said: Proposal, event_id: str) -> Incoming:
    return Incoming(
        event_id=event_id,
        type="ai.decision.generated",
        source="ai-decision",
        correlation_id=None,
        at=said.said_at,
        content=DecisionGenerated(proposal=said),
    )


async def test_an_unsolicited_decision_is_executed_once_through_every_rule() -> None:
    place = Place()
    place.market_data.show("ACME", 100)
    async with listening(place) as parts:
        for event_id in ("e-1", "e-1", "e-2"):  # repeated, and published again
            place.bus.deliver(decided(proposal(), event_id))
            await place.bus.until_idle()
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
    (decision,) = place.store.of(Decision, DEFAULT_AGENT)
    assert decision.verdict is Verdict.ALLOWED, decision.denials
    assert len(place.venue.orders) == len(place.store.of(Saga, DEFAULT_AGENT)) == 1
    assert await place.position() == Decimal(2)


async def test_an_unsolicited_decision_of_a_stopped_agent_is_ignored() -> None:
    place = Place()
    place.market_data.show("ACME", 100)
    async with listening(place) as parts:
        await parts.control.stop(reason="", cancel_open_orders=False, actor="operator")
        place.bus.deliver(decided(proposal(), "e-1"))
        await place.bus.until_idle()
    assert place.store.of(Decision, DEFAULT_AGENT) == []
    assert "decision.ignored" in place.kinds()
    assert place.venue.submits == []


@pytest.mark.parametrize(
    "content",
    [
        SessionChanged(market="US", session=SessionKind.CLOSED, effective_at=Place().clock.now()),
        HeartbeatSeen(service=TRADING_ENGINE, status="degraded", at=Place().clock.now()),
        ErrorOccurred(service="x", severity="error", code="C", message="m"),
        Unhandled(type="ai.decision.validated"),
    ],
    ids=lambda content: type(content).__name__,
)
async def test_what_is_only_heard_is_acknowledged(
    content: SessionChanged | HeartbeatSeen | ErrorOccurred | Unhandled,
) -> None:
    place = Place()
    incoming = Incoming(
        event_id="e-1",
        type="t",
        source="s",
        correlation_id=None,
        at=place.clock.now(),
        content=content,
    )
    async with listening(place) as parts:
        delivery = place.bus.deliver(incoming)
        await place.bus.until_idle()
        if isinstance(content, HeartbeatSeen):
            assert parts.board.services[TRADING_ENGINE] is Health.DEGRADED
        if isinstance(content, SessionChanged):
            assert not parts.scheduler.tick_analysis(place.clock.now()), "it may close the market"
        if isinstance(content, ErrorOccurred):
            assert ("error_occurred", "neighbour") in place.metrics.seen
    assert delivery.answer is Answer.ACKNOWLEDGED


async def test_what_can_never_be_stored_is_buried_and_not_asked_for_again() -> None:
    place = Place()
    journal = MemoryJournal(place.store)
    async with place.running(journal) as parts:
        refusals = iter([Invalid(["reasoning: holds a NUL"])])
        journal.refuse_next = lambda change: next(refusals, None)
        delivery = place.bus.deliver(told(report(Is.FILLED, 2), "e-1"))
        task = asyncio.ensure_future(parts.coordinator.run())
        await place.bus.until_idle()
        task.cancel()
        await asyncio.wait([task])
    assert delivery.answer is Answer.DISCARDED
    ((_, letter),) = place.store.dead_letters
    assert letter.reason == "reasoning: holds a NUL"


async def test_a_decision_whose_analysis_keeps_failing_is_put_aside() -> None:
    place = Place()
    place.venue.down = True  # no account: no analysis can judge anything
    async with listening(place):
        place.bus.deliver(decided(proposal(), "e-1"))
        await place.bus.until_idle()
    assert place.bus.answered[-1].answer is Answer.DISCARDED
    assert len(place.store.of(Cycle, DEFAULT_AGENT)) == TRIES_MAX
    ((_, letter),) = place.store.dead_letters
    assert letter.reason == f"no effect in {TRIES_MAX} tries"


@pytest.mark.parametrize(
    ("severity", "after"), [("error", Health.HEALTHY), ("CRITICAL", Health.DEGRADED)]
)
async def test_a_critical_error_makes_a_healthy_neighbour_degraded_until_it_says_otherwise(
    severity: str, after: Health
) -> None:
    place = Place()

    def told_of(number: int, content: HeartbeatSeen | ErrorOccurred) -> Incoming:
        return Incoming(
            event_id=f"h-{number}",
            type="t",
            source="s",
            correlation_id=None,
            at=place.clock.now(),
            content=content,
        )

    well = HeartbeatSeen(service=TRADING_ENGINE, status="healthy", at=place.clock.now())
    error = ErrorOccurred(service=TRADING_ENGINE, severity=severity, code="C", message="m")
    async with listening(place) as parts:
        place.bus.deliver(told_of(1, well))
        await place.bus.until_idle()
        place.bus.deliver(told_of(2, error))
        await place.bus.until_idle()
        assert parts.board.services[TRADING_ENGINE] is after
        place.bus.deliver(told_of(3, well))
        await place.bus.until_idle()
        assert parts.board.services[TRADING_ENGINE] is Health.HEALTHY
