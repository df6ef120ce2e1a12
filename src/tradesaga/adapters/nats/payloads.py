"""Payloads of the neighbours' events, in all their dialects, as what the domain knows.

Unknown fields are ignored; a missing required one, a number that cannot be meant (NaN, absurd in
size or precision, below zero) or an empty name raises `Unreadable`. An event type that we do not
act on becomes `Unhandled`, whatever it holds.

Those about orders are read in `order_payloads`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from tradesaga.adapters.nats.envelope import Envelope, decode
from tradesaga.adapters.nats.heard import Heard, Moment, Name, Payload, Symbol, Tokens
from tradesaga.adapters.nats.order_payloads import ORDER_FORMS, ORDER_READERS
from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import (
    Content,
    DecisionGenerated,
    ErrorOccurred,
    HeartbeatSeen,
    Incoming,
    SessionChanged,
    Unhandled,
)
from tradesaga.domain.market import SessionKind
from tradesaga.domain.signed_decisions import Refusal, nonce_key


class Check(Protocol):
    """Judges the signature of a message."""

    def refusal(self, envelope: Envelope, now: datetime) -> Refusal | None:
        """Why the message is not taken; None when it is."""
        ...


def decode_event(body: bytes, received_at: datetime, check: Check | None = None) -> Incoming:
    """Read a message as it came from the bus; `check` judges the decisions among them.

    Raises:
        Unreadable: nobody can read it, now or later.
    """
    envelope = decode(body)
    heard = Heard(envelope=envelope, received_at=received_at)
    reader = _READERS.get(envelope.event_type)
    if reader is None and envelope.event_type.startswith("system.heartbeat."):
        reader = _heartbeat
    content = Unhandled(type=envelope.event_type) if reader is None else reader(heard)
    if check is not None and isinstance(content, DecisionGenerated):
        content = replace(
            content,
            refused=check.refusal(envelope, received_at),
            nonce_key=_nonce_key(envelope),
        )
    return Incoming(
        event_id=envelope.event_id,
        type=envelope.event_type,
        source=envelope.source,
        correlation_id=envelope.correlation_id,
        at=envelope.at,
        content=content,
        trace=envelope.trace,
    )


def _nonce_key(envelope: Envelope) -> str | None:
    signature = envelope.signature
    return None if signature is None else nonce_key(envelope.source, signature.nonce)


# ---- decisions ----------------------------------------------------------------------------------


class Decision(Payload, frozen=True, kw_only=True):
    """A decision about a symbol, asked for or not."""

    decision_id: Name
    symbol: Symbol
    action: Name
    confidence: Decimal | None = None
    reasoning: str | list[str] | None = None
    request_id: Name | None = None
    strategy_id: str | None = None
    suggested_quantity: Decimal | None = None
    suggested_price: Decimal | None = None
    model_used: str | None = None
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None


def _decision(heard: Heard) -> Content:
    said = heard.read(Decision)
    reasoning = said.reasoning or ""
    return DecisionGenerated(
        proposal=Proposal(
            external_id=said.decision_id,
            symbol=said.symbol,
            action=said.action,
            confidence=said.confidence,
            reasoning=reasoning if isinstance(reasoning, str) else "; ".join(reasoning),
            said_at=heard.envelope.at,
            request_id=said.request_id,
            strategy_id=said.strategy_id or None,
            suggested_quantity=said.suggested_quantity,
            suggested_price=said.suggested_price,
            model=said.model_used or "",
            prompt_tokens=said.prompt_tokens,
            completion_tokens=said.completion_tokens,
        )
    )


# ---- sessions, health, errors -------------------------------------------------------------------

US_EQUITY = "US_EQUITY"


class SessionChange(Payload, frozen=True, kw_only=True):
    """The market passes into another session."""

    current_session: SessionKind
    market: Name = US_EQUITY
    effective_at: Moment | None = None


class SessionEdge(Payload, frozen=True, kw_only=True):
    """The regular session opens or closes."""

    market: Name = US_EQUITY


class Heartbeat(Payload, frozen=True, kw_only=True):
    """A service says how it is."""

    service: Name
    status: Name
    checked_at: Moment | None = None


class Error(Payload, frozen=True, kw_only=True):
    """Something went wrong in a service."""

    service: Name
    message: str
    severity: Name
    error_code: str = ""


class Alert(Payload, frozen=True, kw_only=True):
    """A service has raised an alert."""

    service: Name
    message: str
    severity: Name
    title: str = ""


def _session(heard: Heard) -> Content:
    said = heard.read(SessionChange)
    at = heard.envelope.at if said.effective_at is None else said.effective_at.astimezone(UTC)
    return SessionChanged(market=said.market, session=said.current_session, effective_at=at)


def _opened(heard: Heard) -> Content:
    market = heard.read(SessionEdge).market
    return SessionChanged(
        market=market, session=SessionKind.REGULAR, effective_at=heard.envelope.at
    )


def _closed(heard: Heard) -> Content:
    market = heard.read(SessionEdge).market
    return SessionChanged(market=market, session=SessionKind.CLOSED, effective_at=heard.envelope.at)


def _heartbeat(heard: Heard) -> Content:
    said = heard.read(Heartbeat)
    at = heard.envelope.at if said.checked_at is None else said.checked_at.astimezone(UTC)
    return HeartbeatSeen(service=said.service, status=said.status.lower(), at=at)


def _error(heard: Heard) -> Content:
    said = heard.read(Error)
    return ErrorOccurred(
        service=said.service, severity=said.severity, code=said.error_code, message=said.message
    )


def _alert(heard: Heard) -> Content:
    said = heard.read(Alert)
    return ErrorOccurred(
        service=said.service, severity=said.severity, code=said.title, message=said.message
    )


_READERS: dict[str, Callable[[Heard], Content]] = {
    "ai.decision.generated": _decision,
    **ORDER_READERS,
    "market.session.changed": _session,
    "market.session.opened": _opened,
    "market.session.closed": _closed,
    "system.heartbeat": _heartbeat,
    "system.health.check": _heartbeat,
    "system.error.occurred": _error,
    "system.alert.triggered": _alert,
}

HEARD: dict[str, type[Payload]] = {
    "ai.decision.generated": Decision,
    **ORDER_FORMS,
    "market.session.changed": SessionChange,
    "market.session.opened": SessionEdge,
    "market.session.closed": SessionEdge,
    "system.heartbeat": Heartbeat,
    "system.health.check": Heartbeat,
    "system.error.occurred": Error,
    "system.alert.triggered": Alert,
}
"""What each reader needs and understands, by event type."""
assert HEARD.keys() == _READERS.keys(), "every reader has its form"
