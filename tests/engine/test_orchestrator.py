"""The whole orchestrator: it trades, dies at any commit, and goes on without a trace of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.limits import LIMITS
from tests.engine.deciding import DecidingBus
from tests.engine.place import (
    PATIENCE,
    SETTINGS,
    STRATEGY,
    Crash,
    CrashingJournal,
    Place,
)
from tradesaga.domain.agent import Agent, AgentStatus, Mode
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Fenced
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, Order
from tradesaga.domain.saga import ENDS, Saga
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.ports.bus import Published
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.services import Health
from tradesaga.testing.journal import MemoryJournal


@dataclass
class Life:
    """One process: the orchestrator, run until so many analyses have been completed.

    `during`: it is asked to end when the next one has begun after those, and asks still.
    """

    place: Place
    journal: MemoryJournal
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    during: bool = False

    async def run(self, analyses: int) -> None:
        assert isinstance(self.place.bus, DecidingBus)
        self.place.bus.restart()
        control: asyncio.Future[AgentControl] = asyncio.get_running_loop().create_future()
        orchestrator = Orchestrator(
            world=self.place.world(self.journal),
            settings=self.place.settings,
            policy=self.place.policy,
            strategies=[STRATEGY],
            on_control=control.set_result,
        )
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            running = group.create_task(orchestrator.run(self.stop))
            await self._operate(await control, running, analyses)
            self.stop.set()

    async def _operate(
        self, control: AgentControl, running: asyncio.Task[None], analyses: int
    ) -> None:
        await control.ready.wait()
        if agent(self.place).status is not AgentStatus.RUNNING:
            await control.start(strategies=None, mode=None, actor="operator")
        while not self._is_over(analyses) and not running.done():
            await self.place.clock.sleep_until(self.place.clock.now() + timedelta(seconds=1))

    def _is_over(self, analyses: int) -> bool:
        is_far = len(completed(self.place)) >= analyses
        return is_far and (not self.during or bool(started(self.place)))


def agent(place: Place) -> Agent:
    (found,) = place.store.of(Agent, DEFAULT_AGENT)
    assert isinstance(found, Agent)
    return found


def completed(place: Place) -> list[Cycle]:
    cycles = place.store.of(Cycle, DEFAULT_AGENT)
    ended = (c for c in cycles if c.status is CycleStatus.COMPLETED)
    return [cycle for cycle in ended if cycle.type is CycleType.ANALYSIS]


def started(place: Place) -> list[Cycle]:
    cycles = place.store.of(Cycle, DEFAULT_AGENT)
    return [cycle for cycle in cycles if cycle.status is CycleStatus.STARTED]


def new_place() -> Place:
    lenient = replace(LIMITS, clock_skew_max=timedelta(days=1))  # its quote never ages
    settings = replace(
        SETTINGS, heartbeat_interval=timedelta(minutes=10), limits=dict.fromkeys(Mode, lenient)
    )
    place = Place(settings=settings)
    place.bus = DecidingBus(place.clock)
    place.market_data.show("ACME", 100)
    place.market_data.known["ACME"] = replace(
        place.market_data.known["ACME"], at=place.clock.now() + timedelta(hours=6)
    )
    return place


async def check(place: Place) -> None:
    """Books and venue agree, nothing is open, everything committed is out, in order."""
    assert await place.broken() == []
    assert {saga.status for saga in place.store.of(Saga, DEFAULT_AGENT)} <= ENDS
    orders = place.store.of(Order, DEFAULT_AGENT)
    assert len(orders) == len(place.store.of(Saga, DEFAULT_AGENT))
    by_venue = {placed.order.client_order_id for placed in place.venue.orders.values()}
    assert len(place.venue.orders) == len(by_venue), "no order twice"
    assert by_venue <= {order.client_order_id for order in orders}
    filled = sum((placed.filled for placed in place.venue.orders.values()), Decimal(0))
    assert await place.position() == filled
    bought = [d for d in place.store.of(Decision, DEFAULT_AGENT) if d.external_id == "d-1"]
    assert len(bought) <= 1
    assert len(place.venue.orders) <= 1, "one buy was decided"
    assert await place.outbox.backlog(DEFAULT_AGENT) == 0
    seen: dict[str | None, int] = {}
    for row in place.bus.published:
        assert seen.get(row.correlation_id, 0) < row.sequence, "in order per thing"
        seen[row.correlation_id] = row.sequence
    assert started(place) == []


async def test_it_trades_from_the_question_to_the_position() -> None:
    place = new_place()
    await Life(place, MemoryJournal(place.store)).run(3)
    await check(place)
    assert await place.position() == Decimal(2)
    first = completed(place)[0]
    assert (first.decisions_generated, first.orders_submitted, first.orders_filled) == (1, 1, 1)
    assert place.lease.released == 1, "handed over"
    counts = await place.records.counts(DEFAULT_AGENT)
    assert counts.orders_executed == 1
    assert counts.cycles_completed >= 3


async def test_a_stop_in_a_cycle_publishes_what_it_says_last() -> None:
    place = new_place()
    assert isinstance(place.bus, DecidingBus)
    place.bus.decide = lambda *_: None  # the question stands until its time is up
    publish = place.bus.publish

    async def slow(row: OutboxRow) -> Published:
        await asyncio.sleep(0.001)  # a server is never as quick as the one of the tests
        return await publish(row)

    place.bus.publish = slow  # type: ignore[method-assign]
    await Life(place, MemoryJournal(place.store), during=True).run(1)
    cycles = place.store.of(Cycle, DEFAULT_AGENT)
    (under_way,) = (str(cycle.id) for cycle in cycles if cycle.status is CycleStatus.CANCELLED)
    said = [row.type for row in place.bus.published if row.correlation_id == under_way]
    assert said[0] == "orchestrator.cycle.started"
    assert said[-1] == "orchestrator.cycle.completed"


@pytest.mark.parametrize("durable", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_commit_leaves_no_trace(durable: bool) -> None:
    place = new_place()
    journal = MemoryJournal(place.store)
    await Life(place, journal).run(2)
    traded = 0
    for at in range(1, len(journal.changes) + 1):
        place = new_place()
        dying = CrashingJournal(place.store, at=at, durable=durable)
        with pytest.raises(BaseExceptionGroup) as caught:
            await Life(place, dying).run(2)
        assert caught.group_contains(Crash), at
        await Life(place, MemoryJournal(place.store)).run(len(completed(place)) + 2)
        await check(place)
        traded += bool(place.store.of(Fill, DEFAULT_AGENT))
    assert traded > 0, "some of them had something to lose"


async def test_a_lost_lease_ends_the_process_and_the_next_one_goes_on() -> None:
    place = new_place()
    life = Life(place, MemoryJournal(place.store))

    async def usurp() -> None:
        """Another process takes the lease once a cycle is done."""
        while not completed(place):
            await place.clock.sleep_until(place.clock.now() + timedelta(seconds=1))
        await place.lease.take(DEFAULT_AGENT)

    async def live() -> None:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(usurp())
            await life.run(5)

    with pytest.raises(BaseExceptionGroup) as caught:
        await live()
    assert caught.group_contains(Fenced)
    await Life(place, MemoryJournal(place.store)).run(len(completed(place)) + 1)
    await check(place)


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_start_that_is_not_done_in_time_is_an_error(is_late: bool) -> None:
    place = new_place()
    await Life(place, MemoryJournal(place.store)).run(1)
    assert agent(place).status is AgentStatus.RUNNING
    place.settings = replace(
        place.settings, start_time_max=timedelta(seconds=0.02 if is_late else 9)
    )
    answers, asked = asyncio.Event(), place.market_data.health

    async def health() -> Health:
        await answers.wait()
        return await asked()

    if is_late:
        place.market_data.health = health  # type: ignore[method-assign]  # a service that hangs
    assert isinstance(place.bus, DecidingBus)
    place.bus.restart()
    stop, control = asyncio.Event(), asyncio.get_running_loop().create_future()
    orchestrator = Orchestrator(
        world=place.world(), settings=place.settings, policy=place.policy,
        strategies=[STRATEGY], on_control=control.set_result,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(orchestrator.run(stop))
        ready = (await control).ready
        while is_late and agent(place).status is AgentStatus.RUNNING:  # noqa: ASYNC110 -- the store has no event
            await asyncio.sleep(0.001)
        answers.set()
        await ready.wait()
        stop.set()
    if not is_late:
        assert agent(place).status is AgentStatus.RUNNING
        return
    assert agent(place).status is AgentStatus.ERROR
    assert agent(place).last_error == "not ready 0.02 s after the lease was taken"
    assert place.kinds().count("alert") == 1
