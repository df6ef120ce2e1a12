"""Decoding of what the services tell of themselves: sessions, health, errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.adapters.nats.conftest import nested
from tradesaga.adapters.nats.payloads import decode_event
from tradesaga.domain.events import (
    Content,
    ErrorOccurred,
    HeartbeatSeen,
    OrderReported,
    SessionChanged,
    Unhandled,
)
from tradesaga.domain.market import SessionKind
from tradesaga.domain.orders import VenueReport

SENT = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
HEARD = SENT + timedelta(milliseconds=250)


def content(event_type: str, /, **payload: Any) -> Content:
    return decode_event(nested(event_type, **payload), HEARD).content


def report(event_type: str, /, **payload: Any) -> VenueReport:
    found = content(event_type, **payload)
    assert isinstance(found, OrderReported)
    return found.report


# ---- envelopes ----------------------------------------------------------------------------------


def test_a_session_change() -> None:
    assert content(
        "market.session.changed",
        previousSession="regular",
        currentSession="post",
        market="US_EQUITY",
        effectiveAt="2025-03-03T21:00:00Z",
        nextChange="2025-03-04T01:00:00Z",
    ) == SessionChanged(
        market="US_EQUITY",
        session=SessionKind.POST,
        effective_at=datetime(2025, 3, 3, 21, 0, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("event_type", "session"),
    [
        ("market.session.opened", SessionKind.REGULAR),
        ("market.session.closed", SessionKind.CLOSED),
    ],
)
def test_a_session_edge_without_fields(event_type: str, session: SessionKind) -> None:
    expected = SessionChanged(market="US_EQUITY", session=session, effective_at=SENT)
    assert content(event_type) == expected


@pytest.mark.parametrize("event_type", ["system.heartbeat", "system.heartbeat.trading-engine"])
def test_a_heartbeat(event_type: str) -> None:
    assert content(
        event_type,
        service="trading-engine",
        instance="1",
        status="Degraded",
        uptime=5,
        memory={"used": 1, "total": 2},
        connections={"database": True},
    ) == HeartbeatSeen(service="trading-engine", status="degraded", at=SENT)


def test_a_health_check() -> None:
    assert content(
        "system.health.check", service="x", status="healthy", checkedAt="2025-03-03T14:59:59Z"
    ) == HeartbeatSeen(service="x", status="healthy", at=SENT - timedelta(seconds=1))


def test_errors() -> None:
    assert content(
        "system.error.occurred",
        service="x",
        errorCode="E1",
        message="m",
        severity="critical",
        context={},
        recoverable=True,
    ) == ErrorOccurred(service="x", severity="critical", code="E1", message="m")
    assert content(
        "system.alert.triggered",
        alertId="a",
        severity="info",
        title="T",
        message="m",
        service="x",
        triggeredAt="2025-03-03T15:00:00Z",
    ) == ErrorOccurred(service="x", severity="info", code="T", message="m")


@pytest.mark.parametrize(
    "event_type",
    [
        "ai.decision.validated",
        "ai.decision.executed",
        "trade.position.closed",
        "analytics.pnl.calculated",
        "market.quote.received",
        "orchestrator.cycle.started",
        "trade.order.replaced",
        "of.the.future",
    ],
)
def test_what_we_do_not_act_on(event_type: str) -> None:
    assert content(event_type, anything=[1, {"x": None}]) == Unhandled(type=event_type)


# ---- anything at all ----------------------------------------------------------------------------
