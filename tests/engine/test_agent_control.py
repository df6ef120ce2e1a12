"""What an operator asks: every command, its repeat, and what stop promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import DECISION
from tests.engine.place import PATIENCE, SETTINGS, STRATEGY, Place, another, begin, desk_of
from tradesaga.domain.agent import Agent, AgentStatus, Mode
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Action
from tradesaga.domain.errors import Fenced, IllegalTransition, Invalid, NotFound, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId, StrategyId, derived
from tradesaga.domain.orders import ENDED, Order, OrderStatus
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.strategies import StrategyStatus
from tradesaga.engine.assembly import Parts
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.testing.venue_script import ACCEPT, CANCEL_LATER, OnCancel

S, Is = AgentStatus, OrderStatus
OTHER = replace(STRATEGY, id=StrategyId(derived("other")), external_id="rsi", name="Reversion")


async def start(parts: Parts, mode: Mode | None = None) -> Agent:
    return (await parts.control.start(strategies=None, mode=mode, actor="operator")).agent


async def stop(parts: Parts, *, cancel: bool = False) -> Agent:
    done = await parts.control.stop(reason="test", cancel_open_orders=cancel, actor="operator")
    return done.agent


async def working(trade: OpenTrade) -> None:
    """Wait until the venue has the order."""
    while trade.state.order.status is not Is.WORKING:
        trade.news.clear()
        await trade.news.wait()


def stored(place: Place) -> Agent:
    (agent,) = place.store.of(Agent, DEFAULT_AGENT)
    assert isinstance(agent, Agent)
    return agent


async def test_every_command_is_durable_and_audited_when_it_answers_and_may_be_repeated() -> None:
    place = Place()
    async with place.node() as parts:
        control = parts.control

        async def pause() -> Agent:
            return await control.pause(duration=None, reason="", actor="operator")

        async def resume() -> Agent:
            return await control.resume(reason="", actor="operator")

        commands: list[tuple[Callable[[], Awaitable[Agent]], AgentStatus, str]] = [
            (lambda: start(parts), S.RUNNING, "agent.started"),
            (pause, S.PAUSED, "agent.paused"),
            (resume, S.RUNNING, "agent.resumed"),
            (lambda: stop(parts), S.STOPPED, "agent.stopped"),
        ]
        for command, status, kind in commands:
            agent = await command()
            assert agent == stored(place)
            assert agent.status is status
            last = place.store.log_of(DEFAULT_AGENT)[-1].entry
            assert (last.kind, last.actor) == (kind, "operator")
            length = len(place.kinds())
            assert await command() == agent
            assert len(place.kinds()) == length, "a repeat writes nothing"


async def test_what_the_agent_cannot_do_is_refused() -> None:
    place = Place()
    async with place.node() as parts:
        with pytest.raises(IllegalTransition, match="only a running one pauses"):
            await parts.control.pause(duration=None, reason="", actor="operator")
        with pytest.raises(IllegalTransition, match="start it instead"):
            await parts.control.resume(reason="", actor="operator")


async def test_start_makes_exactly_the_named_strategies_active() -> None:
    place = Place()
    async with place.node() as parts:
        await parts.book.load([STRATEGY, OTHER])
        started = await parts.control.start(strategies=["rsi"], mode=None, actor="operator")
        assert [r.strategy.external_id for r in started.strategies] == ["rsi"]
        assert [s.external_id for s in parts.book.active()] == ["rsi"]
        with pytest.raises(Invalid) as caught:
            await parts.control.start(
                strategies=["nobody", "rsi", "none"], mode=None, actor="operator"
            )
        assert len(caught.value.problems) == 2
    statuses = {
        r.strategy.external_id: r.strategy.status
        for r in await place.records.strategies(DEFAULT_AGENT)
    }
    assert statuses == {"sma": StrategyStatus.STOPPED, "rsi": StrategyStatus.ACTIVE}


async def test_a_restart_finds_the_agent_as_it_was_left() -> None:
    place = Place()
    async with place.running():
        pass
    async with place.node() as parts:
        assert (await parts.control.status()).agent.status is S.RUNNING
        await stop(parts)
    async with place.node() as parts:
        assert (await parts.control.status()).agent.status is S.STOPPED


async def test_stop_raises_the_epoch_so_that_no_earlier_intent_can_follow() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        decided = desk.epoch
        await stop(parts)
        assert desk.epoch == decided + 1
        with pytest.raises(Fenced):
            await desk.begin(place.trade(), epoch=decided)
        await stop(parts)
        assert desk.epoch == decided + 1, "a repeat fences nothing"
    assert place.store.of(Saga, DEFAULT_AGENT) == []


async def test_what_was_not_sent_when_the_agent_stops_is_never_sent() -> None:
    place = Place()
    async with place.running() as parts:
        place.lease.left = 0.0  # the runner has no leave to send
        await parts.leadership.raise_epoch()
        trade = await begin(place, parts)
        place.lease.left = float("inf")
        await stop(parts)
        await trade.ended.wait()
        assert trade.state.saga.status is SagaStatus.COMPENSATED
        assert trade.state.order.status is Is.NOT_PLACED
    assert place.venue.submits == []
    assert await place.broken() == []


async def test_stop_with_cancel_waits_for_the_verdict() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    async with place.running() as parts:
        trade = await begin(place, parts)
        await working(trade)
        done = await parts.control.stop(reason="", cancel_open_orders=True, actor="operator")
        assert (done.open_positions, done.pending_orders) == (0, 0)
        assert done.in_flight == ()
        assert trade.state.order.status is Is.CANCELED
    assert len(place.venue.cancels) == 1
    assert await place.broken() == []


async def test_stop_with_cancel_leaves_exits_alone() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    leave = replace(DECISION, action=Action.SELL, opening=False)
    async with place.running() as parts:
        trade = await begin(place, parts, leave)
        await working(trade)
        stopping = asyncio.ensure_future(stop(parts, cancel=True))
        await asyncio.sleep(0)
        place.venue.fill(trade.state.order.client_order_id)
        await stopping
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert place.venue.cancels == []


async def test_a_fill_may_beat_the_cancel_of_a_stop() -> None:
    place = Place()
    place.venue.script(ACCEPT, OnCancel(fill_first=Decimal(2)))
    async with place.running() as parts:
        trade = await begin(place, parts)
        await working(trade)
        done = await parts.control.stop(reason="", cancel_open_orders=True, actor="operator")
        assert (done.open_positions, done.pending_orders) == (1, 0)
    assert await place.position() == Decimal(2)


async def test_a_stop_while_the_submission_is_on_its_way_loses_no_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order is accepted after the stop: it is found, cancelled, and only then released."""
    place = Place()
    place.venue.script(ACCEPT)
    sent, answer, submit = asyncio.Event(), asyncio.Event(), place.venue.submit

    async def slow(order: Order) -> object:
        sent.set()
        await answer.wait()
        return await submit(order)

    monkeypatch.setattr(place.venue, "submit", slow)
    async with place.running() as parts:
        trade = await begin(place, parts)
        await sent.wait()
        stopping = asyncio.ensure_future(stop(parts, cancel=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert trade.state.reservation.closed_at is None, "it may be accepted at any moment"
        answer.set()
        await stopping
        assert trade.state.order.status is Is.CANCELED
        assert trade.state.saga.status is SagaStatus.COMPENSATED
    assert [o.status for o in place.venue.orders.values()] == [Is.CANCELED]
    assert await place.broken() == []


async def test_a_stop_that_takes_too_long_reports_what_is_pending_and_drives_it_on() -> None:
    place = Place(settings=replace(SETTINGS, stop_time_max=timedelta(milliseconds=50)))
    place.venue.script(ACCEPT, CANCEL_LATER)
    place.venue.default_cancel = CANCEL_LATER
    place.venue.lose_lookups(10_000)
    async with place.running() as parts:
        place.clock._idle_turns = 1_000_000  # time stands still
        trade = await begin(place, parts)
        await working(trade)
        done = await parts.control.stop(reason="", cancel_open_orders=True, actor="operator")
        assert done.pending_orders == 1
        assert [one.saga.id for one in done.in_flight] == [trade.state.saga.id]
        assert done.in_flight[0].order.status not in ENDED
        assert (await parts.control.status()).detail == "starting", "no word of stopping before"
        parts.control.ready.set()
        assert (await parts.control.status()).detail == "stopping"
        assert done.agent.status is S.STOPPED
        assert trade.state.reservation.closed_at is None


async def test_stop_cancels_the_running_cycle() -> None:
    place = Place()
    place.market_data.show("ACME", 100)
    async with place.running() as parts:
        assert parts.scheduler.tick_analysis(place.clock.now())
        while not place.store.of(Cycle, DEFAULT_AGENT):
            await place.clock.sleep_until(place.clock.now() + timedelta(microseconds=1))
        await stop(parts)
    (cycle,) = place.store.of(Cycle, DEFAULT_AGENT)
    assert cycle.status is CycleStatus.CANCELLED


async def test_before_the_lease_is_held_commands_are_unavailable_but_health_answers() -> None:
    place = Place()
    from tradesaga.engine.assembly import assemble

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        control = assemble(place.world(), place.settings, place.policy, group).control
        for asked in (
            control.start(strategies=None, mode=None, actor="operator"),
            control.stop(reason="", cancel_open_orders=False, actor="operator"),
            control.pause(duration=None, reason="", actor="operator"),
            control.resume(reason="", actor="operator"),
            control.status(),
        ):
            with pytest.raises(Unavailable):
                await asked
        report = await control.health()
        assert (report.database, report.event_bus, report.agent) == (True, True, None)
        assert control.uptime() == timedelta()


async def test_a_command_on_a_node_that_lost_the_lease_is_unavailable() -> None:
    place = Place()
    async with place.running() as parts:
        await place.lease.take(DEFAULT_AGENT)
        with pytest.raises(Unavailable, match="another node"):
            await parts.control.pause(duration=None, reason="", actor="operator")
    assert stored(place).status is S.RUNNING


async def test_the_status_counts_what_is_stored() -> None:
    place = Place()
    async with place.running() as parts:
        for number in (1, 2):
            trade = await begin(place, parts, another(number))
            await trade.ended.wait()
        place.clock.advance(timedelta(hours=1))
        status = await parts.control.status()
        assert status.counts.orders_executed == 2
        assert status.uptime == timedelta(hours=1)
        assert status.current_cycle is None
        assert [r.strategy.external_id for r in status.strategies] == ["sma"]
        with pytest.raises(NotFound):
            await parts.control.cycle(CycleId(derived("nothing")))
