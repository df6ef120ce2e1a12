"""The relay: what is committed gets out, in order per thing; only what is acknowledged is done."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from typing_extensions import override

from tests.domain.trades import START
from tests.engine.place import PATIENCE
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import Event
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.engine.outbox_relay import BATCH_MAX, OutboxRelay
from tradesaga.ports.bus import Published
from tradesaga.ports.journal import Change, Entry
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.bus import MemoryBus
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.journal import MemoryJournal, MemoryStore
from tradesaga.testing.records import MemoryOutbox


class FussyBus(MemoryBus):
    """Refuses the rows of the named things, and is slow with those of others."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.slow: set[str] = set()

    @override
    async def publish(self, row: OutboxRow) -> Published:
        for _ in range(20 if row.correlation_id in self.slow else 0):
            await asyncio.sleep(0)
        if row.correlation_id in self.refused:
            raise Unavailable("no acknowledgement")
        return await super().publish(row)


class Desk:
    """A store with events, a bus, and the relay between them."""

    def __init__(self) -> None:
        self.store, self.bus, self.wake = MemoryStore(), FussyBus(), asyncio.Event()
        self.journal, self.outbox = MemoryJournal(self.store), MemoryOutbox(self.store)
        self.clock = VirtualClock(START)
        self.relay = OutboxRelay(
            outbox=self.outbox,
            bus=self.bus,
            clock=self.clock,
            agent_id=DEFAULT_AGENT,
            wake=self.wake,
        )

    async def write(self, *things: str) -> None:
        """One event about each thing, in this order."""
        await self.journal.open(DEFAULT_AGENT, 1)
        entries = tuple(
            Entry(
                kind="test",
                subject=thing,
                actor="test",
                body={},
                event=Event(type="test.event", payload={}, correlation_id=thing),
            )
            for thing in things
        )
        now = self.clock.now()
        change = Change(agent_id=DEFAULT_AGENT, epoch=1, at=now, rows=(), entries=entries)
        await self.journal.commit(change)
        self.wake.set()

    @property
    def out(self) -> list[str | None]:
        return [row.correlation_id for row in self.bus.published]

    @property
    def marked(self) -> int:
        return self.store.published.get(DEFAULT_AGENT, 0)


async def test_everything_gets_out_once_and_is_marked() -> None:
    desk = Desk()
    await desk.write("a", "b", "a")
    assert await desk.relay.run_once() == 3
    assert sorted(map(str, desk.out)) == ["a", "a", "b"]
    assert desk.marked == 3
    assert await desk.relay.run_once() == 0
    assert desk.bus.attempts == 3


async def test_what_is_about_one_thing_keeps_its_order_though_others_are_faster() -> None:
    desk = Desk()
    desk.bus.slow = {"a"}
    await desk.write("a", "b", "a", "b", "a")
    await desk.relay.run_once()
    assert desk.out[:2] == ["b", "b"], "side by side"
    places = [row.sequence for row in desk.bus.published if row.correlation_id == "a"]
    assert places == [1, 3, 5]


async def test_a_failure_in_the_middle_marks_what_stands_before_it_alone() -> None:
    desk = Desk()
    desk.bus.refused = {"b"}
    await desk.write("a", "b", "a", "b")
    with pytest.raises(Unavailable, match="took 1 of 4"):
        await desk.relay.run_once()
    assert desk.marked == 1
    assert desk.out == ["a", "a"]
    desk.bus.refused = set()
    assert await desk.relay.run_once() == 3
    assert [r.sequence for r in desk.bus.published if r.correlation_id == "b"] == [2, 4]
    assert len(desk.bus.published) == 4, "published again under the same id"
    assert desk.marked == 4


async def test_without_an_acknowledgement_nothing_is_marked() -> None:
    desk = Desk()
    desk.bus.lose_acks = 1
    await desk.write("a")
    with pytest.raises(Unavailable):
        await desk.relay.run_once()
    assert (desk.marked, len(desk.bus.published)) == (0, 1)
    assert await desk.relay.run_once() == 1
    assert (desk.marked, len(desk.bus.published)) == (1, 1)


async def test_a_bus_that_is_away_keeps_everything_in_the_outbox() -> None:
    desk = Desk()
    desk.bus.connected = False
    await desk.write("a", "b")
    with pytest.raises(Unavailable):
        await desk.relay.run_once()
    assert await desk.outbox.backlog(DEFAULT_AGENT) == 2


async def test_the_lag_is_the_age_of_the_oldest_that_waits() -> None:
    desk = Desk()
    assert desk.relay.lag() == 0.0
    desk.bus.refused = {"b"}
    await desk.write("a")
    desk.clock.advance(timedelta(seconds=10))
    await desk.write("b")
    desk.clock.advance(timedelta(seconds=5))
    with pytest.raises(Unavailable):
        await desk.relay.run_once()
    assert desk.relay.lag() == 5.0, "a is out, and b was written five seconds ago"
    desk.clock.advance(timedelta(seconds=2))
    assert desk.relay.lag() == 7.0
    desk.bus.refused = set()
    await desk.relay.run_once()
    assert desk.relay.lag() == 0.0


async def test_a_batch_is_bounded() -> None:
    desk = Desk()
    await desk.write(*(str(n) for n in range(BATCH_MAX + 1)))
    assert await desk.relay.run_once() == BATCH_MAX
    assert await desk.relay.run_once() == 1


async def test_the_loop_is_woken_by_a_commit_and_outlives_an_outage() -> None:
    desk = Desk()
    async with asyncio.timeout(PATIENCE):
        task = asyncio.ensure_future(desk.relay.run())
        await desk.write("a")
        await desk.bus.until_published(1)
        desk.bus.refused = {"b"}
        await desk.write("b")
        desk.bus.refused = set()
        await desk.bus.until_published(2)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


async def test_a_question_that_nobody_waits_for_is_passed_by_and_holds_nothing_up() -> None:
    desk = Desk()
    desk.relay = OutboxRelay(
        outbox=desk.outbox,
        bus=desk.bus,
        clock=VirtualClock(START),
        agent_id=DEFAULT_AGENT,
        wake=desk.wake,
        wanted=lambda row: row.correlation_id != "late",
    )
    await desk.write("late", "a", "late")
    assert await desk.relay.run_once() == 3
    assert desk.out == ["a"]
    assert desk.marked == 3
    await desk.write("late")
    await desk.relay.run_once()
    assert desk.out == ["a"]
    assert desk.marked == 4
    assert await desk.relay.run_once() == 0


async def test_it_tells_when_all_that_was_committed_before_is_out() -> None:
    desk = Desk()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(desk.relay.run())
        await desk.relay.emptied()  # nothing to wait for
        desk.bus.slow = {"a", "b"}
        await desk.write("a", "b", "a")
        await desk.relay.emptied()
        assert desk.marked == 3
        desk.bus.refused = {"b"}
        await desk.write("b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await desk.relay.emptied()
        running.cancel()
