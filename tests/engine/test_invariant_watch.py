"""The watch over the invariants: when it asks, what it tells, and when the agent must stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from typing_extensions import override

from tests.engine.place import PATIENCE, SETTINGS, Place
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.engine import invariant_watch
from tradesaga.engine.assembly import Parts
from tradesaga.engine.invariant_watch import HEARTBEATS_PER_RUN, InvariantWatch
from tradesaga.ports.journal import Change
from tradesaga.ports.records import Circumstances, Invariant, LogMark
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.records import MemoryRecords

MARK = LogMark(seq=7, hash=b"x")


@dataclass
class Planted:
    """Stands for the records: answers what the test wants, and keeps what it was asked."""

    broken: dict[str, int] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    error: Exception | None = None
    held: asyncio.Event | None = None
    asked: list[tuple[Circumstances, LogMark | None]] = field(default_factory=list)

    def into(self, place: Place) -> None:
        planted = self

        class Records(MemoryRecords):
            @override
            async def recheck(
                self,
                agent_id: AgentId,
                given: Circumstances,
                *,
                mark: LogMark | None,
                time_max: timedelta,
            ) -> tuple[Sequence[Invariant], LogMark | None]:
                return await planted.answer(given, mark)

        place.records = Records(place.store)

    async def answer(
        self, given: Circumstances, mark: LogMark | None
    ) -> tuple[Sequence[Invariant], LogMark | None]:
        self.asked.append((given, mark))
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        names = {"I4_positions", "I9_alerts", *self.broken}
        found = [
            Invariant(
                name=name,
                description="it holds",
                violations=0 if name in self.skipped else self.broken.get(name, 0),
                sample=[{"symbol": "ACME"}],
                remedy="look",
                skipped="late" if name in self.skipped else "",
            )
            for name in sorted(names)
        ]
        return found, MARK


@pytest.fixture
def planted() -> Planted:
    return Planted()


@pytest.fixture
def place(planted: Planted) -> Place:
    place = Place()
    planted.into(place)
    return place


def beat(watch: InvariantWatch, times: int = HEARTBEATS_PER_RUN) -> list[str]:
    return [said for _ in range(times) if (said := watch.beat())]


def alerts(place: Place) -> list[object]:
    log = place.store.log_of(SETTINGS.agent_id)
    return [line.entry.body["invariant"] for line in log if line.entry.kind == "alert"]


def status(parts: Parts) -> AgentStatus:
    return parts.recovery.state.agent.status


async def test_all_well_is_reported_and_nothing_written(place: Place, planted: Planted) -> None:
    async with place.running() as parts:
        assert (await parts.control.invariants()).checked_at is None
        written = len(place.kinds())
        report = await parts.watch.run_once()
        assert report is await parts.control.invariants()
        assert (report.checked_at, report.broken) == (place.clock.now(), [])
        assert len(place.kinds()) == written
        assert ("invariants_broken", 0) in place.metrics.seen
        await parts.watch.run_once()
        assert [mark for _, mark in planted.asked] == [None, MARK]


async def test_what_it_tells_the_check(place: Place, planted: Planted) -> None:
    async with place.running() as parts:
        await parts.watch.run_once()
    given, _ = planted.asked[0]
    limits = SETTINGS.limits[parts.recovery.state.agent.mode]
    assert (given.orders_per_minute, given.orders_per_day) == (
        limits.orders_per_minute, limits.orders_per_day,
    )  # fmt: skip
    assert given.sessions
    assert (given.now, given.pace) == (place.clock.now(), 1.0)
    assert given.patience == place.policy.cancel_time_max


async def test_a_broken_money_invariant_stops_the_agent(place: Place, planted: Planted) -> None:
    planted.broken = {"I4_positions": 1}
    async with place.running() as parts:
        report = await parts.watch.run_once()
        assert [one.name for one in report.broken] == ["I4_positions"]
        assert alerts(place) == ["I4_positions"]
        assert place.kinds()[-2:] == ["alert", "agent.failed"]
        assert status(parts) is AgentStatus.ERROR
        assert parts.recovery.state.agent.last_error == "broken: I4_positions"
        assert parts.recovery.state.refusal_to_send() == "agent is error"
        assert ("invariants_broken", 1) in place.metrics.seen
        assert ("error_occurred", "invariant_broken") in place.metrics.seen


async def test_any_other_is_an_alert(place: Place, planted: Planted) -> None:
    planted.broken = {"I9_alerts": 3}
    async with place.running() as parts:
        await parts.watch.run_once()
        assert alerts(place) == ["I9_alerts"]
        assert status(parts) is AgentStatus.RUNNING


async def test_what_is_known_is_told_again_only_when_it_grows(
    place: Place, planted: Planted
) -> None:
    planted.broken = {"I4_positions": 1}
    async with place.running() as parts:
        await parts.watch.run_once()
        await parts.control.start(strategies=None, mode=None, actor="operator")
        planted.skipped = {"I4_positions"}  # not checked this time: not mended either
        await parts.watch.run_once()
        planted.skipped.clear()
        await parts.watch.run_once()
        assert (len(alerts(place)), status(parts)) == (1, AgentStatus.RUNNING)
        planted.broken = {"I4_positions": 2}
        await parts.watch.run_once()
        assert (len(alerts(place)), status(parts)) == (2, AgentStatus.ERROR)
        planted.broken = {}
        await parts.watch.run_once()
        planted.broken = {"I4_positions": 1}
        await parts.watch.run_once()
        assert len(alerts(place)) == 3


async def test_a_database_that_is_away_makes_a_skipped_run(place: Place, planted: Planted) -> None:
    planted.error = Unavailable("restarting")
    async with place.running() as parts:
        report = await parts.watch.run_once()
        assert report.checked_at is None
        planted.error = None
        assert (await parts.watch.run_once()).runs_skipped == 1


async def test_a_check_that_does_not_end_is_given_up(
    place: Place, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariant_watch, "REAL_SECONDS_MAX", 0.01)
    planted.held = asyncio.Event()
    async with place.running() as parts:
        await parts.watch.run_once()
        planted.held.set()
        assert (await parts.watch.run_once()).runs_skipped == 1


async def test_an_alarm_that_cannot_be_written_is_raised_by_the_next_run(
    place: Place, planted: Planted
) -> None:
    planted.broken = {"I4_positions": 1}
    journal = MemoryJournal(place.store)

    def refused(change: Change) -> Exception | None:
        is_alert = any(entry.kind == "alert" for entry in change.entries)
        return Unavailable("full") if is_alert else None

    async with place.running(journal) as parts:
        journal.refuse_next = refused
        await parts.watch.run_once()
        assert status(parts) is AgentStatus.RUNNING
        journal.refuse_next = lambda _: None
        await parts.watch.run_once()
        assert (alerts(place), status(parts)) == (["I4_positions"], AgentStatus.ERROR)


async def test_every_tenth_heartbeat_asks_and_none_waits(place: Place, planted: Planted) -> None:
    planted.held = asyncio.Event()
    async with place.running() as parts, asyncio.TaskGroup() as group:
        watch = parts.watch
        loop = group.create_task(watch.run())
        assert beat(watch, HEARTBEATS_PER_RUN - 1) == []
        await asyncio.sleep(0)
        assert planted.asked == []
        assert beat(watch, 1) == []
        await _until(lambda: len(planted.asked) == 1)
        assert beat(watch) == ["invariants not checked: the check before still runs"]
        planted.held.set()
        await _until(lambda: watch.last.checked_at is not None)
        assert beat(watch) == []  # too soon in real time: counted
        place.clock.advance(timedelta(minutes=5))
        assert beat(watch) == []
        await _until(lambda: len(planted.asked) == 2)
        await _until(lambda: watch.last.runs_skipped == 2)
        loop.cancel()


class Fast:
    """A clock that goes sixty times as fast as real time."""

    def __init__(self, place: Place) -> None:
        self.now, self.sleep_until = place.clock.now, place.clock.sleep_until
        self._place = place

    def monotonic(self) -> float:
        return self._place.clock.monotonic() / 60


async def test_the_pace_of_the_clock_is_measured(place: Place, planted: Planted) -> None:
    async with place.running() as parts:
        watch = parts.watch
        watch.clock = Fast(place)
        watch.beat()
        place.clock.advance(timedelta(minutes=10))
        await watch.run_once()
        assert planted.asked[0][0].pace == pytest.approx(60)


async def test_the_heartbeat_says_what_was_skipped(place: Place, planted: Planted) -> None:
    async with place.running() as parts:
        parts.watch._running = True
        parts.watch._beats = HEARTBEATS_PER_RUN - 1
        task = asyncio.create_task(parts.scheduler.run_heartbeats())
        await _until(lambda: any("still runs" in log.message for _, log in place.store.logs))
        task.cancel()
        await asyncio.wait([task])


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- as it says
            await asyncio.sleep(0.001)
