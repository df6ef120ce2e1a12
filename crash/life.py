"""One life of the orchestrator: the product's engine, journal, lease and readers, until quiet.

At the chosen seam the life kills itself (no `finally`, no flush), is asked to stop its agent, is
asked to end, or loses its database connection after the commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never

from typing_extensions import override

from crash.actions import Action
from crash.contest import ContestedJournal
from crash.market import START, FastClock
from crash.neighbours import LifeIds, SteadyMarket, WireBus, WireVenue
from crash.scenarios import Scenario
from crash.wire import Wire
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.domain.agent import Mode
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId, StrategyId, derived
from tradesaga.domain.ladder import EVERYWHERE
from tradesaga.domain.market import Calendar
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.risk import Limits
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import OpenableJournal, World
from tradesaga.testing.seams import (
    Seam,
    SeamedBus,
    SeamedConnection,
    SeamedJournal,
    SeamedLease,
    SeamedOutbox,
    SeamedRecords,
    SeamedVenue,
    Seams,
)

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
CLOSE_TIME_MAX = timedelta(seconds=1)
PAUSE, BEAT = timedelta(seconds=3), timedelta(seconds=30)
LEASE_TIME, LEASE_TIME_SHORT = timedelta(seconds=2), timedelta(milliseconds=800)
SEND_TIME_MAX = timedelta(milliseconds=50)
COMMANDS = (Action.STOP, Action.PAUSE, Action.HALT)
TELL = signal.SIGUSR1
"""A life that gets it says where its tasks wait."""
READERS_MAX = 2
"""Connections are what a short life spends most of its time on."""
PLENTY = Decimal(100)
LIMITS = Limits(
    order_notional_percent=PLENTY,
    position_percent=PLENTY,
    exposure_percent=PLENTY,
    positions_max=100,
    decision_age_max=2000 * SECOND,
    quote_age_max=2000 * SECOND,  # a stall of the machine counts a hundredfold
    price_drift_percent=Decimal(1),
    confidence_min=Decimal("0.6"),
    orders_per_minute=1000,
    orders_per_day=1000,
    active_orders_max=100,
    allow_short=False,
    entry_cutoff=15 * 60 * SECOND,
    buying_power_reserve_percent=Decimal(5),
    basket_percent=Decimal(100),
    price_collar_percent=Decimal(100),
    strategy_orders_per_minute=100,
    strategy_orders_per_day=10_000,
    entries_per_cycle=100,
    entries_per_hour=10_000,
    duplicate_window=timedelta(),
    reentry_delay=timedelta(),
    reentry_delay_after_stop=timedelta(),
    canary_percent=Decimal(100),
    repeats_max=10_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One life, as the zygote is told. `start` asks for the agent to be started.

    `pausing`: the agent is paused for a time, which a heartbeat ends.
    `replaced`: some life of it is frozen, so that the lease must run out in this schedule.
    """

    place: str
    number: int
    agent_id: AgentId
    scenario: Scenario
    dsn: str
    socket: Path
    anchor_ns: int
    start: bool
    pausing: bool = False
    replaced: bool = False
    action: Action = Action.KILL
    at: Seam | None = None
    mutant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a life ended: at its planned kill, or with the seams that it passed, or by `error`.

    `frozen`: it has not ended, it stands still at its planned seam.
    """

    killed: bool = False
    frozen: bool = False
    passed: tuple[Seam, ...] = ()
    error: str = ""
    hung: bool = False


@dataclass(slots=True)
class Trouble:
    """What a life does to itself: `cut` asks for the next statement's answer to be lost.

    `late` are the batches that were written after a thaw: by then another life is the leader.
    """

    cut: bool = False
    thawed: bool = False
    late: int = 0

    def take_cut(self) -> bool:
        """Whether to cut now; once."""
        cut, self.cut = self.cut, False
        return cut


class CutJournal(PostgresJournal):
    """The product's journal, whose statements have seams, and whose connection can be cut once."""

    def __init__(self, dsn: str, seams: Seams, trouble: Trouble) -> None:
        super().__init__(dsn, schema=SCHEMA)
        self._seams = seams
        self._trouble = trouble

    @override
    async def _connected(self) -> Connection:
        fresh: Any = await super()._connected()
        return _Cuttable(fresh, self._seams, self._trouble)  # type: ignore[return-value]  # stands in for it


class _Cuttable(SeamedConnection):
    def __init__(self, connection: Any, seams: Seams, trouble: Trouble) -> None:
        super().__init__(connection, seams)
        self._trouble = trouble

    @override
    async def fetchval(self, query: str, *arguments: object) -> Any:
        self._seams.hit("statement.before")
        begun = self._trouble.thawed and "apply(" in query
        value = await self._connection.fetchval(query, *arguments)
        self._trouble.late += begun
        self._seams.hit("statement.committed")
        if self._trouble.take_cut():
            raise ConnectionResetError("cut after the commit, before the answer")
        return value


class Life:
    """Builds the world of one plan and runs the orchestrator in it."""

    def __init__(self, plan: Plan, planned_end: Callable[[], None]) -> None:
        self._plan = plan
        self._planned_end = planned_end
        self.trouble = Trouble()
        self._command_wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self.seams = Seams(plan.at, self._act)

    async def run(self) -> None:
        """Live until the harness calls it quiet; raises whatever ends the orchestrator."""
        plan = self._plan
        clock, wire = FastClock(plan.anchor_ns), Wire(plan.socket, plan.place)
        pool = ReaderPool(plan.dsn, connections_max=READERS_MAX, schema=SCHEMA)
        journal = CutJournal(plan.dsn, self.seams, self.trouble)
        lease = _lease(plan, clock)
        contested = ContestedJournal(
            SeamedJournal(journal, self.seams), contested=plan.scenario.contested
        )
        found: asyncio.Future[AgentControl] = asyncio.get_running_loop().create_future()
        orchestrator = Orchestrator(
            world=self._world(clock, wire, pool, contested, lease),
            settings=_settings(plan),
            policy=_policy(plan.scenario),
            strategies=[_strategy(plan)],
            on_control=found.set_result,
        )
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(journal.run())
            running = group.create_task(orchestrator.run(self._ended))
            conducting = group.create_task(self._conduct(await found, wire))
            await asyncio.wait([running])
            conducting.cancel()
            await journal.close(CLOSE_TIME_MAX)
            await asyncio.wait([writing, conducting])
        await lease.close()
        await pool.close()
        contested.judge()

    async def _conduct(self, control: AgentControl, wire: Wire) -> None:
        await control.ready.wait()
        if self._plan.start:
            await control.start(strategies=None, mode=None, actor="crash")
        await wire.call("began", self._plan.number)
        if self._plan.action in COMMANDS and self._plan.at is not None:
            async with asyncio.TaskGroup() as group:
                commanding = group.create_task(self._command(control, wire))
                await wire.call("until_quiet")
                if not self._command_wanted.is_set():
                    commanding.cancel()
        await wire.call("until_quiet")
        self._ended.set()

    async def _command(self, control: AgentControl, wire: Wire) -> None:
        await self._command_wanted.wait()
        if self._plan.action is Action.STOP:
            await control.stop(reason="seam", cancel_open_orders=True, actor="crash")
        elif self._plan.action is Action.HALT:
            await control.kill.kill(EVERYWHERE, reason="seam", who="crash")
            await control._ladder.settled.wait()
            await wire.call("halted")
            self._die()
        else:
            await control.pause(duration=PAUSE, actor="crash")
            self._die()

    def _act(self) -> None:
        match self._plan.action:
            case Action.KILL:
                self._die()
            case Action.STOP | Action.PAUSE | Action.HALT:
                self._command_wanted.set()
            case Action.TIMEOUT:
                raise Unavailable("no answer in time")
            case Action.FREEZE:
                self._planned_end()
                os.kill(os.getpid(), signal.SIGSTOP)
                self.trouble.thawed = True
            case Action.TERM:
                self._ended.set()
            case Action.CUT:
                self.trouble.cut = True
            case _:
                assert_never(self._plan.action)

    def _die(self) -> None:
        self._planned_end()
        os.kill(os.getpid(), signal.SIGKILL)

    def _world(
        self,
        clock: FastClock,
        wire: Wire,
        pool: ReaderPool,
        journal: OpenableJournal,
        lease: PostgresLease,
    ) -> World:
        plan, seams = self._plan, self.seams
        market, gate = SteadyMarket(clock), SendGate()
        records: Any = SeamedRecords(PostgresRecords(pool), seams)
        return World(
            journal=journal,
            records=records,
            outbox=SeamedOutbox(PostgresOutbox(pool), seams),
            archive=PostgresArchive(plan.dsn, schema=SCHEMA),
            lease=SeamedLease(lease, seams),
            bus=SeamedBus(WireBus(wire, seams), seams),
            clock=clock,
            ids=LifeIds(plan.place, plan.number),
            metrics=PrometheusMetrics(version="crash", now=clock.now),
            venue=SeamedVenue(
                WireVenue(wire, clock, plan.scenario, seams, plan.number, gate), seams
            ),
            gate=gate,
            market_data=market,
            decisions=market,
            calendar=Calendar(sessions=(), first=date.min, last=date.max),
        )


def _lease(plan: Plan, clock: FastClock) -> PostgresLease:
    time_to_live = LEASE_TIME_SHORT if plan.replaced else LEASE_TIME
    return PostgresLease(
        plan.dsn, clock, time_to_live=time_to_live, send_time_max=SEND_TIME_MAX, schema=SCHEMA
    )


def _settings(plan: Plan) -> EngineSettings:
    return EngineSettings(
        agent_id=plan.agent_id,
        agent_name="crash",
        analysis_interval=24 * HOUR,
        analysis_concurrent_max=len(
            plan.scenario.symbols
        ),  # so that sagas are in flight side by side
        analysis_time_max=2000 * SECOND,
        decision_time_max=60 * SECOND,
        heartbeat_interval=BEAT if plan.pausing else 24 * HOUR,
        market_hours_only=False,
        limits=dict.fromkeys(Mode, LIMITS),
        quote_cadence=60 * SECOND,
        lease_renew_every=timedelta(milliseconds=40),
        stop_time_max=timedelta(seconds=3),
    )


def _policy(scenario: Scenario) -> Policy:
    return Policy(
        saga_time_max=2000 * SECOND,
        fill_time_max=4 * SECOND,
        retry=RetryPolicy(retries_max=scenario.retries, delay_first=SECOND),
        visibility_lag=scenario.lag,
        dedupes=scenario.dedupes,
        poll_every=SECOND,
    )


def _strategy(plan: Plan) -> Strategy:
    agent_id = plan.agent_id
    return Strategy(
        id=StrategyId(derived(agent_id, "strategy")),
        agent_id=agent_id,
        external_id="crash",
        name="Crash",
        type="sma_crossover",
        symbols=plan.scenario.symbols,
        created_at=START,
        updated_at=START,
    )
