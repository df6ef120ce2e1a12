"""The answers of the API about agent, strategies and health, translated from domain values.

Field names and JSON types are the specification's; what is added stands beside them and renames
none. Timestamps are RFC 3339 in UTC with Z and six digits; `uptime` counts whole seconds. Money
leaves as exact JSON numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from tradesaga.domain.agent import Agent, AgentStatus
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.strategies import StrategyStatus
from tradesaga.ports.operations import HealthReport, Started, Status, Stopped
from tradesaga.ports.records import StrategyRecord
from tradesaga.ports.services import Health

Timestamp = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC, with Z and microseconds",
        extra_json_schema={"format": "date-time"},
    ),
]


class StartedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent runs; starting it again gives the same answer."""

    status: Literal["started"]
    agent_id: str
    started_at: Timestamp
    active_strategies: list[str]
    mode: str


class InFlight(Struct, frozen=True, kw_only=True, rename="camel"):
    """A trade that has not ended; `sagaStatus` manual_required waits for a person."""

    saga_id: str
    symbol: str
    side: str
    saga_status: str
    order_status: str


class StoppedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent is stopped; the counts are what it leaves standing."""

    status: Literal["stopped"]
    stopped_at: Timestamp
    open_positions: int
    pending_orders: int
    in_flight: list[InFlight]


class PausedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent enters no positions; `resumeAt` is there when the pause ends by itself."""

    status: AgentStatus
    resume_at: Timestamp | UnsetType = UNSET
    pause_reasons: list[str]


class ResumedAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The operator's pause is over; `status` stays paused while `pauseReasons` remain."""

    status: AgentStatus
    resumed_at: Timestamp
    pause_reasons: list[str]


class Performance(Struct, frozen=True, kw_only=True, rename="camel"):
    """Realised profit and loss in dollars; `winRate` is a share from 0 to 1.

    `hypothetical`: from the trades that a shadow would have made.
    """

    pnl: Decimal
    trades: int
    win_rate: Decimal
    hypothetical: bool


class StrategyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A strategy; `externalId` is its name among the other services."""

    id: str
    name: str
    type: str
    status: StrategyStatus
    symbols: list[str]
    risk_mode: str
    last_run: Timestamp | None
    performance: Performance
    external_id: str
    priority: int
    detail: str
    parameters: dict[str, Any]
    mode: str


class StrategiesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of strategies, by name."""

    strategies: list[StrategyAnswer]
    next_cursor: str | None


class CurrentCycle(Struct, frozen=True, kw_only=True, rename="camel"):
    """The cycle that runs now; `progress` is 0 to 100."""

    id: str
    type: str
    started_at: Timestamp
    progress: int
    step: str | None


class LastCycle(Struct, frozen=True, kw_only=True, rename="camel"):
    """The latest cycle that ended; `duration` in milliseconds."""

    id: str
    type: str
    status: str
    completed_at: Timestamp | None
    duration: int | None
    decisions: int
    orders: int


class Stats(Struct, frozen=True, kw_only=True, rename="camel"):
    """Counted since the agent was made."""

    cycles_completed: int
    decisions_generated: int
    orders_executed: int
    errors: int


class StatusAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent as it is now."""

    status: AgentStatus
    uptime: int
    current_cycle: CurrentCycle | None
    last_cycle: LastCycle | None
    stats: Stats
    active_strategies: list[StrategyAnswer]
    next_scheduled_cycle: Timestamp | None
    agent_id: str
    detail: str
    mode: str
    pause_reasons: list[str]
    resume_at: Timestamp | None
    started_at: Timestamp | None
    last_error: str | None
    last_error_at: Timestamp | None


class HealthChecks(Struct, frozen=True, kw_only=True, rename="camel"):
    """What answers; `services` by name."""

    database: Literal["connected", "disconnected"]
    event_bus: Literal["connected", "disconnected"]
    services: dict[str, str]


class HealthAgent(Struct, frozen=True, kw_only=True, rename="camel"):
    """The agent in a line; `currentCycle` is the type of the cycle that runs."""

    status: str
    uptime: int
    current_cycle: str | None


class HealthReconciliation(Struct, frozen=True, kw_only=True, rename="camel"):
    """When the venue's books were last compared with ours, null: not yet; symbols that differ."""

    last_at: Timestamp | None
    drifting: int


class HealthAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The specification's health document, the last comparison with the venue, and what is done
    about an engine that trades by itself (`parked`, `not parked`, `adopt`, `off`, `unknown`).
    """

    status: Literal["healthy", "degraded", "unhealthy"]
    checks: HealthChecks
    agent: HealthAgent
    reconciliation: HealthReconciliation
    self_trading: str


def stamp(at: datetime) -> str:
    """`at` (aware) as the wire has it."""
    assert at.tzinfo is not None, at
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def stamp_or_none(at: datetime | None) -> str | None:
    """As `stamp`; None stays None."""
    return None if at is None else stamp(at)


def milliseconds(duration: timedelta | None) -> int | None:
    """Whole milliseconds; None stays None."""
    return None if duration is None else duration // timedelta(milliseconds=1)


def started_answer(started: Started) -> StartedAnswer:
    """What start answers."""
    agent = started.agent
    return StartedAnswer(
        status="started",
        agent_id=str(agent.id),
        started_at=stamp(agent.started_at or agent.updated_at),
        active_strategies=[str(record.strategy.id) for record in started.strategies],
        mode=agent.mode,
    )


def stopped_answer(stopped: Stopped) -> StoppedAnswer:
    """What stop answers."""
    agent = stopped.agent
    return StoppedAnswer(
        status="stopped",
        stopped_at=stamp(agent.stopped_at or agent.updated_at),
        open_positions=stopped.open_positions,
        pending_orders=stopped.pending_orders,
        in_flight=[
            InFlight(
                saga_id=str(trade.saga.id),
                symbol=trade.order.symbol,
                side=trade.order.side,
                saga_status=trade.saga.status,
                order_status=trade.order.status,
            )
            for trade in stopped.in_flight
        ],
    )


def paused_answer(agent: Agent) -> PausedAnswer:
    """What pause answers."""
    return PausedAnswer(
        status=agent.status,
        resume_at=UNSET if agent.resume_at is None else stamp(agent.resume_at),
        pause_reasons=sorted(agent.pause_reasons),
    )


def resumed_answer(agent: Agent) -> ResumedAnswer:
    """What resume answers."""
    return ResumedAnswer(
        status=agent.status,
        resumed_at=stamp(agent.updated_at),
        pause_reasons=sorted(agent.pause_reasons),
    )


def strategy_answer(record: StrategyRecord) -> StrategyAnswer:
    """One strategy."""
    strategy, performance = record.strategy, record.performance
    return StrategyAnswer(
        id=str(strategy.id),
        name=strategy.name,
        type=strategy.type,
        status=strategy.status,
        symbols=list(strategy.symbols),
        risk_mode=strategy.risk_mode,
        last_run=stamp_or_none(strategy.last_run_at),
        performance=Performance(
            pnl=performance.pnl,
            trades=performance.trades,
            win_rate=performance.win_rate,
            hypothetical=performance.hypothetical,
        ),
        external_id=strategy.external_id,
        priority=strategy.priority,
        detail=strategy.detail,
        parameters=dict(strategy.parameters),
        mode=strategy.mode,
    )


def strategies_answer(
    records: Iterable[StrategyRecord], next_cursor: str | None
) -> StrategiesAnswer:
    """A page of strategies."""
    return StrategiesAnswer(
        strategies=[strategy_answer(record) for record in records], next_cursor=next_cursor
    )


def status_answer(status: Status) -> StatusAnswer:
    """What status answers."""
    agent, counts = status.agent, status.counts
    active = [r for r in status.strategies if r.strategy.status is StrategyStatus.ACTIVE]
    return StatusAnswer(
        status=agent.status,
        uptime=_seconds(status.uptime),
        current_cycle=_current_cycle(status.current_cycle),
        last_cycle=_last_cycle(status.last_cycle),
        stats=Stats(
            cycles_completed=counts.cycles_completed,
            decisions_generated=counts.decisions_generated,
            orders_executed=counts.orders_executed,
            errors=counts.errors_count,
        ),
        active_strategies=[strategy_answer(record) for record in active],
        next_scheduled_cycle=stamp_or_none(status.next_cycle_at),
        agent_id=str(agent.id),
        detail=status.detail,
        mode=agent.mode,
        pause_reasons=sorted(agent.pause_reasons),
        resume_at=stamp_or_none(agent.resume_at),
        started_at=stamp_or_none(agent.started_at),
        last_error=agent.last_error,
        last_error_at=stamp_or_none(agent.last_error_at),
    )


def health_answer(report: HealthReport) -> HealthAnswer:
    """The health document: unhealthy without database, degraded when any other part is amiss."""
    agent = report.agent
    services_well = all(health is Health.HEALTHY for health in report.services.values())
    agent_well = agent is not None and agent.status is not AgentStatus.ERROR
    status: Literal["healthy", "degraded", "unhealthy"] = "healthy"
    if not report.database:
        status = "unhealthy"
    elif not (report.event_bus and services_well and agent_well):
        status = "degraded"
    return HealthAnswer(
        status=status,
        checks=HealthChecks(
            database="connected" if report.database else "disconnected",
            event_bus="connected" if report.event_bus else "disconnected",
            services={name: str(health) for name, health in report.services.items()},
        ),
        agent=HealthAgent(
            status="unknown" if agent is None else str(agent.status),
            uptime=_seconds(report.uptime),
            current_cycle=report.current_cycle,
        ),
        reconciliation=HealthReconciliation(
            last_at=stamp_or_none(report.reconciled_at), drifting=report.drifting
        ),
        self_trading=report.self_trading or "unknown",
    )


def _seconds(duration: timedelta) -> int:
    return duration // timedelta(seconds=1)


def _current_cycle(cycle: Cycle | None) -> CurrentCycle | None:
    if cycle is None:
        return None
    return CurrentCycle(
        id=str(cycle.id),
        type=cycle.type,
        started_at=stamp(cycle.started_at),
        progress=cycle.progress,
        step=cycle.step,
    )


def _last_cycle(cycle: Cycle | None) -> LastCycle | None:
    if cycle is None:
        return None
    return LastCycle(
        id=str(cycle.id),
        type=cycle.type,
        status=cycle.status,
        completed_at=stamp_or_none(cycle.completed_at),
        duration=milliseconds(cycle.duration),
        decisions=cycle.decisions_generated,
        orders=cycle.orders_submitted,
    )
