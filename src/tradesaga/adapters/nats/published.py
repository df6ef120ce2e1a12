"""The payloads of what we publish, as their readers may rely on them.

They are never built: the engine commits a mapping, and tests hold every mapping that it commits
against its form here. From the forms come the JSON Schemas and the AsyncAPI document. A field
without a default is always there; the others are absent, never null.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tradesaga.domain import events

TRACEPARENT = "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$"
ROW = "^[0-9a-f-]{36} [0-9]+$"
Name = Annotated[str, Meta(min_length=1)]
Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0, description="milliseconds")]
CycleKind = Literal["analysis", "heartbeat", "rebalance"]


class Payload(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Wire names are camelCase; nothing else is ever in it."""


class SentMetadata(Payload, frozen=True, kw_only=True):
    """Who tells what, when, and because of what; never a `traceId`, a repeat must be the same."""

    event_id: Name
    event_type: Name
    timestamp: Moment
    source: Name
    version: Name
    correlation_id: Name | UnsetType = UNSET
    causation_id: Name | UnsetType = UNSET


class Sent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole message."""

    metadata: SentMetadata
    payload: Raw


class SentHeaders(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    rename={"message_id": "Nats-Msg-Id", "row": "Tradesaga-Row"},
):  # fmt: skip
    """The headers of what we publish; there is never another."""

    message_id: Annotated[
        Name,
        Meta(description="equals `metadata.eventId`; the stream drops a repeat within its window"),
    ]
    row: (
        Annotated[
            str,
            Meta(
                pattern=ROW,
                description="for ourselves: agent and number of the row of our log",
            ),
        ]
        | UnsetType
    ) = UNSET
    traceparent: (
        Annotated[
            str,
            Meta(pattern=TRACEPARENT, description="W3C Trace Context; only while we trace"),
        ]
        | UnsetType
    ) = UNSET


class CycleStarted(Payload, frozen=True, kw_only=True):
    """A cycle begins; lists are cut at a length that keeps the message small."""

    cycle_id: Name
    type: CycleKind
    cycle_type: Annotated[CycleKind, Meta(description="equals `type`")]
    strategies: Annotated[list[Name], Meta(max_length=events.NAMES_TOLD_MAX)]
    symbols: Annotated[list[Name], Meta(max_length=events.SYMBOLS_TOLD_MAX)]
    scheduled_at: Moment
    started_at: Moment
    triggered_by: Literal["schedule", "manual", "event"]


class FailedStrategy(Payload, frozen=True, kw_only=True):
    """What went wrong; `strategyId` is empty when it was the cycle itself."""

    strategy_id: str
    error: Annotated[str, Meta(max_length=events.TEXT_TOLD_MAX)]


class CycleCompleted(Payload, frozen=True, kw_only=True):
    """A cycle has ended, however."""

    cycle_id: Name
    type: CycleKind
    cycle_type: Annotated[CycleKind, Meta(description="equals `type`")]
    status: Literal["success", "partial", "failed", "cancelled"]
    scheduled_at: Moment
    completed_at: Moment
    decisions: Count
    decisions_generated: Annotated[Count, Meta(description="equals `decisions`")]
    decisions_count: Annotated[Count, Meta(description="equals `decisions`")]
    orders: Count
    orders_submitted: Annotated[Count, Meta(description="equals `orders`")]
    trades_count: Annotated[Count, Meta(description="orders that were filled")]
    duration_ms: Milliseconds
    duration: Annotated[Milliseconds, Meta(description="equals `durationMs`")]
    errors: Annotated[list[FailedStrategy], Meta(max_length=events.ERRORS_TOLD_MAX)]
    error: Annotated[str, Meta(max_length=events.TEXT_TOLD_MAX)] | UnsetType = UNSET


class AskingStrategy(Payload, frozen=True, kw_only=True):
    """The rule that asks, with its numbers."""

    type: Name
    parameters: dict[str, Any]


class AskingPosition(Payload, frozen=True, kw_only=True):
    """What the strategy holds of the symbol; signed."""

    quantity: Decimal


class AnalysisContext(Payload, frozen=True, kw_only=True):
    """What a decision maker may want to know."""

    strategy: AskingStrategy
    position: AskingPosition
    equity: Annotated[Decimal, Meta(description="of the account, in dollars")]


class AnalysisRequested(Payload, frozen=True, kw_only=True):
    """One strategy asks about one symbol; echo `requestId` or the correlation id."""

    request_id: Name
    cycle_id: Name
    strategy_id: Annotated[Name, Meta(description="the name that the platform knows it by")]
    symbol: Name
    symbols: Annotated[list[Name], Meta(min_length=1, max_length=1)]
    analysis_type: Literal["full"]
    priority: Literal["normal"]
    requested_at: Moment
    context: AnalysisContext


class StrategyActivated(Payload, frozen=True, kw_only=True):
    """A strategy may act from now on."""

    strategy_id: Name
    name: Name
    type: Name
    status: Literal["active"]
    symbols: list[Name]
    activated_at: Moment


class StrategyDeactivated(Payload, frozen=True, kw_only=True):
    """A strategy begins nothing any more."""

    strategy_id: Name
    name: Name
    type: Name
    status: Literal["paused", "stopped"]
    symbols: list[Name]
    deactivated_at: Moment


class ErrorOccurred(Payload, frozen=True, kw_only=True):
    """A cycle has failed, or the agent may do less than before."""

    service: Literal["orchestrator"]
    error_code: Name
    message: Annotated[str, Meta(max_length=events.TEXT_TOLD_MAX)]
    severity: Literal["warning", "error", "critical"]
    context: dict[str, Any]
    recoverable: bool
    alert_sent: bool
    occurred_at: Moment
    cycle_id: Name | UnsetType = UNSET


class SagaData(Payload, frozen=True, kw_only=True):
    """What the saga is to do."""

    decision_id: Name
    symbol: Name
    side: Literal["buy", "sell"]
    quantity: Decimal


class SagaStarted(Payload, frozen=True, kw_only=True):
    """A trade saga begins."""

    saga_id: Name
    saga_type: Name
    initial_data: SagaData
    started_at: Moment


class SagaCompleted(Payload, frozen=True, kw_only=True):
    """A trade saga has ended, or waits for a person."""

    saga_id: Name
    saga_type: Name
    result: Literal["success", "compensated", "failed"]
    status: Literal["completed", "completed_partial", "compensated", "manual_required"]
    duration: Milliseconds
    completed_at: Moment


PUBLISHED: dict[str, type[Payload]] = {
    events.CYCLE_STARTED: CycleStarted,
    events.CYCLE_COMPLETED: CycleCompleted,
    events.ANALYSIS_REQUESTED: AnalysisRequested,
    events.STRATEGY_ACTIVATED: StrategyActivated,
    events.STRATEGY_DEACTIVATED: StrategyDeactivated,
    events.ERROR_OCCURRED: ErrorOccurred,
    events.SAGA_STARTED: SagaStarted,
    events.SAGA_COMPLETED: SagaCompleted,
}
"""By event type, all that there are."""
