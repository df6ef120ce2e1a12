"""Bus, database and lease: when what carries the agent is too bad to enter anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from tests.engine.place import SETTINGS, Place
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ladder import Cause, Rung
from tradesaga.engine.assembly import Parts
from tradesaga.engine.settings import Tolerances
from tradesaga.engine.vital_signs import SLOW_LOOKS
from tradesaga.ports.journal import Change, Entry
from tradesaga.testing.journal import MemoryJournal

SECOND = timedelta(seconds=1)
BARS = Tolerances()
SLOW = BARS.commit_time_slow + timedelta(milliseconds=1)


class SlowJournal(MemoryJournal):
    """Takes `takes` of the clock's time for a commit; holds all of them while `held`."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.store)
        self.place = place
        self.takes = timedelta(0)
        self.free = asyncio.Event()
        self.free.set()

    @override
    async def commit(self, change: Change) -> int:
        await self.free.wait()
        self.place.clock.advance(self.takes)
        return await super().commit(change)


def standing(parts: Parts) -> list[Cause]:
    return [reason.cause for reason in parts.ladder.ladder.reasons]


async def commit(parts: Parts) -> None:
    await parts.recovery.state._scribe.fact((), [Entry(kind="n", subject="n", actor="n", body={})])


async def test_a_bus_that_is_away_for_long_forbids_entries_and_two_heartbeats_end_it() -> None:
    place = Place()
    async with place.running() as parts:
        vitals = parts.watchers.vitals
        place.bus.connected = False
        vitals.look()
        place.clock.advance(BARS.bus_lost_max - SECOND)
        vitals.look()
        assert standing(parts) == []
        place.clock.advance(SECOND)
        vitals.look()
        assert standing(parts) == [Cause.EVENT_BUS_DOWN]
        assert parts.ladder.rung() is Rung.NO_ENTRIES
        place.bus.connected = True
        for _ in range(5):
            vitals.look()
        assert standing(parts) == [Cause.EVENT_BUS_DOWN], "only heartbeats end it"
        vitals.check()
        assert standing(parts) == [Cause.EVENT_BUS_DOWN]
        vitals.check()
        await parts.ladder.write()
        assert standing(parts) == []


async def test_a_short_loss_is_none() -> None:
    place = Place()
    async with place.running() as parts:
        for _ in range(4):
            place.bus.connected = False
            parts.watchers.vitals.look()
            place.clock.advance(BARS.bus_lost_max - SECOND)
            parts.watchers.vitals.look()
            place.bus.connected = True
            parts.watchers.vitals.look()
        assert standing(parts) == []


async def test_a_bus_that_takes_nothing_is_down_though_it_is_connected() -> None:
    class Deaf:
        stuck: float | None = None

    place = Place()
    async with place.running() as parts:
        deaf, vitals = Deaf(), parts.watchers.vitals
        vitals._stuck_since = lambda: deaf.stuck
        deaf.stuck = place.clock.monotonic()
        vitals.look()
        assert standing(parts) == []
        place.clock.advance(BARS.bus_lost_max)
        vitals.look()
        assert standing(parts) == [Cause.EVENT_BUS_DOWN]


async def test_the_relay_tells_since_when_it_gets_nothing_out() -> None:
    place = Place()
    async with place.running() as parts:
        place.bus.connected = False
        for _ in range(3):
            place.clock.advance(SECOND)
            with pytest.raises(Unavailable):
                await parts.relay.run_once()
        assert parts.relay.stuck_since == 1.0
        place.bus.connected = True
        await parts.relay.run_once()
        assert parts.relay.stuck_since is None


async def test_a_commit_that_waits_too_long_forbids_entries_at_once() -> None:
    place = Place()
    journal = SlowJournal(place)
    async with place.running(journal) as parts, asyncio.TaskGroup() as group:
        vitals = parts.watchers.vitals
        journal.free.clear()
        group.create_task(commit(parts))
        await asyncio.sleep(0)
        place.clock.advance(BARS.commit_time_max - timedelta(milliseconds=1))
        vitals.look()
        assert standing(parts) == []
        place.clock.advance(timedelta(milliseconds=1))
        vitals.look()
        assert standing(parts) == [Cause.DATABASE_SLOW]
        journal.free.set()


@pytest.mark.parametrize(("takes", "is_slow"), [(BARS.commit_time_slow, False), (SLOW, True)])
async def test_several_looks_with_slow_commits_alone(takes: timedelta, is_slow: bool) -> None:
    place = Place()
    journal = SlowJournal(place)
    async with place.running(journal) as parts:
        vitals = parts.watchers.vitals
        vitals.look()
        journal.takes = takes
        for _ in range(SLOW_LOOKS - 1):
            await commit(parts)
            await commit(parts)
            vitals.look()
            vitals.look()  # one without commits counts neither way
        assert standing(parts) == []
        await commit(parts)
        vitals.look()
        assert standing(parts) == ([Cause.DATABASE_SLOW] if is_slow else [])


async def test_one_quick_commit_among_slow_ones_shows_that_the_database_is_well() -> None:
    place = Place()
    journal = SlowJournal(place)
    async with place.running(journal) as parts:
        for _ in range(3 * SLOW_LOOKS):
            journal.takes = SLOW
            await commit(parts)
            journal.takes = timedelta(0)
            await commit(parts)
            parts.watchers.vitals.look()
        assert standing(parts) == []


async def test_a_slow_database_is_well_again_after_two_heartbeats_that_saw_a_quick_commit() -> None:
    place = Place()
    journal = SlowJournal(place)
    async with place.running(journal) as parts:
        vitals = parts.watchers.vitals
        vitals.look()
        journal.takes = SLOW
        for _ in range(SLOW_LOOKS):
            await commit(parts)
            vitals.look()
        await parts.ladder.write()
        vitals.check()
        journal.takes = timedelta(0)
        for _ in range(3):
            vitals.check()
        assert standing(parts) == [Cause.DATABASE_SLOW], "no commit, no news"
        for _ in range(2):
            assert standing(parts) == [Cause.DATABASE_SLOW]
            await commit(parts)
            vitals.check()
        await parts.ladder.write()
        assert standing(parts) == []


async def test_the_bars_are_settings() -> None:
    bars = replace(BARS, bus_lost_max=SECOND)
    place = Place(settings=replace(SETTINGS, tolerances=bars))
    async with place.running() as parts:
        place.bus.connected = False
        parts.watchers.vitals.look()
        place.clock.advance(SECOND)
        parts.watchers.vitals.look()
        assert standing(parts) == [Cause.EVENT_BUS_DOWN]


async def test_a_lease_without_time_to_send_forbids_entries() -> None:
    place = Place()
    async with place.running() as parts:
        parts.watchers.vitals.look()
        assert standing(parts) == []
        held, parts.leadership._held = parts.leadership._held, None
        parts.watchers.vitals.look()
        assert standing(parts) == [Cause.LEASE_STALL]
        parts.leadership._held = held
        parts.watchers.vitals.check()
        parts.watchers.vitals.check()
        await parts.ladder.write()
        assert standing(parts) == []


async def test_a_stall_that_is_over_in_time_is_none_where_many_share_a_process() -> None:
    bars = replace(BARS, lease_stall_max=2 * SECOND)
    place = Place(settings=replace(SETTINGS, tolerances=bars))
    async with place.running() as parts:
        held = parts.leadership._held
        for seconds, entered in ((1, []), (2, [Cause.LEASE_STALL])):
            parts.leadership._held = held
            parts.watchers.vitals.look()
            parts.leadership._held = None
            parts.watchers.vitals.look()
            place.clock.advance(seconds * SECOND)
            parts.watchers.vitals.look()
            assert standing(parts) == entered
