"""A recorded life once more: the same engine, told what it was told then, at the same moments.

The store begins with what the life found: agent, strategies, positions, open trades, and the events
of former lives that came again. From there on all that comes from outside comes in the order of the
tape (`replay/telling.py`), and the clock is read as it was. A life that was asked to end is asked
again; one that was killed stands still where its tape does, and is compared there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from typing_extensions import override

from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.adapters.memory.journal import MemoryJournal, MemoryStore
from tradesaga.adapters.memory.lease import MemoryLease
from tradesaga.adapters.memory.metrics import CountingMetrics
from tradesaga.adapters.memory.records import MemoryOutbox, MemoryRecords
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
from tradesaga.ports.records import Circumstances, Invariant, LogMark, OutboxRow, Submission
from tradesaga.ports.services import Capabilities
from tradesaga.replay.answers import (
    Answers,
    RecordedClock,
    RecordedDecisions,
    RecordedMarketData,
    RecordedVenue,
)
from tradesaga.replay.commanding import Commands
from tradesaga.replay.divergence import Divergence, Rerun, differences
from tradesaga.replay.identities import RecordedIds
from tradesaga.replay.marks import RecordedMarks
from tradesaga.replay.messages import Messages
from tradesaga.replay.past import lay_down
from tradesaga.replay.playing import run_on
from tradesaga.replay.reels import known_before
from tradesaga.replay.tape import COMMAND, EVENT, MARK, STOP, Beginning, Held, Line
from tradesaga.replay.telling import Telling, ToldClock
from tradesaga.replay.told_bus import ToldBus
from tradesaga.replay.told_store import ToldJournal, ToldLease, told_calls, told_reader
from tradesaga.replay.turns import TurnLoop, inside


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
    if not life.beginning.turns:
        raise Invalid(
            ["the recording is of a version that did not note the order in which everything came; "
             f"replay it with that one ({life.beginning.version})"]
        )  # fmt: skip
    loop = TurnLoop()
    return run_on(loop, _Rerun(life, loop).run())


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


class BegunOutbox(MemoryOutbox):
    """The outbox of a store; what the life found unpublished comes first, numbered before it."""

    def __init__(self, store: MemoryStore, waiting: Sequence[OutboxRow]) -> None:
        super().__init__(store)
        self._left = [
            replace(row, sequence=number - len(waiting)) for number, row in enumerate(waiting)
        ]

    @override
    async def pending(self, agent_id: AgentId, *, limit: int) -> Sequence[OutboxRow]:
        """As the port."""
        new = await super().pending(agent_id, limit=limit)
        return [*self._left, *new][:limit]

    @override
    async def mark_published(
        self, agent_id: AgentId, *, sequence: int, stream_sequence: int, at: datetime
    ) -> None:
        """As the port."""
        self._left = [row for row in self._left if row.sequence > sequence]
        await super().mark_published(
            agent_id, sequence=max(0, sequence), stream_sequence=stream_sequence, at=at
        )


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

    def __init__(self, life: Life, loop: TurnLoop) -> None:
        self._life = life
        self._loop = loop
        self._clock = ToldClock(life.lines[0])
        self._telling = Telling(loop, life.lines, self._clock)
        self._store = _store_of(life)
        self._past: Sequence[Order] = self._store.of(Order, life.settings.agent_id)
        self._judged = {one.id for one in self._store.of(Decision, life.settings.agent_id)}
        self._records = BegunRecords(self._store, life.beginning)
        self._outbox = BegunOutbox(self._store, life.beginning.unpublished)
        self._journal = ToldJournal(MemoryJournal(self._store), self._telling)
        self._answers = Answers(self._telling, self._clock)
        self._messages = Messages(self._clock, life.lines)
        self._messages.bus = self._bus = ToldBus(self._telling, hear=self._messages.hear)
        self._gate = SendGate()
        self._marks = RecordedMarks(self._telling, self._gate.mark)
        self._commands = Commands(self._telling, life.lines)
        self._control: AgentControl | None = None
        self._failures: list[Divergence] = []

    async def run(self) -> Rerun:
        """From the first line to the last."""
        stop = asyncio.Event()
        orchestrator = Orchestrator(
            world=self._world(),
            settings=self._life.settings,
            policy=self._life.policy,
            strategies=[known.strategy() for known in self._life.beginning.configured],
            on_control=self._controlled,
        )
        async with asyncio.TaskGroup() as group:
            self._telling.begin(
                {
                    EVENT: self._messages.come,
                    MARK: self._marks.come,
                    STOP: lambda _: stop.set(),
                    COMMAND: lambda line: self._command(line, group),
                }
            )
            living = group.create_task(self._live(orchestrator, stop))
            await self._telling.ended
            found = self._compared()
            self._telling.release()
            living.cancel()
        return found

    async def _live(self, orchestrator: Orchestrator, stop: asyncio.Event) -> None:
        """Until it is over. An engine that fails before has gone another way than it went."""
        try:
            with inside(self._telling, "engine"):
                await orchestrator.run(stop)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is what is asked about
            if not self._telling.over:
                self._failures.append(_failed(error, self._clock.standing))
                self._telling.end()

    def _controlled(self, control: AgentControl) -> None:
        self._control = control

    def _command(self, line: Line, group: asyncio.TaskGroup) -> None:
        assert self._control is not None, "nobody commands an engine before it begins"
        self._commands.come(line, self._control, group)

    def _compared(self) -> Rerun:
        agent_id = self._life.settings.agent_id
        decisions = [d for d in self._store.of(Decision, agent_id) if d.id not in self._judged]
        orders: list[Order] = self._store.of(Order, agent_id)
        found = differences(self._life.lines, decisions, orders, past=self._past)
        being_written, last = self._journal.being_written(), self._journal.written_last()
        unsure = {*being_written, *last}
        return Rerun(
            decisions=len(decisions),
            orders=len(orders) - len(self._past),
            divergences=[
                *self._failures,
                *self._commands.divergences,
                *(one for one in found if one.what not in unsure),
            ],
            unanswered=self._answers.missing,
            cut_off=[*being_written, *(one.what for one in found if one.what in last)],
            astray=self._telling.astray,
        )

    def _world(self) -> World:
        telling, answers = self._telling, self._answers
        return World(
            journal=self._journal,
            records=told_reader("records", self._records, self._journal),
            outbox=told_reader("outbox", self._outbox, self._journal),
            lease=ToldLease(MemoryLease(self._store), self._journal),
            bus=self._bus,
            clock=self._clock,
            ids=RecordedIds(self._clock, self._life.lines),
            metrics=CountingMetrics(),
            venue=RecordedVenue(answers, self._life.capabilities, self._messages.sent),
            market_data=RecordedMarketData(answers),
            decisions=RecordedDecisions(answers),
            calendar=self._life.calendar,
            archive=told_calls("archive", MemoryArchive(), telling),
            gate=self._gate,
            marks=self._marks if self._life.beginning.has_marks else None,
            database_clock=self._other_clock("database", 0),
            venue_clock=self._other_clock("venue", 1),
        )

    def _other_clock(self, name: str, place: int) -> OtherClock | None:
        has = self._life.beginning.has_clocks[place]
        return RecordedClock(self._answers, name) if has else None


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
    lay_down(beginning.rows, store, agent_id)
    store.unique.update(("inbox", agent_id, key) for key in known_before(life.lines))
    return store


def _failed(error: Exception, at: datetime) -> Divergence:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    what = f"the engine at {at.isoformat()}"
    return Divergence(what=what, recorded="went on", replayed=f"{type(error).__name__}: {error}")
