"""The metrics as a scraper reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tradesaga.adapters.prometheus import LABEL_VALUES_MAX, PrometheusMetrics
from tradesaga.domain.ladder import Cause
from tradesaga.ports.metrics import ErrorType

SPECIFIED = {
    "orchestrator_cycles_total": "counter",
    "orchestrator_cycle_duration_ms": "histogram",
    "orchestrator_decisions_total": "counter",
    "orchestrator_orders_total": "counter",
    "orchestrator_errors_total": "counter",
    "orchestrator_agent_uptime": "gauge",
    "orchestrator_strategies_active": "gauge",
}
OURS = {
    "orchestrator_cycles_skipped_total": "counter",
    "orchestrator_cycle_duration_seconds": "histogram",
    "orchestrator_schedule_lateness_seconds": "histogram",
    "orchestrator_rate_limited_total": "counter",
    "orchestrator_last_cycle_timestamp_seconds": "gauge",
    "orchestrator_build_info": "gauge",
    "orchestrator_invariants_broken": "gauge",
    "orchestrator_rows_archived_total": "counter",
    "orchestrator_reconciliation_lag_seconds": "gauge",
    "orchestrator_last_reconciliation_timestamp_seconds": "gauge",
    "orchestrator_drifting_symbols": "gauge",
    "orchestrator_ladder_rung": "gauge",
    "orchestrator_breaker_state": "gauge",
    "orchestrator_kill_unresolved": "gauge",
    "orchestrator_spans_total": "counter",
    "orchestrator_journal_batch_changes": "histogram",
    "orchestrator_journal_commit_seconds": "histogram",
    "orchestrator_loop_lag_seconds": "histogram",
    "orchestrator_leading": "gauge",
    "orchestrator_sagas_open": "gauge",
    "orchestrator_sagas_waiting_for_person": "gauge",
    "orchestrator_orders_unresolved": "gauge",
    "orchestrator_outbox_stuck_seconds": "gauge",
    "orchestrator_outbox_lag_seconds": "gauge",
    "orchestrator_agents_driven": "gauge",
    "orchestrator_agents_ready": "gauge",
    "orchestrator_agents_worst_rung": "gauge",
    "orchestrator_agents_invariants_broken": "gauge",
}
NOW = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(version="1.2.3", now=lambda: NOW)


def value(metrics: PrometheusMetrics, name: str, **labels: str) -> float | None:
    """One sample; None when there is no such series."""
    body, _ = metrics.text()
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_names_and_types_are_the_specifications(metrics: PrometheusMetrics) -> None:
    body, media_type = metrics.text()
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    types = [line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    assert {name: kind for name, kind in types} == SPECIFIED | OURS  # noqa: C416  # checks pairs


def test_a_cycle_is_counted_by_type_and_status(metrics: PrometheusMetrics) -> None:
    metrics.cycle_ended("analysis", "completed", timedelta(milliseconds=40))
    metrics.cycle_ended("analysis", "failed", timedelta(seconds=300))
    labels = {"type": "analysis", "status": "completed"}
    assert value(metrics, "orchestrator_cycles_total", **labels) == 1
    durations = "orchestrator_cycle_duration_ms"
    assert value(metrics, f"{durations}_bucket", type="analysis", le="25.0") == 0
    assert value(metrics, f"{durations}_bucket", type="analysis", le="50.0") == 1
    assert value(metrics, f"{durations}_bucket", type="analysis", le="120000.0") == 1
    assert value(metrics, f"{durations}_bucket", type="analysis", le="+Inf") == 2
    assert value(metrics, f"{durations}_sum", type="analysis") == 300040
    assert value(metrics, "orchestrator_cycle_duration_seconds_sum", type="analysis") == 300.04
    last = value(metrics, "orchestrator_last_cycle_timestamp_seconds", type="analysis")
    assert last == NOW.timestamp()


def test_known_series_are_there_before_the_first_event(metrics: PrometheusMetrics) -> None:
    expected = [
        ("orchestrator_cycles_total", {"type": "rebalance", "status": "cancelled"}),
        ("orchestrator_decisions_total", {"action": "hold", "verdict": "held"}),
        ("orchestrator_decisions_total", {"action": "buy", "verdict": "denied"}),
        ("orchestrator_orders_total", {"status": "not_placed"}),
        ("orchestrator_cycle_duration_ms_count", {"type": "heartbeat"}),
        ("orchestrator_errors_total", {"type": "dead_letter"}),
        ("orchestrator_errors_total", {"type": "ladder_drift"}),
        ("orchestrator_cycles_skipped_total", {"type": "analysis", "reason": "overlap"}),
        ("orchestrator_rate_limited_total", {"service": "market-data", "outcome": "told"}),
    ]
    for name, labels in expected:
        assert value(metrics, name, **labels) == 0, name
    assert value(metrics, "orchestrator_cycles_total", type="analysis", status="started") is None


def test_the_other_counters(metrics: PrometheusMetrics) -> None:
    metrics.decision_made("buy", "allowed")
    metrics.order_ended("filled")
    metrics.error_occurred(ErrorType.RETENTION)
    metrics.error_occurred(Cause.DRIFT)
    metrics.cycle_skipped("analysis", "overlap")
    assert value(metrics, "orchestrator_decisions_total", action="buy", verdict="allowed") == 1
    assert value(metrics, "orchestrator_orders_total", status="filled") == 1
    assert value(metrics, "orchestrator_errors_total", type="retention") == 1
    assert value(metrics, "orchestrator_errors_total", type="ladder_drift") == 1
    labels = {"type": "analysis", "reason": "overlap"}
    assert value(metrics, "orchestrator_cycles_skipped_total", **labels) == 1
    assert value(metrics, "orchestrator_build_info", version="1.2.3") == 1


def test_gauges_hold_what_was_set(metrics: PrometheusMetrics) -> None:
    metrics.agent_up(timedelta(milliseconds=1500))
    metrics.strategies_active(3)
    assert value(metrics, "orchestrator_agent_uptime") == 1.5
    assert value(metrics, "orchestrator_strategies_active") == 3


def test_gauges_can_be_read_at_scrape_time(metrics: PrometheusMetrics) -> None:
    uptime = timedelta(seconds=1)
    metrics.read_at_scrape(uptime=lambda: uptime, strategies_active=lambda: 2)
    assert value(metrics, "orchestrator_agent_uptime") == 1
    uptime = timedelta(seconds=60)
    assert value(metrics, "orchestrator_agent_uptime") == 60
    assert value(metrics, "orchestrator_strategies_active") == 2


def test_every_error_has_room_for_its_own_series(metrics: PrometheusMetrics) -> None:
    for error in (*ErrorType, *Cause):
        metrics.error_occurred(error)
    assert value(metrics, "orchestrator_errors_total", type="other") is None
    assert value(metrics, "orchestrator_errors_total", type="stray_order") == 1
    assert value(metrics, "orchestrator_errors_total", type="ladder_stray_order") == 1


def test_labels_that_are_ids_by_mistake_stay_bounded(metrics: PrometheusMetrics) -> None:
    for number in range(LABEL_VALUES_MAX + 5):
        metrics.rows_archived(f"table-{number}", 1)
        metrics.cycle_ended("analysis", f"status-{number}", timedelta(seconds=1))
    assert value(metrics, "orchestrator_rows_archived_total", table="other") == 5
    # The bound is on pairs: the first hundred are known, the type of the others is lost as well.
    assert value(metrics, "orchestrator_cycles_total", type="other", status="other") == 5
    assert value(metrics, "orchestrator_cycle_duration_ms_count", type="other") == 5


def test_two_registries_do_not_meet() -> None:
    one, two = (PrometheusMetrics(version="1", now=lambda: NOW) for _ in range(2))
    one.error_occurred(ErrorType.API)
    assert value(two, "orchestrator_errors_total", type="api") == 0


def test_the_number_of_broken_invariants_is_the_last_one_told(metrics: PrometheusMetrics) -> None:
    assert value(metrics, "orchestrator_invariants_broken") == 0
    metrics.invariants_broken(3)
    metrics.invariants_broken(1)
    assert value(metrics, "orchestrator_invariants_broken") == 1
