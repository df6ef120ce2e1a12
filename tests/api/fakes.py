"""A fake of the driving port with one of everything, and the application around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import httpx2

from tests.api.checkpoints import CHECKPOINT
from tests.api.fake_access import ADMIN_HEADER, FakeAccess
from tests.api.fake_accounts import FLEET, FakeAccounts
from tests.api.fake_approvals import FakeApprovals
from tests.api.fake_feed import FakeFeed
from tests.api.fake_halting import FakeHalting, FakePeers
from tests.api.fake_history import FakeHistory
from tests.api.fake_ids import OneId
from tests.api.fake_ladder import FakeLadder
from tests.api.fake_letters import FakeLetters
from tests.api.fake_metrics import CountedErrors
from tests.api.fake_repeats import Store, repeats_over
from tests.api.fake_retention import FakeRetention
from tests.api.fake_risk import FakeRisk
from tests.api.fake_sagas import FakeSagas
from tests.api.fake_schedules import FakeSchedules
from tests.api.fake_strategies import FakeStrategies
from tests.domain.trades import begun
from tradesaga.api.app import create_app
from tradesaga.domain.agent import Agent, AgentCounts, AgentStatus, Mode
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle, CycleError, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.errors import IllegalTransition, NotFound
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId, DecisionId, OrderId, SagaId, StrategyId
from tradesaga.domain.orders import Order, OrderStatus, OrderType, Side
from tradesaga.domain.strategies import Performance, Strategy, StrategyStatus
from tradesaga.ports.journal import CycleLog
from tradesaga.ports.nodes import FleetReport
from tradesaga.ports.operations import (
    HealthReport,
    InvariantReport,
    Readiness,
    Started,
    Status,
    Stopped,
)
from tradesaga.ports.records import CycleRecord, StrategyRecord
from tradesaga.ports.services import Health
from tradesaga.ports.tracing import UNTRACED, Tracer
from tradesaga.ports.trade_records import LAST, Place

NOON = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
NOON_TEXT = "2020-12-15T17:00:00.000000Z"
LATER_TEXT = "2020-12-15T17:00:01.500250Z"
LATER = NOON + timedelta(seconds=1, microseconds=500250)
CYCLE_ID = CycleId(UUID("01766713-2a80-7000-8000-000000000001"))
RUNNING_CYCLE_ID = CycleId(UUID("01766713-2a80-7000-8000-000000000002"))
STRATEGY_ID = StrategyId(UUID("01766713-2a80-7000-8000-000000000003"))
STOPPED_STRATEGY_ID = StrategyId(UUID("01766713-2a80-7000-8000-000000000004"))
DECISION_ID = DecisionId(UUID("01766713-2a80-7000-8000-000000000005"))
ORDER_ID = OrderId(UUID("01766713-2a80-7000-8000-000000000006"))
SAGA_ID = SagaId(UUID("01766713-2a80-7000-8000-000000000007"))

AGENT = Agent(
    id=DEFAULT_AGENT,
    name="default",
    updated_at=LATER,
    status=AgentStatus.RUNNING,
    started_at=NOON,
)
STRATEGY = StrategyRecord(
    strategy=Strategy(
        id=STRATEGY_ID,
        agent_id=DEFAULT_AGENT,
        external_id="sma-spy",
        name="SMA crossover",
        type="sma_crossover",
        symbols=("SPY",),
        created_at=NOON,
        updated_at=NOON,
        last_run_at=NOON,
    ),
    performance=Performance(pnl=Decimal("12.30"), trades=3, win_rate=Decimal("0.6667")),
)
STOPPED_STRATEGY = StrategyRecord(
    strategy=replace(
        STRATEGY.strategy,
        id=STOPPED_STRATEGY_ID,
        name="Breakout",
        status=StrategyStatus.STOPPED,
        last_run_at=None,
    ),
    performance=Performance(),
)
CYCLE = Cycle(
    id=CYCLE_ID,
    agent_id=DEFAULT_AGENT,
    type=CycleType.ANALYSIS,
    triggered_by=TriggeredBy.SCHEDULE,
    scheduled_at=NOON,
    started_at=NOON,
    epoch=1,
    status=CycleStatus.COMPLETED,
    cursor=6,
    completed_at=LATER,
    strategies_processed=2,
    decisions_generated=2,
    orders_submitted=1,
    orders_filled=1,
    errors=(CycleError(strategy_id="sma-spy", error="no quote"),),
    metadata={"session": "regular", "exposure": Decimal("0.10")},
)
RUNNING_CYCLE = replace(
    CYCLE,
    id=RUNNING_CYCLE_ID,
    status=CycleStatus.STARTED,
    cursor=3,
    completed_at=None,
    errors=(),
)
DECISION = Decision(
    id=DECISION_ID,
    external_id="dec-1",
    agent_id=DEFAULT_AGENT,
    cycle_id=CYCLE_ID,
    strategy_id=STRATEGY_ID,
    symbol="SPY",
    action=Action.BUY,
    confidence=Decimal("0.80"),
    quantity=Decimal(10),
    reference_price=Decimal("367.455"),
    reasoning="fast crossed slow",
    model="rules",
    as_of=NOON,
    expires_at=LATER,
    created_at=NOON,
    verdict=Verdict.DENIED,
    opening=True,
    denials=(Denial(code="exposure_max", message="10 % allowed"),),
)
ORDER = Order(
    id=ORDER_ID,
    agent_id=DEFAULT_AGENT,
    saga_id=SAGA_ID,
    decision_id=DECISION_ID,
    strategy_id=STRATEGY_ID,
    cycle_id=CYCLE_ID,
    leg=0,
    purpose="entry",
    client_order_id="ts-abc",
    symbol="SPY",
    side=Side.BUY,
    quantity=Decimal(10),
    type=OrderType.MARKET,
    limit_price=None,
    time_in_force="day",
    opening=True,
    reference_price=Decimal("367.455"),
    expires_at=LATER,
    created_at=NOON,
    status=OrderStatus.FILLED,
    venue_order_id="v-1",
    filled_quantity=Decimal(10),
    filled_value=Decimal("3674.60"),
    submitted_at=NOON,
    ended_at=LATER,
    evidence="poll v-1 filled",
)
LOG = CycleLog(
    cycle_id=CYCLE_ID, level="info", message="step done", context={"step": "x"}, timestamp=NOON
)


class FakeOperations:
    """Answers from its fields and records what it was asked; set `error` to make it raise."""

    def __init__(self) -> None:
        self.agent = AGENT
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.error: Exception | None = None
        self.current_cycle: Cycle | None = RUNNING_CYCLE
        self.last_cycle: Cycle | None = CYCLE
        self.next_cycle_at: datetime | None = LATER
        self.listed: Sequence[Cycle] = (RUNNING_CYCLE, CYCLE)
        self.more_checkpoints: Sequence[Checkpoint] = ()
        self.invariant_report = InvariantReport()
        self.ready = Readiness(database=True, leads=True, recovered=True)
        self.report = HealthReport(
            database=True,
            event_bus=True,
            services={
                "trading-engine": Health.HEALTHY,
                "ai-decision": Health.HEALTHY,
                "market-data": Health.HEALTHY,
            },
            agent=AGENT,
            uptime=timedelta(seconds=3600, milliseconds=900),
            current_cycle="analysis",
        )

    async def start(
        self,
        *,
        strategies: Sequence[str] | None,
        mode: Mode | None,
        actor: str,
        as_read: AsRead = None,
    ) -> Started:
        must_be_as_read("the agent", self.agent.version, as_read)
        self._asked("start", strategies=strategies, mode=mode, actor=actor)
        return Started(agent=self.agent, strategies=[STRATEGY])

    async def stop(
        self, *, reason: str, cancel_open_orders: bool, actor: str, as_read: AsRead = None
    ) -> Stopped:
        must_be_as_read("the agent", self.agent.version, as_read)
        self._asked("stop", reason=reason, cancel_open_orders=cancel_open_orders, actor=actor)
        self.agent = replace(self.agent, status=AgentStatus.STOPPED, stopped_at=LATER)
        return Stopped(agent=self.agent, open_positions=2, pending_orders=1, in_flight=[begun()])

    async def pause(
        self,
        *,
        duration: timedelta | None,
        actor: str,
        reason: str = "",
        as_read: AsRead = None,
    ) -> Agent:
        must_be_as_read("the agent", self.agent.version, as_read)
        self._asked("pause", duration=duration, reason=reason, actor=actor)
        if self.agent.status is AgentStatus.STOPPED:
            raise IllegalTransition("agent default is stopped, only a running one pauses")
        self.agent = replace(
            self.agent,
            status=AgentStatus.PAUSED,
            pause_reasons=frozenset({"operator"}),
            resume_at=None if duration is None else NOON + duration,
        )
        return self.agent

    async def resume(self, *, actor: str, reason: str = "", as_read: AsRead = None) -> Agent:
        must_be_as_read("the agent", self.agent.version, as_read)
        self._asked("resume", reason=reason, actor=actor)
        if self.agent.status is AgentStatus.STOPPED:
            raise IllegalTransition("agent default is stopped, start it instead")
        self.agent = replace(self.agent, status=AgentStatus.RUNNING, pause_reasons=frozenset())
        return self.agent

    async def status(self) -> Status:
        self._asked("status")
        return Status(
            agent=self.agent,
            detail="running",
            uptime=timedelta(seconds=3600, milliseconds=900),
            counts=AgentCounts(
                cycles_completed=7, decisions_generated=5, orders_executed=3, errors_count=1
            ),
            current_cycle=self.current_cycle,
            last_cycle=self.last_cycle,
            strategies=[STOPPED_STRATEGY, STRATEGY],
            next_cycle_at=self.next_cycle_at,
        )

    async def strategies(self) -> Sequence[StrategyRecord]:
        self._asked("strategies")
        return [STOPPED_STRATEGY, STRATEGY]

    async def cycles(
        self, *, limit: int, status: CycleStatus | None, after: Place | None = None
    ) -> Sequence[Cycle]:
        self._asked("cycles", limit=limit, status=status, after=after)
        found = [
            cycle
            for cycle in self.listed
            if status in (None, cycle.status) and (cycle.started_at, cycle.id) < (after or LAST)
        ]
        return found[:limit]

    async def cycle(self, cycle_id: CycleId) -> CycleRecord:
        self._asked("cycle", cycle_id=cycle_id)
        for cycle in self.listed:
            if cycle.id == cycle_id:
                return CycleRecord(cycle=cycle, decisions=[DECISION], orders=[ORDER], logs=[LOG])
        raise NotFound(f"no cycle {cycle_id}")

    async def cancel_cycle(self, cycle_id: CycleId, *, reason: str, actor: str) -> CycleRecord:
        record = await self.cycle(cycle_id)
        self._asked("cancel_cycle", cycle_id=cycle_id, reason=reason, actor=actor)
        if record.cycle.status is CycleStatus.COMPLETED:
            why = f"cycle {cycle_id} is completed, it cannot be cancelled"
            raise IllegalTransition(why, state=record.cycle.status)
        return record

    async def fleet(self) -> FleetReport:
        self._asked("fleet")
        return FLEET

    async def checkpoints(
        self, *, limit: int, after: tuple[int, datetime] | None = None
    ) -> Sequence[Checkpoint]:
        self._asked("checkpoints", limit=limit, after=after)
        known = (CHECKPOINT, *self.more_checkpoints)
        found = [one for one in known if after is None or (one.epoch, one.taken_at) < after]
        return found[:limit]

    async def invariants(self) -> InvariantReport:
        self._asked("invariants")
        return self.invariant_report

    async def readiness(self) -> Readiness:
        self._asked("readiness")
        return self.ready

    async def health(self) -> HealthReport:
        self._asked("health")
        return self.report

    def _asked(self, name: str, **arguments: object) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error


class Api:
    """The application, its fakes, and a client that talks to it without a socket."""

    def __init__(self, store: Store | None = None, tracer: Tracer = UNTRACED) -> None:
        self.operations = FakeOperations()
        self.sagas = FakeSagas()
        self.retention = FakeRetention()
        self.risk = FakeRisk()
        self.approvals = FakeApprovals()
        self.dead_letters = FakeLetters()
        self.strategies = FakeStrategies()
        self.schedules = FakeSchedules()
        self.ladder = FakeLadder()
        self.access = FakeAccess()
        self.accounts = FakeAccounts()
        self.halting, self.peers = FakeHalting(), FakePeers()
        self.store = store or Store()
        self.feed = FakeFeed()
        self.history = FakeHistory()
        self.seconds = 0.0
        self.metrics = CountedErrors()
        self.app = create_app(
            self.operations, self.sagas, self.retention, self.risk, self.approvals, self.access,
            repeats_over(self.store, self), self.feed, self.strategies, self.schedules, self.ladder,
            lambda: (b"orchestrator_agent_uptime 1.0\n", "text/plain; version=1.0.0"),
            dead_letters=self.dead_letters, accounts=self.accounts, history=self.history,
            halting=self.halting, peers=self.peers,
            metrics_port=self.metrics, ids=OneId(), monotonic=self._monotonic, tracer=tracer,
        )  # fmt: skip

    def fresh(self) -> Api:
        """The same application, its fakes as at the beginning; building one takes a while."""
        vars(self.operations).clear()
        for fake in [
            one for one in vars(self).values() if "tests.api.fake" in type(one).__module__
        ]:
            fake.__init__()  # all its state is made there
        self.seconds += 1_000_000  # every bucket is full again
        self.metrics.errors.clear()
        self.come_from("127.0.0.1")
        return self

    def come_from(self, address: str) -> None:
        """A client of that address from now on, with the token of all scopes."""
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(cast("Any", self.app), client=(address, 4000)),
            base_url="http://127.0.0.1:3005",
            headers=ADMIN_HEADER,
        )

    def now(self) -> datetime:
        """The clock of the book of keys."""
        return NOON

    def _monotonic(self) -> float:
        return self.seconds
