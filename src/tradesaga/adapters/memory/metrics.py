"""The engine's figures as plain numbers, to be read when all is over."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from tradesaga.domain.ladder import Cause
from tradesaga.ports.metrics import ErrorType


class CountingMetrics:
    """Implements `ports.metrics.Metrics`; of what the journal does not tell, it keeps the count.

    `skipped` counts ticks by cycle type and reason, `errors` by type.
    """

    def __init__(self) -> None:
        self.skipped = Counter[str]()
        self.errors = Counter[str]()

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        """The cycle is in the journal."""

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        """Market time stands still between a fire and its cycle."""

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        """Count it."""
        self.skipped[f"{cycle_type} {reason}"] += number

    def decision_made(self, action: str, verdict: str) -> None:
        """The decision is in the journal."""

    def order_ended(self, status: str) -> None:
        """The order is in the journal."""

    def rate_limited(self, service: str, outcome: str) -> None:
        """The cycle says in its errors what it did not ask."""

    def error_occurred(self, error_type: ErrorType | Cause) -> None:
        """Count it."""
        self.errors[error_type] += 1

    def agent_up(self, uptime: timedelta) -> None:
        """Nobody asks."""

    def strategies_active(self, number: int) -> None:
        """Nobody asks."""

    def ladder_rung(self, severity: int) -> None:
        """What stands is in the journal."""

    def kill_unresolved(self, number: int) -> None:
        """The alerts are in the journal."""

    def invariants_broken(self, number: int) -> None:
        """The alerts are in the journal."""

    def rows_archived(self, table: str, number: int) -> None:
        """Nothing is old enough."""

    def reconciled(self, at: datetime, drifting: int) -> None:
        """Nobody asks."""
