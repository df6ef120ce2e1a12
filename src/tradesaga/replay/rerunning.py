"""A recorded life once more: the same engine, told what it was told then, at the same moments.

The store begins with what the life found: agent, strategies, positions, open trades, and the events
of former lives that came again. Time runs from the first line to the last and jumps where nothing
was recorded for `SILENCE_MAX` (the heartbeat speaks more often than that); it passes as fast
against virtual time as it did against real time. What persons ordered is ordered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from typing_extensions import override

from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.adapters.memory.clock import SharedClock
from tradesaga.adapters.memory.journal import MemoryJournal, MemoryStore
from tradesaga.adapters.memory.lease import MemoryLease
from tradesaga.adapters.memory.metrics import CountingMetrics
from tradesaga.adapters.memory.records import MemoryOutbox, MemoryRecords
from tradesaga.adapters.virtual_time import VirtualLoop
from tradesaga.domain.agent import Agent
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.market import Calendar
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World
from tradesaga.ports.clock import OtherClock
from tradesaga.ports.records import Circumstances, Invariant, LogMark, Submission
from tradesaga.ports.services import Capabilities
from tradesaga.replay.answers import (
    Answers,
    RecordedClock,
    RecordedDecisions,
    RecordedMarketData,
    RecordedVenue,
)
from tradesaga.replay.bus import ReplayBus
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.commanding import Commands
from tradesaga.replay.divergence import ABSENT, Rerun, differences, name_of
from tradesaga.replay.identities import RecordedIds
from tradesaga.replay.marks import RecordedMarks
from tradesaga.replay.messages import Messages
from tradesaga.replay.past import lay_down
from tradesaga.replay.playing import run_on
from tradesaga.replay.reels import Reel, known_before
from tradesaga.replay.tape import Beginning, Held, Line
from tradesaga.replay.timeline import Timeline

SILENCE_MAX = timedelta(minutes=5)
CUT_OFF = timedelta(seconds=1)
"""Of real time before the last line: what was under way then may not have come to be written."""
AFTERMATH = timedelta(seconds=1)
"""Of market time after the last line: what follows from it may still be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A recorded life, and what the engine is told as it is configured now."""

    beginning: Beginning
    lines: Sequence[Line]
    settings: EngineSettings
    policy: Policy
    capabilities: Capabilities
    calendar: Calendar


def rerun(life: Life) -> Rerun:
    """Play it and compare. Raises Invalid for a life that cannot be played."""
    if life.beginning.open_trades and life.beginning.rows is None:
        raise Invalid(
            [f"the recording began with {life.beginning.open_trades} open sagas, and its version "
             "did not note them; record again with this one"]
        )  # fmt: skip
    loop = VirtualLoop()
    return run_on(loop, _Rerun(life, loop).run())


def edges_of(lines: Sequence[Line]) -> list[tuple[datetime, datetime]]:
    """The stretches of market time in which something was recorded."""
    edges = [(lines[0].at, lines[0].at)]
    for line in lines:
        begin, end = edges[-1]
        if line.at - end > SILENCE_MAX:
            edges.append((line.at, line.until or line.at))
        else:
            edges[-1] = begin, max(end, line.until or line.at)
    begin, end = edges[-1]
    return [*edges[:-1], (begin, end + AFTERMATH)]


def pace_of(lines: Sequence[Line], edges: Sequence[tuple[datetime, datetime]]) -> float:
    """How fast market time ran against real time, at least as fast as that."""
    played = sum((end - begin for begin, end in edges), timedelta()).total_seconds()
    real = lines[-1].monotonic - lines[0].monotonic
    return max(1.0, played / real) if real > 0 else 1.0


class BegunRecords(MemoryRecords):
    """Readers of a store whose past is known only in sums."""

    def __init__(self, store: MemoryStore, beginning: Beginning) -> None:
        super().__init__(store)
        self._beginning = beginning
        orders = (row for row in store.rows.values() if isinstance(row, Order))
        self._loaded = {(order.created_at, order.symbol, order.strategy_id) for order in orders}

    @override
    async def attributed(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """As the port, with what was held at the beginning."""
        return _with(await super().attributed(agent_id), self._beginning.attributed)

    @override
    async def imagined_positions(
        self, agent_id: AgentId
    ) -> Mapping[tuple[StrategyId | None, str], Decimal]:
        """As the port, with what shadows would have held at the beginning."""
        return _with(await super().imagined_positions(agent_id), self._beginning.imagined)

    @override
    async def recheck(
        self,
        agent_id: AgentId,
        given: Circumstances,
        *,
        mark: LogMark | None,
        time_max: timedelta,
    ) -> tuple[Sequence[Invariant], LogMark | None]:
        """Nothing: sums cannot be held against fills that are not here."""
        return [], mark

    @override
    async def submissions_since(self, agent_id: AgentId, since: datetime) -> Sequence[Submission]:
        """As the port, with those before the beginning."""
        before = [
            one
            for one in self._beginning.ordered
            if one.at >= since and (one.at, one.symbol, one.strategy_id) not in self._loaded
        ]
        return [*before, *await super().submissions_since(agent_id, since)]


def _with(
    sums: Mapping[tuple[StrategyId | None, str], Decimal], before: Sequence[Held]
) -> Mapping[tuple[StrategyId | None, str], Decimal]:
    both = dict(sums)
    for held in before:
        key = held.strategy_id, held.symbol
        both[key] = both.get(key, ZERO) + held.quantity
    return both


class _Rerun:
    """The parts of one life."""

    def __init__(self, life: Life, loop: VirtualLoop) -> None:
        self._life = life
        edges = edges_of(life.lines)
        self._pace = pace_of(life.lines, edges)
        self._clock = PlayedClock(loop, Timeline(edges, pace=self._pace))
        self._store = _store_of(life)
        self._past: Sequence[Order] = self._store.of(Order, life.settings.agent_id)
        self._judged = {one.id for one in self._store.of(Decision, life.settings.agent_id)}
        self._records = BegunRecords(self._store, life.beginning)
        self._answers = Answers(
            self._clock, Reel(_of(life, "call"), lambda line: (line.name, line.key))
        )
        self._messages = Messages(self._clock, life.lines)
        self._bus = ReplayBus(self._clock, listens=lambda _: True, hear=self._messages.hear)
        self._control: asyncio.Future[AgentControl] = loop.create_future()
        self._commands = Commands(self._clock, life.lines)

    async def run(self) -> Rerun:
        """From the first line to the last."""
        stop = asyncio.Event()
        orchestrator = Orchestrator(
            world=self._world(),
            settings=self._life.settings,
            policy=self._life.policy,
            strategies=[known.strategy() for known in self._life.beginning.configured],
            on_control=self._control.set_result,
        )
        self._messages.plan(self._bus)
        async with asyncio.TaskGroup() as group:
            group.create_task(orchestrator.run(stop))
            ordering = group.create_task(self._commands.run(await self._control))
            await self._clock.until_end()
            ordering.cancel()  # one that was under way at the end of the life has no answer
            stop.set()
        return self._compared()

    def _compared(self) -> Rerun:
        agent_id = self._life.settings.agent_id
        decisions = [d for d in self._store.of(Decision, agent_id) if d.id not in self._judged]
        orders: list[Order] = self._store.of(Order, agent_id)
        found = differences(self._life.lines, decisions, orders, past=self._past)
        late = self._made_at_the_end(decisions, orders)
        cut_off = [one.what for one in found if one.recorded == ABSENT and one.what in late]
        return Rerun(
            decisions=len(decisions),
            orders=len(orders) - len(self._past),
            divergences=[
                *self._commands.divergences,
                *(one for one in found if one.what not in cut_off),
            ],
            unanswered=self._answers.missing,
            cut_off=cut_off,
        )

    def _made_at_the_end(
        self, decisions: Sequence[Decision], orders: Sequence[Order]
    ) -> frozenset[str]:
        """What was made so late that the life may have ended before it could be written."""
        since = self._life.lines[-1].at - self._pace * CUT_OFF
        made: list[Decision | Order] = [*decisions, *orders]
        return frozenset(name_of(one) for one in made if one.created_at >= since)

    def _world(self) -> World:
        gate = SendGate()
        return World(
            journal=MemoryJournal(self._store),
            records=self._records,
            outbox=MemoryOutbox(self._store),
            lease=MemoryLease(self._store),
            bus=self._bus,
            clock=self._clock,
            ids=RecordedIds(self._clock, self._life.lines),
            metrics=CountingMetrics(),
            venue=RecordedVenue(self._answers, self._life.capabilities, self._messages.sent),
            market_data=RecordedMarketData(self._answers),
            decisions=RecordedDecisions(self._answers),
            calendar=self._life.calendar,
            archive=MemoryArchive(),
            gate=gate,
            marks=RecordedMarks(self._clock, gate.mark, self._life.lines),
            database_clock=self._other_clock("database", 0),
            venue_clock=self._other_clock("venue", 1),
        )

    def _other_clock(self, name: str, place: int) -> OtherClock | None:
        has = self._life.beginning.has_clocks
        if has is None:
            return SharedClock()
        return RecordedClock(self._answers, name) if has[place] else None


def _store_of(life: Life) -> MemoryStore:
    """The store as the life found it."""
    store, beginning, agent_id = MemoryStore(), life.beginning, life.settings.agent_id
    if beginning.agent is not None:
        store.rows[Agent, beginning.agent.id] = beginning.agent
    for known in beginning.strategies:
        strategy = known.strategy()
        store.rows[Strategy, strategy.id] = strategy
    for sums in beginning.positions:
        store.positions[agent_id, sums.symbol] = sums
    lay_down(beginning.rows or (), store, agent_id)
    store.unique.update(("inbox", agent_id, key) for key in known_before(life.lines))
    return store


def _of(life: Life, kind: str) -> list[Line]:
    return [line for line in life.lines if line.kind == kind]
