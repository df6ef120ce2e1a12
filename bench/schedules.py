"""How late cycles begin with 10,000 schedules: the product's scheduler and journal on Postgres.

    spread    intervals of 10 to 110 s, hundreds of fires a second, hardly two at one instant
    instant   all at the same instants: the worst that a timetable of crons can do

Each schedule has a strategy of its own. Lateness runs from the moment at which a fire is due to the
moment at which it is durably marked and handed to the queue from which cycles begin; of fires that
are handed over together each counts with the last one's moment. `first step` runs to the first step
of the cycle, which several fires share and which waits for the one before. The cycles do nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import cast

from typing_extensions import override

from bench.product import AGENT, Product
from bench.sagas import percentile
from tradesaga.adapters.calendar import ALWAYS_OPEN, Hours, build_calendar
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.adapters.system import calm_collector
from tradesaga.domain import agent as machine
from tradesaga.domain.cycle import CycleType, TriggeredBy
from tradesaga.domain.ids import CycleId, ScheduleId, StrategyId, derived
from tradesaga.domain.schedule import Schedule, ScheduleType, next_fire
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.heartbeat_cycle import HeartbeatCycle
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.scheduler import Scheduler
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.waiting_fires import WaitingFires
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update

NUMBER = 10_000
SHAPES = ("spread", "instant")
INSTANT = timedelta(seconds=5)
START_TIME_MAX = timedelta(seconds=2)
SPREAD_MS = 10_000, 110_000
ROWS_A_CHANGE = 500
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """Milliseconds over all fires, the worst last."""

    fires: int
    cycles: int
    p50: float
    p99: float
    worst: float
    step_p99: float


@dataclass(slots=True)
class _Analysis:
    """Cycles that do nothing but note how late they begin."""

    clock: Clock
    since: datetime
    seen: list[tuple[float, int]] = field(default_factory=list)

    async def run(
        self,
        strategies: Sequence[Strategy],
        triggered_by: TriggeredBy,
        scheduled_at: datetime,
        unsolicited: Sequence[object] = (),
        cycle_id: CycleId | None = None,
    ) -> None:
        if scheduled_at >= self.since:  # what is made up at the beginning is no fire on time
            late = (self.clock.now() - scheduled_at) / timedelta(milliseconds=1)
            self.seen.append((late, len(strategies)))


class _Queue(WaitingFires):
    """Notes for each fire how late it is handed over."""

    def __init__(self, *, clock: Clock, since: datetime) -> None:
        super().__init__()
        self.clock = clock
        self.since = since
        self.late: list[float] = []

    @override
    def add(self, schedule: Schedule, at: datetime, cause: TriggeredBy) -> bool:
        again = super().add(schedule, at, cause)
        self._note([at])
        return again

    @override
    def add_all(self, schedules: Sequence[Schedule], cause: TriggeredBy) -> int:
        again = super().add_all(schedules, cause)
        self._note([s.next_run_at for s in schedules if s.next_run_at is not None])
        return again

    def _note(self, due: Sequence[datetime]) -> None:
        now = self.clock.now()
        self.late += [(now - at) / timedelta(milliseconds=1) for at in due if at >= self.since]


async def lateness(product: Product, shape: str, seconds: float) -> Lateness:
    """Let the scheduler run for `seconds` over schedules of that shape."""
    async with _stored(product, shape) as (strategies, book), asyncio.TaskGroup() as group:
        analysis = _Analysis(product.clock, since=product.clock.now() + START_TIME_MAX)
        scheduler = await _scheduler(product, analysis, strategies, book, group)
        queue = _Queue(clock=product.clock, since=analysis.since)
        scheduler._waiting = scheduler._at_once._waiting = queue
        calm_collector()  # as the served process does
        running = group.create_task(scheduler.run())
        await asyncio.sleep(START_TIME_MAX.total_seconds() + seconds)
        running.cancel()
    steps = sorted(ms for ms, number in analysis.seen for _ in range(number))
    late = sorted(queue.late)
    return Lateness(
        fires=len(late),
        cycles=len(analysis.seen),
        p50=percentile(late, 50),
        p99=percentile(late, 99),
        worst=late[-1],
        step_p99=percentile(steps, 99),
    )


@asynccontextmanager
async def _stored(
    product: Product, shape: str
) -> AsyncIterator[tuple[Sequence[Strategy], ScheduleBook]]:
    """The strategies and schedules in the database while the block runs; removed after it."""
    draw, now = Random(shape), product.clock.now()
    strategies = [_strategy(shape, number, now) for number in range(NUMBER)]
    schedules = [_schedule(shape, strategy, draw, now) for strategy in strategies]
    await _write(product, [Insert(one) for one in strategies])
    await _write(product, [Insert(one) for one in schedules])
    book = ScheduleBook(
        scribe=product.scribe, records=product.records, clock=product.clock, agent_id=AGENT
    )
    yield strategies, book
    await book.load()  # a mark may have been under way at the end
    now = product.clock.now()
    left = [one for one in book.all() if not one.is_configured]
    gone = [replace(one, removed_at=now, version=one.version + 1) for one in left]
    await _write(product, [Update(one) for one in gone])


async def _scheduler(
    product: Product,
    analysis: _Analysis,
    strategies: Sequence[Strategy],
    book: ScheduleBook,
    group: asyncio.TaskGroup,
) -> Scheduler:
    clock = product.clock
    state = AgentState(
        scribe=product.scribe, records=product.records, clock=clock, agent_id=AGENT, name="bench"
    )
    await state.load()
    await state.order(machine.Start(), actor="bench", kind="agent.started")
    now, active = clock.now(), {s.id: s for s in strategies}
    hours = Hours(timezone="UTC", exchange=ALWAYS_OPEN)
    calendar = build_calendar(now.date() - DAY, now.date() + DAY, hours)
    return Scheduler(
        settings=EngineSettings(
            agent_id=AGENT,
            agent_name="bench",
            analysis_interval=timedelta(hours=24),
            analysis_concurrent_max=1,
            analysis_time_max=timedelta(minutes=2),
            decision_time_max=timedelta(seconds=30),
            heartbeat_interval=timedelta(hours=1),
            market_hours_only=False,
            limits={},
            quote_cadence=timedelta(minutes=1),
            lease_renew_every=timedelta(milliseconds=500),
        ),
        clock=clock,
        state=state,
        market=MarketGate(calendar, hours_only=False),
        analysis=cast(AnalysisCycle, analysis),
        heartbeat=cast(HeartbeatCycle, None),
        active=lambda: active,
        book=book,
        records=product.records,
        metrics=PrometheusMetrics(version="bench", now=clock.now),
        group=group,
    )


async def _write(product: Product, rows: Sequence[Row]) -> None:
    for first in range(0, len(rows), ROWS_A_CHANGE):
        said = Entry(kind="bench", subject="schedules", actor="bench", body={})
        await product.scribe.fact(rows[first : first + ROWS_A_CHANGE], [said])


def _strategy(shape: str, number: int, now: datetime) -> Strategy:
    name = f"{shape}-{number}"
    return Strategy(
        id=StrategyId(derived(AGENT, "strategy", name)),
        agent_id=AGENT,
        external_id=name,
        name=name,
        type="bench",
        symbols=("SPY",),
        created_at=now,
        updated_at=now,
    )


def _schedule(shape: str, strategy: Strategy, draw: Random, now: datetime) -> Schedule:
    length = INSTANT if shape == "instant" else timedelta(milliseconds=draw.randint(*SPREAD_MS))
    schedule = Schedule(
        id=ScheduleId(derived(strategy.id, "schedule")),
        agent_id=AGENT,
        strategy_id=strategy.id,
        cycle_type=CycleType.ANALYSIS,
        schedule_type=ScheduleType.INTERVAL,
        schedule_value=str(length // timedelta(milliseconds=1)),
        zone="UTC",
        created_at=now,
        updated_at=now,
    )
    return replace(schedule, next_run_at=next_fire(schedule, now + INSTANT))
