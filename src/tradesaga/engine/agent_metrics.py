"""The metrics of one agent of many: what is counted is counted together, what stands is told apart.

A gauge that each agent set would show the one that set it last. So what an agent beside the
default one sets is kept here, and its node shows the worst or the sum of it under a name of its
own: as many series as without it, however many agents there are.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tradesaga.domain.ladder import Cause
from tradesaga.ports.metrics import ErrorType, Metrics


class AgentMetrics:
    """Implements `ports.metrics.Metrics` for one agent; `shared` counts for all of them."""

    def __init__(self, shared: Metrics) -> None:
        self._shared = shared
        self.rung = 0
        self.broken = 0

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        """Counted together, as all down to `rows_archived`."""
        self._shared.cycle_ended(cycle_type, status, duration)

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        """See the port."""
        self._shared.cycle_began(cycle_type, late)

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        """See the port."""
        self._shared.cycle_skipped(cycle_type, reason, number)

    def decision_made(self, action: str, verdict: str) -> None:
        """See the port."""
        self._shared.decision_made(action, verdict)

    def order_ended(self, status: str) -> None:
        """See the port."""
        self._shared.order_ended(status)

    def rate_limited(self, service: str, outcome: str) -> None:
        """See the port."""
        self._shared.rate_limited(service, outcome)

    def error_occurred(self, error_type: ErrorType | Cause) -> None:
        """See the port."""
        self._shared.error_occurred(error_type)

    def rows_archived(self, table: str, number: int) -> None:
        """See the port."""
        self._shared.rows_archived(table, number)

    def ladder_rung(self, severity: int) -> None:
        """Kept."""
        self.rung = severity

    def invariants_broken(self, number: int) -> None:
        """Kept."""
        self.broken = number

    def agent_up(self, uptime: timedelta) -> None:
        """Told by its status, not by a series."""

    def strategies_active(self, number: int) -> None:
        """As `agent_up`."""

    def kill_unresolved(self, number: int) -> None:
        """As `agent_up`: the answer of the kill tells it."""

    def reconciled(self, at: datetime, drifting: int) -> None:
        """As `agent_up`: what drifts stands on its ladder."""
