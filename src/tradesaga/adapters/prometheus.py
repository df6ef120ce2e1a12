"""The metrics in Prometheus' text format: the specification's seven, and more.

Names, types and the unit of `orchestrator_cycle_duration_ms` are the specification's; the same
durations stand under `..._seconds` as well, the unit that Prometheus asks for. Every known label
value exists from the start with zero, so that a rate is right from its first event on. Labels are
enums and bounded: beyond `LABEL_VALUES_MAX` values of one label the rest is counted as "other".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import product
from types import MappingProxyType
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from tradesaga.domain.circuit import CircuitState
from tradesaga.domain.cycle import CycleStatus, CycleType
from tradesaga.domain.decisions import Action, Verdict
from tradesaga.domain.ladder import Cause
from tradesaga.domain.orders import ENDED
from tradesaga.domain.schedule import Missed
from tradesaga.ports.metrics import ErrorType

BREAKER_STATES: Final = (CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN)
BUCKETS_MS: Final = (
    1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000,
)  # fmt: skip
"""Up to the default timeout of a cycle, two minutes."""
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
LATENCY_BUCKETS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip
VITAL_SENTENCES: Final = {
    "leading": "1 while this node holds the agent.",
    "sagas_open": "Sagas that have not ended.",
    "sagas_waiting_for_person": "Sagas that no machine can end.",
    "orders_unresolved": "Orders whose outcome nobody knows yet.",
    "outbox_stuck_seconds": "Seconds since the bus has not taken what waits.",
    "outbox_lag_seconds": "Seconds since the oldest event that waits was committed.",
    "agents_driven": "Agents beside the default one that this node drives.",
    "agents_ready": "Those of them that lead and have been recovered.",
    "agents_worst_rung": "The worst rung that stands for everything of one of them.",
    "agents_invariants_broken": "Invariants that do not hold, over all of them.",
}
SERVICES: Final = ("trading-engine", "ai-decision", "market-data")
LABEL_VALUES_MAX: Final = 100
OTHER: Final = "other"


class PrometheusMetrics:
    """Implements `ports.metrics.Metrics`; a registry of its own, so that there may be several."""

    def __init__(self, *, version: str, now: Callable[[], datetime]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
        self._now = now
        self._registry = CollectorRegistry()
        self._known: dict[Counter, set[tuple[str, ...]]] = {}
        self._cycles = self._counter("cycles", "Cycles that ended.", "type", "status")
        self._skipped = self._counter(
            "cycles_skipped", "Ticks that did not become a cycle.", "type", "reason"
        )
        self._decisions = self._counter("decisions", "Decisions generated.", "action", "verdict")
        self._orders = self._counter("orders", "Orders that ended.", "status")
        self._archived = self._counter(
            "rows_archived", "Rows that left a working table for the archive.", "table"
        )
        self._limited = self._counter(
            "rate_limited", "Requests that a rate limit held up.", "service", "outcome"
        )
        self._errors = self._counter("errors", "Errors.", "type")
        self._durations_ms = self._histogram(
            "cycle_duration_ms", "Cycle execution time in milliseconds.", BUCKETS_MS
        )
        in_seconds = [bucket / 1000 for bucket in BUCKETS_MS]
        self._durations_seconds = self._histogram(
            "cycle_duration_seconds", "Cycle execution time.", in_seconds
        )
        self._lateness = self._histogram(
            "schedule_lateness_seconds", "From a fire to its cycle.", in_seconds
        )
        self._breakers = self._gauge(
            "breaker_state", "Breaker of a neighbour: 0 closed, 1 half open, 2 open.", "service"
        )
        self._uptime = self._gauge("agent_uptime", "Seconds since the agent started.")
        self._strategies = self._gauge("strategies_active", "Strategies that are active.")
        self._invariants = self._gauge(
            "invariants_broken", "Invariants that the last check found broken."
        )
        self._rung = self._gauge(
            "ladder_rung", "Rung in force: 0 NORMAL, 1 NO_ENTRIES, 2 REDUCE_ONLY, 3 HALTED."
        )
        self._unresolved = self._gauge(
            "kill_unresolved", "Orders without a verdict when the last kill's time was up."
        )
        self._drifting = self._gauge(
            "drifting_symbols", "Symbols on which the last comparison found other positions."
        )
        self._reconciled = self._gauge(
            "last_reconciliation_timestamp_seconds",
            "When the books were last compared, Unix time of the service's clock.",
        )
        self._lag = self._gauge(
            "reconciliation_lag_seconds", "Seconds since that comparison, or since the start."
        )
        self._last_cycle = Gauge(
            "orchestrator_last_cycle_timestamp_seconds",
            "When the last cycle ended, Unix time.",
            ["type"],
            registry=self._registry,
        )
        Info("orchestrator_build", "What runs.", registry=self._registry).info({"version": version})
        self._of_the_process()
        self._prepare()

    def _of_the_process(self) -> None:
        self._batches = self._plain_histogram(
            "journal_batch_changes", "Changes in one commit of the journal.", BATCH_BUCKETS
        )
        self._commits = self._plain_histogram(
            "journal_commit_seconds", "From a batch's sending to its outcome.", LATENCY_BUCKETS
        )
        self._loop_lag = self._plain_histogram(
            "loop_lag_seconds", "How late the event loop comes to what is due.", LATENCY_BUCKETS
        )
        self._spans = self._counter("spans", "Spans of traces.", "outcome")
        self._vitals = {
            name: self._gauge(name, sentence) for name, sentence in VITAL_SENTENCES.items()
        }

    def cycle_ended(self, cycle_type: str, status: str, duration: timedelta) -> None:
        """Count the cycle and its duration."""
        if not self._count(self._cycles, cycle_type, status):
            cycle_type = OTHER
        seconds = duration.total_seconds()
        self._durations_ms.labels(cycle_type).observe(seconds * 1000)
        self._durations_seconds.labels(cycle_type).observe(seconds)
        self._last_cycle.labels(cycle_type).set(self._now().timestamp())

    def cycle_began(self, cycle_type: str, late: timedelta) -> None:
        """Note how late the cycle begins."""
        self._lateness.labels(cycle_type).observe(late.total_seconds())

    def cycle_skipped(self, cycle_type: str, reason: str, number: int = 1) -> None:
        """Count ticks that did not become cycles."""
        self._count(self._skipped, cycle_type, reason, number=number)

    def decision_made(self, action: str, verdict: str) -> None:
        """Count a decision."""
        self._count(self._decisions, action, verdict)

    def order_ended(self, status: str) -> None:
        """Count an order that ended."""
        self._count(self._orders, status)

    def rate_limited(self, service: str, outcome: str) -> None:
        """Count a request that waited for a token or found none, or that a neighbour refused."""
        self._count(self._limited, service, outcome)

    def breaker_state(self, service: str, state: CircuitState) -> None:
        """Set where the breaker of a neighbour stands."""
        self._breakers.labels(service).set(BREAKER_STATES.index(state))

    def error_occurred(self, error_type: ErrorType | Cause) -> None:
        """Count an error."""
        self._count(self._errors, _named(error_type))

    def agent_up(self, uptime: timedelta) -> None:
        """Set the uptime; `read_at_scrape` replaces this."""
        self._uptime.set(uptime.total_seconds())

    def strategies_active(self, number: int) -> None:
        """Set the number of active strategies; `read_at_scrape` replaces this."""
        self._strategies.set(number)

    def ladder_rung(self, severity: int) -> None:
        """Set the rung in force for everything."""
        self._rung.set(severity)

    def kill_unresolved(self, number: int) -> None:
        """Set how many orders the last kill left without a verdict."""
        self._unresolved.set(number)

    def invariants_broken(self, number: int) -> None:
        """Set how many invariants do not hold."""
        self._invariants.set(number)

    def rows_archived(self, table: str, number: int) -> None:
        """Count rows that left a working table."""
        self._count(self._archived, table, number=number)

    def reconciled(self, at: datetime, drifting: int) -> None:
        """Set when the books were last compared, and on how many symbols they differ."""
        self._reconciled.set(at.timestamp())
        self._drifting.set(drifting)

    def batch_written(self, changes: int, seconds: float) -> None:
        """Note one commit of the journal."""
        self._batches.observe(changes)
        self._commits.observe(seconds)

    def spans_went(self, outcome: str, number: int) -> None:
        """Count spans that ended: `exported`, `dropped` or `lost`; by any thread."""
        self._count(self._spans, outcome, number=number)

    def loop_came(self, late: float) -> None:
        """Note how many seconds late the event loop came to a timer."""
        self._loop_lag.observe(late)

    def read_at_scrape(
        self,
        vitals: Mapping[str, Callable[[], float]] = MappingProxyType({}),
        *,
        uptime: Callable[[], timedelta] | None = None,
        strategies_active: Callable[[], int] | None = None,
        reconciliation_lag: Callable[[], timedelta] | None = None,
    ) -> None:
        """Ask these for the gauges whenever `text` is called; they must neither wait nor raise.

        Raises KeyError for a vital that has no gauge.
        """
        for name, asked in vitals.items():
            self._vitals[name].set_function(asked)
        if uptime is not None:
            self._uptime.set_function(lambda: uptime().total_seconds())
        if strategies_active is not None:
            self._strategies.set_function(strategies_active)
        if reconciliation_lag is not None:
            self._lag.set_function(lambda: reconciliation_lag().total_seconds())

    def text(self) -> tuple[bytes, str]:
        """All metrics as they are now, and the content type of that text."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _counter(self, name: str, sentence: str, *labels: str) -> Counter:
        counter = Counter(f"orchestrator_{name}", sentence, labels, registry=self._registry)
        self._known[counter] = set()
        return counter

    def _gauge(self, name: str, sentence: str, *labels: str) -> Gauge:
        return Gauge(f"orchestrator_{name}", sentence, labels, registry=self._registry)

    def _histogram(self, name: str, sentence: str, buckets: Iterable[float]) -> Histogram:
        return Histogram(
            f"orchestrator_{name}",
            sentence,
            ["type"],
            buckets=tuple(buckets),
            registry=self._registry,
        )

    def _plain_histogram(self, name: str, sentence: str, buckets: Iterable[float]) -> Histogram:
        return Histogram(
            f"orchestrator_{name}", sentence, buckets=tuple(buckets), registry=self._registry
        )

    def _count(self, counter: Counter, *labels: str, number: int = 1) -> bool:
        """Add `number`; False when the labels went beyond the bound and were counted as other."""
        known = self._known[counter]
        if labels not in known:
            if len(known) >= LABEL_VALUES_MAX:
                counter.labels(*([OTHER] * len(labels))).inc(number)
                return False
            known.add(labels)
        counter.labels(*labels).inc(number)
        return True

    def _prepare(self) -> None:
        self._prepare_cycles()
        for outcome in ("exported", "dropped", "lost"):
            self._count(self._spans, outcome, number=0)
        for service, outcome in product(SERVICES, ("waited", "refused", "told")):
            self._count(self._limited, service, outcome, number=0)
        for error in (*ErrorType, *Cause):
            self._count(self._errors, _named(error), number=0)
        for action, verdict in product(Action, Verdict):
            # A HOLD is held and nothing else is.
            if (action is Action.HOLD) == (verdict is Verdict.HELD):
                self._decisions.labels(action, verdict)
        for status_of_order in ENDED:
            self._orders.labels(status_of_order)

    def _prepare_cycles(self) -> None:
        ends = [status for status in CycleStatus if status is not CycleStatus.STARTED]
        for cycle_type in CycleType:
            self._durations_ms.labels(cycle_type)
            self._durations_seconds.labels(cycle_type)
            self._lateness.labels(cycle_type)
            for status in ends:
                self._cycles.labels(cycle_type, status)
            for why in [Missed.JOURNAL] if cycle_type is CycleType.HEARTBEAT else Missed:
                self._count(self._skipped, cycle_type, why, number=0)


def _named(error: ErrorType | Cause) -> str:
    return f"ladder_{error.lower()}" if isinstance(error, Cause) else error.value
