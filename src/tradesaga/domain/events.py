"""Events: what leaves through the outbox, and what the neighbours tell us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.market import SessionKind
from tradesaga.domain.orders import VenueReport
from tradesaga.domain.signed_decisions import Refusal
from tradesaga.domain.trace_context import TraceContext
from tradesaga.domain.values import quick

CYCLE_STARTED = "orchestrator.cycle.started"
CYCLE_COMPLETED = "orchestrator.cycle.completed"
ANALYSIS_REQUESTED = "orchestrator.analysis.requested"
STRATEGY_ACTIVATED = "orchestrator.strategy.activated"
STRATEGY_DEACTIVATED = "orchestrator.strategy.deactivated"
ERROR_OCCURRED = "orchestrator.error.occurred"
SAGA_STARTED = "orchestrator.saga.started"
SAGA_COMPLETED = "orchestrator.saga.completed"

NAMES_TOLD_MAX = 100
SYMBOLS_TOLD_MAX = 500
ERRORS_TOLD_MAX = 40
TEXT_TOLD_MAX = 500
"""What one event tells at most: the platform's stream takes messages of up to 32 KiB."""


def brief(text: str) -> str:
    """`text` as an event may carry it; the log has it whole."""
    return text if len(text) <= TEXT_TOLD_MAX else text[: TEXT_TOLD_MAX - 1] + "…"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of ours; its id is derived from its place in the log. Keys are wire names."""

    type: str
    payload: Mapping[str, Any]
    correlation_id: str | None = None
    causation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionGenerated:
    """`ai.decision.generated`; `refused` for its signature, which has its nonce for ever."""

    proposal: Proposal
    refused: Refusal | None = None
    nonce_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReported:
    """Any of `trade.order.*`: said of an order that may be ours."""

    report: VenueReport


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """`market.session.*`: may only tighten our own calendar."""

    market: str
    session: SessionKind
    effective_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSeen:
    """`system.heartbeat`: status is healthy, degraded or unhealthy."""

    service: str
    status: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorOccurred:
    """`system.error.occurred` of another service."""

    service: str
    severity: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unhandled:
    """An event that we log and do not act on, such as `ai.decision.validated`."""

    type: str


Content = (
    DecisionGenerated | OrderReported | SessionChanged | HeartbeatSeen | ErrorOccurred | Unhandled
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A neighbour's event, decoded. `event_id` is theirs: the key of the inbox.

    `trace` is where it was sent, if its sender and we trace.
    """

    event_id: str
    type: str
    source: str
    correlation_id: str | None
    at: datetime
    content: Content
    trace: TraceContext | None = None
