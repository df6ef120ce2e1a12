"""What a cycle tells the platform: its begin, its end, its failure.

Some names are there twice (`type` and `cycleType`, `decisions` and two more): the platform's
readers know one or the other. Lists and texts are cut, so that every message is small; cycle and
log have them whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.events import (
    CYCLE_COMPLETED,
    CYCLE_STARTED,
    ERROR_OCCURRED,
    ERRORS_TOLD_MAX,
    NAMES_TOLD_MAX,
    SYMBOLS_TOLD_MAX,
    Event,
    brief,
)


def started_event(cycle: Cycle, strategies: Sequence[str], symbols: Sequence[str]) -> Event:
    """`orchestrator.cycle.started`; strategies by their external ids."""
    payload = {
        "cycleId": cycle.id,
        "type": cycle.type,
        "cycleType": cycle.type,
        "strategies": list(strategies[:NAMES_TOLD_MAX]),
        "symbols": list(symbols[:SYMBOLS_TOLD_MAX]),
        "scheduledAt": cycle.scheduled_at,
        "startedAt": cycle.started_at,
        "triggeredBy": cycle.triggered_by,
    }
    return Event(type=CYCLE_STARTED, payload=payload, correlation_id=str(cycle.id))


def completed_event(cycle: Cycle) -> Event:
    """`orchestrator.cycle.completed`, of a cycle that has ended in whatever way."""
    milliseconds = int((cycle.duration or timedelta()) / timedelta(milliseconds=1))
    payload: dict[str, Any] = {
        "cycleId": cycle.id,
        "type": cycle.type,
        "cycleType": cycle.type,
        "status": cycle.outcome,
        "scheduledAt": cycle.scheduled_at,
        "decisions": cycle.decisions_generated,
        "decisionsGenerated": cycle.decisions_generated,
        "decisionsCount": cycle.decisions_generated,
        "orders": cycle.orders_submitted,
        "ordersSubmitted": cycle.orders_submitted,
        "tradesCount": cycle.orders_filled,
        "durationMs": milliseconds,
        "duration": milliseconds,
        "errors": [
            {"strategyId": one.strategy_id or "", "error": brief(one.error)}
            for one in cycle.errors[-ERRORS_TOLD_MAX:]
        ],
        "completedAt": cycle.completed_at,
    }
    if cycle.status is not CycleStatus.COMPLETED and cycle.errors:
        payload["error"] = brief(cycle.errors[-1].error)
    return Event(type=CYCLE_COMPLETED, payload=payload, correlation_id=str(cycle.id))


def failed_event(cycle: Cycle, why: str, now: datetime) -> Event:
    """`orchestrator.error.occurred`, of a cycle that failed."""
    payload = {
        "service": "orchestrator",
        "errorCode": "CYCLE_FAILED",
        "message": brief(why),
        "severity": "error",
        "context": {"cycleType": cycle.type},
        "recoverable": True,
        "alertSent": False,
        "cycleId": cycle.id,
        "occurredAt": now,
    }
    return Event(type=ERROR_OCCURRED, payload=payload, correlation_id=str(cycle.id))
