"""One replay: the engine, its neighbours, a journal in memory, all on one virtual loop.

    timeline ──► clock ──► engine ◄── bus ◄── neighbours ◄── recording
                             └──► journal in memory ──► the log, its hash

The engine is the one that `tradesaga serve` runs, as configured there. The same script gives the
same log, byte for byte, in every process. Nothing is read from the host while it plays, not even
the time. When the recording is over, open orders are cancelled and what is under way may end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.adapters.memory.clock import SharedClock
from tradesaga.adapters.memory.journal import MemoryJournal, MemoryStore
from tradesaga.adapters.memory.lease import MemoryLease
from tradesaga.adapters.memory.metrics import CountingMetrics
from tradesaga.adapters.memory.records import MemoryOutbox, MemoryRecords
from tradesaga.adapters.virtual_time import VirtualLoop
from tradesaga.domain.market import Calendar
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World
from tradesaga.paper.recordings import Span
from tradesaga.ports.records import Invariant, StrategyRecord
from tradesaga.ports.services import Capabilities
from tradesaga.replay.bus import ReplayBus
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.identities import SeededIds
from tradesaga.replay.neighbours import Market, Neighbours, ReplayDecisions
from tradesaga.replay.timeline import Timeline

T = TypeVar("T")
PACE = 600.0
"""Market seconds in a virtual one; see `replay/timeline.py`."""
SETTLE_SECONDS_MAX = 15.0
"""Virtual time for what is under way at the end."""
LOOK_EVERY_SECONDS = 0.1
TOLD_EVERY = timedelta(minutes=10)
ACTOR = "operator"

Progress = Callable[[PlayedClock], object]
"""Told of the clock now and then, in the order of market time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Everything that a replay depends on; two equal ones play alike.

    `spans` are those of the recording that are played; what was recorded before them is known.
    `listens` says which events of the neighbours the configuration subscribes to.
    """

    market: Market
    spans: Sequence[Span]
    seed: int
    settings: EngineSettings
    policy: Policy
    capabilities: Capabilities
    strategies: Sequence[Strategy]
    calendar: Calendar
    listens: Callable[[str], bool]


@dataclass(slots=True)
class Run:
    """What a replay leaves behind."""

    script: Script
    store: MemoryStore = field(default_factory=MemoryStore)
    metrics: CountingMetrics = field(default_factory=CountingMetrics)
    unsettled: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind were still under way at the end."""
    invariants: Sequence[Invariant] = ()
    strategies: Sequence[StrategyRecord] = ()

    @property
    def records(self) -> MemoryRecords:
        """Readers of what was written."""
        return MemoryRecords(self.store)


def play(script: Script, progress: Progress = lambda _: None) -> Run:
    """Play it to its end; what came of it.

    Raises:
        Deadlock: everybody waits for somebody else.
        ExceptionGroup: a part of the engine failed.
    """
    loop = VirtualLoop()
    return run_on(loop, _Replay(script, loop, progress).run())


def run_on(loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on a loop of its own, which is closed then."""
    try:
        playing = loop.create_task(work)
        try:
            return loop.run_until_complete(playing)
        except BaseException:  # an interrupt leaves it pending
            playing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                loop.run_until_complete(playing)
            raise
    finally:
        loop.close()


class _Replay:
    """The parts of one replay."""

    def __init__(self, script: Script, loop: VirtualLoop, progress: Progress) -> None:
        self._script = script
        self._progress = progress
        self._outcome = Run(script)
        self._clock = PlayedClock(loop, Timeline.of_spans(script.spans, pace=PACE))
        self._neighbours = Neighbours(script.market, script.capabilities, self._clock)
        self._bus = ReplayBus(self._clock, listens=script.listens, hear=self._neighbours.hear)
        self._control: asyncio.Future[AgentControl] = loop.create_future()

    async def run(self) -> Run:
        """From the first minute to the last, and until all is at rest."""
        stop = asyncio.Event()
        orchestrator = Orchestrator(
            world=self._world(),
            settings=self._script.settings,
            policy=self._script.policy,
            strategies=self._script.strategies,
            on_control=self._control.set_result,
        )
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._neighbours.outbox.run(self._bus.send))
                group.create_task(self._live(orchestrator, stop))
                await self._played()
                stop.set()
                sending.cancel()
        finally:
            self._neighbours.close()
        return self._outcome

    async def _live(self, orchestrator: Orchestrator, stop: asyncio.Event) -> None:
        await orchestrator.run(stop)

    async def _played(self) -> None:
        control = await self._control
        await control.ready.wait()
        self._neighbours.announce()
        self._tell()
        await control.start(strategies=None, mode=None, actor=ACTOR)
        await self._clock.until_end()
        self._neighbours.venue.end_of_recording()
        await self._sum_up()
        self._progress(self._clock)

    async def _sum_up(self) -> None:
        outcome, agent_id = self._outcome, self._script.settings.agent_id
        outcome.unsettled = await self._settled()
        outcome.invariants = await outcome.records.invariants(agent_id)
        outcome.strategies = await outcome.records.strategies(agent_id)

    def _tell(self) -> None:
        self._progress(self._clock)
        self._clock.call_at(self._clock.now() + TOLD_EVERY, self._tell)

    async def _settled(self) -> Mapping[str, int]:
        """Wait until nothing is under way, for a bounded time; what is left."""
        looks = int(SETTLE_SECONDS_MAX / LOOK_EVERY_SECONDS)
        for _ in range(looks):
            await asyncio.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 -- virtual time
            if not any((left := await self._under_way()).values()):
                return left
        return await self._under_way()

    async def _under_way(self) -> Mapping[str, int]:
        records, agent_id = self._outcome.records, self._script.settings.agent_id
        waiting = await MemoryOutbox(self._outcome.store).backlog(agent_id)
        return {
            "cycles": len(await records.unfinished_cycles(agent_id)),
            "sagas": len(await records.open_trades(agent_id)),
            "messages": waiting + self._neighbours.outbox.depth + self._bus.unsettled,
        }

    def _world(self) -> World:
        store = self._outcome.store
        return World(
            journal=MemoryJournal(store),
            records=self._outcome.records,
            outbox=MemoryOutbox(store),
            archive=MemoryArchive(),
            lease=MemoryLease(store),
            bus=self._bus,
            clock=self._clock,
            ids=SeededIds(self._clock, self._script.seed),
            metrics=self._outcome.metrics,
            venue=self._neighbours.venue,
            market_data=self._neighbours.market_data,
            decisions=ReplayDecisions(),
            calendar=self._script.calendar,
            database_clock=SharedClock(),
            venue_clock=SharedClock(),
        )
