"""The figures that the engine reports; their names are the specification's."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from tradesaga.domain.ladder import Cause


class ErrorType(StrEnum):
    """What `orchestrator_errors_total` counts beside the causes of the ladder."""

    API = "api"
    BUS_REGRESSION = "bus_regression"
    CALENDAR_ENDS_SOON = "calendar_ends_soon"
    CASH_DRIFT = "cash_drift"
    CLOCK_SKEW = "clock_skew"
    CRASH_LOOP = "crash_loop"
    CYCLE_FAILED = "cycle_failed"
    CYCLES_FAILED = "cycles_failed"
    DEAD_LETTER = "dead_letter"
    DEAD_LETTER_DROPPED = "dead_letter_dropped"
    DECISION_REFUSED = "decision_refused"
    EXTERNAL_ORDER = "external_order"
    FORGOTTEN_ORDER = "forgotten_order"
    FILL_BUSTED = "fill_busted"
    INVARIANT_BROKEN = "invariant_broken"
    KILL_UNRESOLVED = "kill_unresolved"
    NEIGHBOUR = "neighbour"
    ORDER_REVIVED = "order_revived"
    POSITION_DRIFT = "position_drift"
    RECONCILIATION = "reconciliation"
    RETENTION = "retention"
    SAGA_MANUAL_REQUIRED = "saga_manual_required"
    SESSION_SOURCES_DISAGREE = "session_sources_disagree"
    START_LATE = "start_late"
    STRATEGY_CLOSE_FAILED = "strategy_close_failed"
    STRAY_ORDER = "stray_order"


class Metrics(Protocol):
    """Counters and gauges; never raises, never waits. Labels are enums, never ids."""

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        """`orchestrator_cycles_total`, `orchestrator_cycle_duration_ms`."""
        ...

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        """`orchestrator_schedule_lateness_seconds`: so long after the oldest fire that began it."""
        ...

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        """Ticks that did not become cycles."""
        ...

    def decision_made(self, action: str, verdict: str) -> None:
        """`orchestrator_decisions_total`."""
        ...

    def order_ended(self, status: str) -> None:
        """`orchestrator_orders_total`."""
        ...

    def rate_limited(self, service: str, outcome: str) -> None:
        """`orchestrator_rate_limited_total`."""
        ...

    def error_occurred(self, error_type: ErrorType | Cause) -> None:
        """`orchestrator_errors_total`; a cause entered the ladder, as `ladder_` and its name."""
        ...

    def agent_up(self, uptime: timedelta) -> None:
        """`orchestrator_agent_uptime`."""
        ...

    def strategies_active(self, number: int) -> None:
        """`orchestrator_strategies_active`."""
        ...

    def ladder_rung(self, severity: int) -> None:
        """`orchestrator_ladder_rung`: 0 NORMAL to 3 HALTED."""
        ...

    def kill_unresolved(self, number: int) -> None:
        """`orchestrator_kill_unresolved`."""
        ...

    def invariants_broken(self, number: int) -> None:
        """`orchestrator_invariants_broken`."""
        ...

    def rows_archived(self, table: str, number: int) -> None:
        """`orchestrator_rows_archived_total`."""
        ...

    def reconciled(self, at: datetime, drifting: int) -> None:
        """`orchestrator_last_reconciliation_timestamp_seconds`, `orchestrator_drifting_symbols`."""
        ...
