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
from typing import Any

from typing_extensions import override

from crash.actions import Action
from crash.market import START, FastClock
from crash.neighbours import LifeIds, SteadyMarket, WireBus, WireVenue
from crash.scenarios import SYMBOLS, Scenario
from crash.wire import Wire
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox, PostgresRecords
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.domain.agent import Mode
from tradesaga.domain.ids import AgentId, StrategyId, derived
from tradesaga.domain.market import Calendar
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.risk import Limits
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.orchestrator import Orchestrator
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World
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
READERS_MAX = 2
"""Connections are what a short life spends most of its time on."""
PLENTY = Decimal(100)
LIMITS = Limits(
    order_notional_percent=PLENTY,
    position_percent=PLENTY,
    exposure_percent=PLENTY,
    positions_max=100,
    decision_age_max=2000 * SECOND,
    quote_age_max=60 * SECOND,
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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One life, as the zygote is told. `start` asks for the agent to be started."""

    place: str
    number: int
    agent_id: AgentId
    scenario: Scenario
    dsn: str
    socket: Path
    anchor_ns: int
    start: bool
    action: Action = Action.KILL
    at: Seam | None = None
    mutant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a life ended: at its planned kill, or with the seams that it passed, or by `error`."""

    killed: bool = False
    passed: tuple[Seam, ...] = ()
    error: str = ""
    hung: bool = False


class CutJournal(PostgresJournal):
    """The product's journal, whose statements have seams, and whose connection can be cut once."""

    def __init__(self, dsn: str, seams: Seams, cut: Callable[[], bool]) -> None:
        super().__init__(dsn)
        self._seams = seams
        self._cut = cut

    @override
    async def _connected(self) -> Connection:
        fresh: Any = await super()._connected()
        return _Cuttable(fresh, self._seams, self._cut)  # type: ignore[return-value]  # stands in for it


class _Cuttable(SeamedConnection):
    def __init__(self, connection: Any, seams: Seams, cut: Callable[[], bool]) -> None:
        super().__init__(connection, seams)
        self._cut = cut

    @override
    async def fetchval(self, query: str, *arguments: object) -> Any:
        value = await super().fetchval(query, *arguments)
        if self._cut():
            raise ConnectionResetError("cut after the commit, before the answer")
        return value


class Life:
    """Builds the world of one plan and runs the orchestrator in it."""

    def __init__(self, plan: Plan, planned_end: Callable[[], None]) -> None:
        self._plan = plan
        self._planned_end = planned_end
        self._cut = False
        self._stop_wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self.seams = Seams(plan.at, self._act)

    async def run(self) -> None:
        """Live until the harness calls it quiet; raises whatever ends the orchestrator."""
        plan = self._plan
        clock, wire = FastClock(plan.anchor_ns), Wire(plan.socket, plan.place)
        pool = ReaderPool(plan.dsn, connections_max=READERS_MAX)
        journal = CutJournal(plan.dsn, self.seams, self._take_cut)
        lease = PostgresLease(plan.dsn, clock)
        found: asyncio.Future[AgentControl] = asyncio.get_running_loop().create_future()
        orchestrator = Orchestrator(
            world=self._world(clock, wire, pool, journal, lease),
            settings=_settings(plan.agent_id),
            policy=_policy(plan.scenario),
            strategies=[_strategy(plan.agent_id)],
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

    async def _conduct(self, control: AgentControl, wire: Wire) -> None:
        await control.ready.wait()
        if self._plan.start:
            await control.start(strategies=None, mode=None, actor="crash")
        await wire.call("began")
        if self._plan.action is Action.STOP and self._plan.at is not None:
            async with asyncio.TaskGroup() as group:
                stopping = group.create_task(self._stop(control))
                await wire.call("until_quiet")
                if not self._stop_wanted.is_set():
                    stopping.cancel()
        await wire.call("until_quiet")
        self._ended.set()

    async def _stop(self, control: AgentControl) -> None:
        await self._stop_wanted.wait()
        await control.stop(reason="seam", cancel_open_orders=True, actor="crash")

    def _act(self) -> None:
        match self._plan.action:
            case Action.KILL:
                self._planned_end()
                os.kill(os.getpid(), signal.SIGKILL)
            case Action.STOP:
                self._stop_wanted.set()
            case Action.TERM:
                self._ended.set()
            case Action.CUT:
                self._cut = True

    def _take_cut(self) -> bool:
        cut, self._cut = self._cut, False
        return cut

    def _world(
        self,
        clock: FastClock,
        wire: Wire,
        pool: ReaderPool,
        journal: PostgresJournal,
        lease: PostgresLease,
    ) -> World:
        plan, seams = self._plan, self.seams
        market = SteadyMarket(clock)
        records: Any = SeamedRecords(PostgresRecords(pool), seams)
        return World(
            journal=SeamedJournal(journal, seams),
            records=records,
            outbox=SeamedOutbox(PostgresOutbox(pool), seams),
            archive=PostgresArchive(plan.dsn),
            lease=SeamedLease(lease, seams),
            bus=SeamedBus(WireBus(wire, seams), seams),
            clock=clock,
            ids=LifeIds(plan.place, plan.number),
            metrics=PrometheusMetrics(version="crash", now=clock.now),
            venue=SeamedVenue(WireVenue(wire, clock, plan.scenario, seams), seams),
            market_data=market,
            decisions=market,
            calendar=Calendar(sessions=(), first=date.min, last=date.max),
        )


def _settings(agent_id: AgentId) -> EngineSettings:
    return EngineSettings(
        agent_id=agent_id,
        agent_name="crash",
        analysis_interval=24 * HOUR,
        analysis_concurrent_max=len(SYMBOLS),  # so that sagas are in flight side by side
        analysis_time_max=2000 * SECOND,
        decision_time_max=60 * SECOND,
        heartbeat_interval=24 * HOUR,
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
        retry=RetryPolicy(retries_max=20, delay_first=SECOND),
        visibility_lag=scenario.lag,
        dedupes=scenario.dedupes,
        poll_every=SECOND,
    )


def _strategy(agent_id: AgentId) -> Strategy:
    return Strategy(
        id=StrategyId(derived(agent_id, "strategy")),
        agent_id=agent_id,
        external_id="crash",
        name="Crash",
        type="sma_crossover",
        symbols=SYMBOLS,
        created_at=START,
        updated_at=START,
    )
