"""Entries that wait for a person: one order from one approval, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.engine.deciding import DecidingBus
from tests.engine.place import SETTINGS, STRATEGY, Crash, CrashingJournal, Place
from tests.engine.test_analysis_cycle import analysed, new_place, trading
from tradesaga.domain.approval import Approval, ApprovalState, ExecutionMode
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.errors import IllegalTransition, NotFound, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, ApprovalId, derived
from tradesaga.domain.orders import Order, Side
from tradesaga.domain.saga import ENDS, Saga
from tradesaga.engine.assembly import Parts

S = ApprovalState
MINUTE = timedelta(minutes=1)


def place_in(mode: ExecutionMode) -> tuple[Place, DecidingBus]:
    place, bus = new_place("ACME")
    place.settings = replace(SETTINGS, execution_mode=mode)
    return place, bus


async def waiting() -> tuple[Place, Approval]:
    """A place where a buy of 2 ACME waits for an operator."""
    place, _ = place_in(ExecutionMode.SEMI_AUTO)
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
    assert (cycle.outcome, cycle.orders_submitted) == ("success", 0)
    (found,) = stored(place)
    return place, found


def stored(place: Place) -> list[Approval]:
    return place.store.of(Approval, DEFAULT_AGENT)


def orders(place: Place) -> list[Order]:
    return place.store.of(Order, DEFAULT_AGENT)


async def approve(place: Place, parts: Parts, found: Approval) -> Approval:
    place.market_data.show("ACME", 100)
    await parts.book.load([STRATEGY])
    done = await parts.approvals.approve(found.id, by="ann", reason="good", actor="api")
    for trade in parts.recovery.desk.trades:
        await trade.ended.wait()
    return done


async def test_an_entry_waits_and_becomes_an_order_when_a_person_approves() -> None:
    place, found = await waiting()
    assert (found.state, found.symbol, found.quantity) == (S.PENDING, "ACME", Decimal(2))
    assert orders(place) == []
    async with place.node() as parts:
        done = await approve(place, parts, found)
        assert (done.state, done.decided_by) == (S.CONSUMED, "ann")
        assert await approve(place, parts, found) == done, "repeated: the same answer"
    (order,) = orders(place)
    assert (order.saga_id, order.quantity) == (done.saga_id, Decimal(2))
    assert await place.position() == Decimal(2)
    assert len(place.venue.submits) == 1
    assert await place.broken() == []
    said = next(
        line.entry
        for line in place.store.log_of(DEFAULT_AGENT)
        if line.entry.kind == "approval.approved"
    )
    assert (said.actor, said.body["by"], said.body["reason"]) == ("api", "ann", "good")


async def test_an_exit_waits_for_nobody() -> None:
    place, found = await waiting()
    async with place.node() as parts:
        await approve(place, parts, found)
    place.clock.advance(10 * MINUTE)
    place.market_data.show("ACME", 100)
    bus = place.bus
    assert isinstance(bus, DecidingBus)

    def sell(number: int, symbol: str) -> Proposal | None:
        return replace(bus.proposal(number, symbol, "sell"), external_id="exit")

    bus.decide = sell
    async with trading(place) as parts:
        await analysed(place, parts)
    assert [order.side for order in orders(place)] == [Side.BUY, Side.SELL]
    assert await place.position() == Decimal(0)


async def test_in_manual_mode_decisions_are_judged_and_none_is_executed() -> None:
    place, _ = place_in(ExecutionMode.MANUAL)
    async with trading(place) as parts:
        cycle = await analysed(place, parts)
    (decision,) = place.store.of(Decision, DEFAULT_AGENT)
    assert decision.verdict is Verdict.ALLOWED
    assert (cycle.orders_submitted, orders(place), stored(place)) == (0, [], [])


async def test_what_is_denied_or_expired_is_never_ordered() -> None:
    place, found = await waiting()
    async with place.node() as parts:
        done = await parts.approvals.deny(found.id, by="bob", reason="no", actor="api")
        assert (done.state, done.decided_by) == (S.DENIED, "bob")
        assert await parts.approvals.deny(found.id, by="bob", reason="no", actor="api") == done
        with pytest.raises(IllegalTransition, match="is denied"):
            await approve(place, parts, found)
    place, found = await waiting()
    place.clock.advance(15 * MINUTE)
    async with place.node() as parts:
        with pytest.raises(IllegalTransition, match="ended at"):
            await approve(place, parts, found)
        assert await parts.approvals.expire_due() == 1
        assert await parts.approvals.expire_due() == 0
    assert [one.state for one in stored(place)] == [S.EXPIRED]
    assert orders(place) == []


async def test_a_question_ends_at_its_moment_while_the_process_runs() -> None:
    place, found = await waiting()
    async with place.node() as parts:
        task = asyncio.ensure_future(parts.approvals.run())
        while stored(place)[0].state is S.PENDING:
            await place.clock.sleep_until(place.clock.now() + timedelta(seconds=30))
        task.cancel()
        await asyncio.wait([task])
    ended = stored(place)[0].decided_at
    assert ended is not None
    assert found.expires_at <= ended <= found.expires_at + MINUTE


def dear(place: Place) -> None:
    place.market_data.show("ACME", 120)


def stale(place: Place) -> None:
    place.clock.advance(5 * MINUTE)


@pytest.mark.parametrize(("change", "code"), [(dear, "PRICE_DRIFT"), (stale, "QUOTE_STALE")])
async def test_all_rules_run_again_with_fresh_quotes(
    change: Callable[[Place], None], code: str
) -> None:
    place, found = await waiting()
    change(place)
    async with place.node() as parts:
        await parts.book.load([STRATEGY])
        with pytest.raises(IllegalTransition, match=code):
            await parts.approvals.approve(found.id, by="ann", reason="good", actor="api")
        assert orders(place) == []
        assert stored(place)[0].state is S.PENDING, "it may pass later"
        assert (await approve(place, parts, found)).state is S.CONSUMED


async def test_the_approvals_end_replaces_the_age_of_the_decision() -> None:
    place, found = await waiting()
    place.clock.advance(14 * MINUTE)
    async with place.node() as parts:
        assert (await approve(place, parts, found)).state is S.CONSUMED
    assert [order.expires_at for order in orders(place)] == [found.expires_at]


async def test_a_stopped_agent_orders_nothing_that_is_approved() -> None:
    place, found = await waiting()
    async with place.node() as parts:
        await parts.control.stop(reason="", cancel_open_orders=False, actor="ann")
        with pytest.raises((IllegalTransition, Unavailable)):
            await approve(place, parts, found)
    assert orders(place) == []


async def test_settings_that_have_changed_need_a_new_approval() -> None:
    place, found = await waiting()
    place.settings = replace(place.settings, identity=Identity(configuration="other"))
    async with place.node() as parts:
        with pytest.raises(IllegalTransition, match="other settings"):
            await approve(place, parts, found)
    assert orders(place) == []


async def test_a_newer_proposal_replaces_the_question_and_an_equal_one_does_not() -> None:
    place, bus = place_in(ExecutionMode.SEMI_AUTO)
    quantities = iter((2, 2, 3))

    def buy(number: int, symbol: str) -> Proposal | None:
        return bus.proposal(number, symbol, "buy", next(quantities))

    bus.decide = buy
    async with trading(place) as parts:
        for _ in range(3):
            await analysed(place, parts)
            place.clock.advance(MINUTE)
            place.market_data.show("ACME", 100)
    assert [(one.quantity, one.state) for one in stored(place)] == [
        (Decimal(2), S.EXPIRED),
        (Decimal(3), S.PENDING),
    ]


async def test_an_unknown_approval_is_named() -> None:
    place = Place()
    async with place.running() as parts:
        unknown = ApprovalId(derived("nothing"))
        with pytest.raises(NotFound, match="approvals ls"):
            await parts.approvals.approve(unknown, by="ann", reason="good", actor="api")


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
async def test_a_crash_at_any_commit_leaves_one_order_or_a_question(at: int, durable: bool) -> None:
    place, found = await waiting()
    with suppress(Crash, ExceptionGroup, BaseExceptionGroup):
        async with place.node(CrashingJournal(place.store, at=at, durable=durable)) as parts:
            await approve(place, parts, found)
    (now,) = stored(place)
    assert (now.state is S.CONSUMED) is (len(orders(place)) == 1), "both or none"
    async with place.node() as parts:
        assert (await approve(place, parts, found)).state is S.CONSUMED
        for trade in parts.recovery.desk.trades:
            await trade.ended.wait()
    assert len(orders(place)) == len(place.venue.orders) == 1, "one approval, one order"
    assert {saga.status for saga in place.store.of(Saga, DEFAULT_AGENT)} <= ENDS
    assert await place.position() == Decimal(2)
    assert await place.broken() == []


async def test_two_hands_that_approve_at_once_make_one_order() -> None:
    place, found = await waiting()
    async with place.node() as parts, asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(approve(place, parts, found))
    assert len(orders(place)) == 1


def alerts(place: Place) -> list[tuple[object, object]]:
    """What people were told, and when."""
    log = place.store.log_of(DEFAULT_AGENT)
    said = [line for line in log if line.entry.body.get("alert") == "approval ends soon"]
    return [(line.entry.subject, line.at) for line in said]


async def test_two_reminders_each_once_whatever_restarts() -> None:
    """Asked at START for 15 minutes: told after 7.5 and after 14, by whoever runs then."""
    place, found = await waiting()
    began = found.created_at
    for minutes in (5, 8, 9, 14, 14.5):
        place.clock.advance(began + minutes * MINUTE - place.clock.now())
        async with place.node() as parts:
            await parts.approvals.remind_due()
            await parts.approvals.remind_due()
    told = [(str(found.id), began + 8 * MINUTE), (str(found.id), began + 14 * MINUTE)]
    assert alerts(place) == told
    async with place.node() as parts:
        place.clock.advance(MINUTE)
        assert await parts.approvals.remind_due() == 0, "it has ended"


async def test_the_loop_wakes_for_its_reminders() -> None:
    place, found = await waiting()
    async with place.node() as parts, asyncio.TaskGroup() as group:
        running = group.create_task(parts.approvals.run())
        await place.clock.sleep_until(found.expires_at + timedelta(seconds=1))
        running.cancel()
    assert [at for _, at in alerts(place)] == [
        found.created_at + timedelta(minutes=7, seconds=30),
        found.expires_at - MINUTE,
    ]
    (ended,) = stored(place)
    assert ended.state is S.EXPIRED
