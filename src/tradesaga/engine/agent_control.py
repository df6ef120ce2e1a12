"""What an operator asks, done: the implementation of `ports.operations`.

Stop fences first: the status and the new epoch are in place before anything else, so that no
intent decided before can be committed after. A broker call in flight is never interrupted; sagas
are driven on, and what has not ended when the answer is due is counted as pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from tradesaga.domain.agent import Agent, AgentStatus, Mode, Pause, Resume, Start, Stop
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.errors import Fenced, IllegalTransition, NotFound, Unavailable
from tradesaga.domain.ids import CycleId
from tradesaga.domain.money import ZERO
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.approvals import Approvals
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.dead_letters import DeadLetters
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.invariant_watch import InvariantWatch
from tradesaga.engine.kill_switch import KillSwitch
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.retention import Retention
from tradesaga.engine.risk_control import RiskControl
from tradesaga.engine.saga_control import SagaControl
from tradesaga.engine.schedule_control import ScheduleControl
from tradesaga.engine.scheduler import Scheduler
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.strategy_control import StrategyControl
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.bus import Bus
from tradesaga.ports.clock import Clock
from tradesaga.ports.nodes import FleetReport
from tradesaga.ports.operations import (
    HealthReport,
    InvariantReport,
    Readiness,
    Started,
    Status,
    Stopped,
)
from tradesaga.ports.records import CycleRecord, Records, StrategyRecord
from tradesaga.ports.trade_records import Place

LAST_LOOKED_AT = 20
"""Completed cycles among which the last one that trades is looked for; heartbeats come between."""
_ALONE = FleetReport(own_id="", nodes=(), hindrance="")


class AgentControl:
    """Commands and views of one agent on the node that holds its lease; `books` are reconciled.

    `sagas` are its trades, `retention` looks after its old rows, `risk` says why, `kill` is its
    ladder with the kill switch, `scribe` writes what concerns no cycle and no trade.
    """

    def __init__(
        self,
        *,
        settings: EngineSettings,
        clock: Clock,
        records: Records,
        bus: Bus,
        leadership: Leadership,
        scribe: Scribe,
        state: AgentState,
        book: StrategyBook,
        desk: TradeDesk,
        scheduler: Scheduler,
        runner: CycleRunner,
        board: HealthBoard,
        relay: OutboxRelay,
        watch: InvariantWatch,
        retention: Retention,
        approvals: Approvals,
        dead_letters: DeadLetters,
        risk: RiskControl,
        ladder: LadderState,
        kill: KillSwitch,
        sagas: SagaControl,
        strategies: StrategyControl,
        schedules: ScheduleControl,
        books: Reconciliation,
        fleet: Fleet | None = None,
    ) -> None:
        self.books = books
        self.sagas = sagas
        self.retention = retention
        self.approvals = approvals
        self.dead_letters = dead_letters
        self.risk = risk
        self.strategy_control = strategies
        self.schedules = schedules
        self.kill = kill
        self.scribe = scribe
        self._fleet = fleet
        self._ladder = ladder
        self._settings = settings
        self._clock = clock
        self._records = records
        self._bus = bus
        self._leadership = leadership
        self._state = state
        self._book = book
        self._desk = desk
        self._scheduler = scheduler
        self._runner = runner
        self._board = board
        self._relay = relay
        self._watch = watch
        self._turn = asyncio.Lock()
        self._fence_owed = False
        self._stopping = False
        self.recovered = asyncio.Event()
        """Set once what was open has been settled, as far as it could be; books come after it."""
        self.ready = asyncio.Event()

    async def start(
        self,
        *,
        strategies: Sequence[str] | None,
        mode: Mode | None,
        actor: str,
        as_read: AsRead = None,
    ) -> Started:
        """See `ports.operations`."""
        self._must_lead()
        async with self._turn:
            self._must_be_as_read(as_read)  # before strategies are changed
            if strategies is not None:
                await self._book.select(strategies, actor=actor)
            agent = await self._ordered(Start(mode=mode), actor, "agent.started", as_read=as_read)
        active = [r for r in await self.strategies() if r.strategy.status == "active"]
        return Started(agent=agent, strategies=active)

    async def stop(
        self, *, reason: str, cancel_open_orders: bool, actor: str, as_read: AsRead = None
    ) -> Stopped:
        """See `ports.operations`."""
        self._must_lead()
        async with self._turn:
            self._must_be_as_read(as_read)
            if self._state.agent.status is not AgentStatus.STOPPED:
                self._fence_owed = True  # until it is done: a stop that failed half way repeats it
            order = Stop(reason=reason)
            agent = await self._ordered(order, actor, "agent.stopped", reason, as_read)
            if self._fence_owed:
                await self._fence()
                self._fence_owed = False
                await self._scheduler.cancel_all()
            await self._bring_in(cancel_open_orders)
        return Stopped(
            agent=agent,
            open_positions=sum(1 for q in self._desk.holdings.positions.values() if q != ZERO),
            pending_orders=self._desk.trades.active_orders(),
            in_flight=tuple(trade.state for trade in self._desk.trades),
        )

    async def pause(
        self,
        *,
        duration: timedelta | None,
        actor: str,
        reason: str = "",
        as_read: AsRead = None,
    ) -> Agent:
        """See `ports.operations`."""
        self._must_lead()
        until = None if duration is None else self._clock.now() + duration
        order = Pause(resume_at=until)
        return await self._ordered(order, actor, "agent.paused", reason, as_read)

    async def resume(self, *, actor: str, reason: str = "", as_read: AsRead = None) -> Agent:
        """See `ports.operations`."""
        self._must_lead()
        return await self._ordered(Resume(), actor, "agent.resumed", reason, as_read)

    async def status(self) -> Status:
        """See `ports.operations`."""
        self._must_lead()
        agent_id, agent = self._settings.agent_id, self._state.agent
        done = await self._records.cycles(
            agent_id, limit=LAST_LOOKED_AT, status=CycleStatus.COMPLETED
        )
        trading = [c for c in done if c.type is not CycleType.HEARTBEAT]
        records = await self.strategies()
        current = self._current()
        return Status(
            agent=agent,
            detail=self._detail(),
            uptime=self._uptime(),
            counts=await self._records.counts(agent_id),
            current_cycle=current,
            last_cycle=next(iter(trading or done), None),
            strategies=[r for r in records if r.strategy.status == "active"],
            next_cycle_at=self._scheduler.next_analysis_at(),
        )

    async def strategies(self) -> Sequence[StrategyRecord]:
        """See `ports.operations`."""
        return await self._records.strategies(self._settings.agent_id)

    async def cycles(
        self, *, limit: int, status: CycleStatus | None, after: Place | None = None
    ) -> Sequence[Cycle]:
        """See `ports.operations`."""
        agent_id = self._settings.agent_id
        return await self._records.cycles(agent_id, limit=limit, status=status, after=after)

    async def cycle(self, cycle_id: CycleId) -> CycleRecord:
        """See `ports.operations`."""
        record = await self._records.cycle(self._settings.agent_id, cycle_id)
        if record is None:
            raise NotFound(f"there is no cycle {cycle_id}; `GET /api/v1/cycles` lists them")
        return record

    async def cancel_cycle(self, cycle_id: CycleId, *, reason: str, actor: str) -> CycleRecord:
        """See `ports.operations`."""
        self._must_lead()
        ended = self._runner.cancel(cycle_id, actor=actor, reason=reason)
        if ended is not None:
            try:
                async with asyncio.timeout(self._settings.stop_time_max.total_seconds()):
                    await ended.wait()
            except TimeoutError as error:
                raise Unavailable(f"cycle {cycle_id} has not ended yet: ask again") from error
        record = await self.cycle(cycle_id)
        if record.cycle.status is not CycleStatus.CANCELLED:
            status = record.cycle.status
            raise IllegalTransition(
                f"cycle {cycle_id} is {status}, it cannot be cancelled", state=status
            )
        return record

    async def fleet(self) -> FleetReport:
        """See `ports.operations`."""
        return _ALONE if self._fleet is None else self._fleet.report()

    async def checkpoints(
        self, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        """See `ports.operations`."""
        return await self._records.checkpoints(self._settings.agent_id, limit=limit, after=after)

    async def invariants(self) -> InvariantReport:
        """See `ports.operations`."""
        return self._watch.last

    async def readiness(self) -> Readiness:
        """See `ports.operations`."""
        leads = self._leadership.may_send(opening=False)
        return Readiness(
            database=await self._database_answers(),
            leads=leads,
            recovered=self.ready.is_set() or not leads,
        )

    async def health(self) -> HealthReport:
        """See `ports.operations`."""
        database = await self._database_answers()
        current, compared = self._current(), self.books.last
        return HealthReport(
            reconciled_at=None if compared is None else compared.at,
            drifting=0 if compared is None else len(compared.drifts),
            self_trading=self._board.self_trading,
            database=database,
            event_bus=self._bus.is_connected(),
            services=self._board.services,
            agent=self._state.agent if self._state.is_loaded else None,
            uptime=self._uptime(),
            current_cycle=None if current is None else str(current.type),
        )

    def leads(self) -> bool:
        """Whether this node holds the agent and has read it."""
        return self._state.is_loaded

    def is_idle(self) -> bool:
        """Whether nothing of it is open: it is stopped, or was never read, and has no saga."""
        stopped = not self._state.is_loaded or self._state.agent.status is AgentStatus.STOPPED
        return stopped and not len(self._desk.trades)

    def strategies_active(self) -> int:
        """How many strategies are active, for the gauge of that name."""
        return len(self._book.active())

    def vitals(self) -> Mapping[str, Callable[[], float]]:
        """What is read for the gauges of these names; neither waits nor raises."""
        trades = self._desk.trades
        return {
            "orders_unresolved": trades.unresolved,
            "sagas_open": trades.__len__,
            "sagas_waiting_for_person": trades.waiting_for_person,
            "outbox_stuck_seconds": self._relay.stuck_for,
            "outbox_lag_seconds": self._relay.lag,
            "leading": self.leads,
        }

    def uptime(self) -> timedelta:
        """How long the agent has run, for the gauge of that name."""
        return self._uptime()

    async def _ordered(
        self,
        command: Start | Stop | Pause | Resume,
        actor: str,
        kind: str,
        reason: str = "",
        as_read: AsRead = None,
    ) -> Agent:
        try:
            return await self._state.order(
                command, actor=actor, kind=kind, reason=reason, as_read=as_read
            )
        except Fenced as error:
            raise Unavailable("another node has taken over the agent; ask again") from error

    async def _fence(self) -> None:
        try:
            await self._leadership.raise_epoch()
        except Fenced as error:
            raise Unavailable("another node has taken over the agent; ask again") from error

    async def _bring_in(self, cancel_open_orders: bool) -> None:
        """Give open sagas time to end; entries are cancelled first if that is wished.

        What was not sent yet is not sent any more: the runner finds the agent stopped.
        """
        trades = tuple(self._desk.trades)
        self._stopping = True
        if cancel_open_orders:
            for trade in trades:
                if trade.state.order.opening:
                    trade.wish_cancel("stop with cancelOpenOrders")
        try:
            async with asyncio.timeout(self._settings.stop_time_max.total_seconds()):
                for trade in trades:
                    await trade.ended.wait()
        except TimeoutError:
            return  # the answer counts them as pending; they are driven on
        finally:
            self._stopping = False

    def _detail(self) -> str:
        """What the four statuses do not tell: beginning, stopping, what stands on the ladder."""
        said = [] if self.ready.is_set() else ["starting"]
        stopped = self._state.agent.status is AgentStatus.STOPPED
        driven = any(not trade.ended.is_set() for trade in self._desk.trades)
        if not said and stopped and (self._stopping or driven):
            said.append("stopping")
        reasons = self._ladder.ladder.reasons
        said += [f"{r.rung} for {r.scope.name} by {r.cause}" for r in reasons]
        return "; ".join(said)

    async def _database_answers(self) -> bool:
        try:
            await self._records.counts(self._settings.agent_id)
        except Unavailable:
            return False
        return True

    def _must_be_as_read(self, as_read: AsRead) -> None:
        must_be_as_read("the agent", self._state.agent.version, as_read)

    def _must_lead(self) -> None:
        if not self._state.is_loaded:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")

    def _current(self) -> Cycle | None:
        running = list(self._runner.current.values())
        trading = [c for c in running if c.type is not CycleType.HEARTBEAT]
        return next(iter(trading or running), None)

    def _uptime(self) -> timedelta:
        if not self._state.is_loaded:
            return timedelta()
        agent = self._state.agent
        up = agent.status in (AgentStatus.RUNNING, AgentStatus.PAUSED)
        if not up or agent.started_at is None:
            return timedelta()
        return max(timedelta(), self._clock.now() - agent.started_at)
