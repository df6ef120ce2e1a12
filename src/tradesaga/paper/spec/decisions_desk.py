"""The ai-decision service at work in the spec dialect: requests by bus or HTTP, answers by both.

A decision's id is a function of its request, and its answer of the recording: a request that is
delivered twice, or again after a crash, makes the same decision once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from structlog import get_logger

from tradesaga.paper.decisions import Action, Judgement, Proposal, Question
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.identifiers import derived_uuid7
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.spec.events import event
from tradesaga.paper.spec.wire import Wire, encode, passed_on
from tradesaga.paper.store import Outgoing, Store

SERVICE = "ai-decision"
GENERATED = "ai.decision.generated"
PRUNE_EVERY = 1000
_log = get_logger(__name__)


class AskedPosition(Wire, frozen=True, kw_only=True):
    """What is held of the symbol, as the asker knows it."""

    quantity: Decimal = Decimal(0)
    average_entry_price: Decimal | None = None


class AskedStrategy(Wire, frozen=True, kw_only=True):
    """Which rule to judge by."""

    type: str
    name: str | None = None
    parameters: dict[str, Any] | None = None


class Context(Wire, frozen=True, kw_only=True):
    """What the asker gives along; all else in it is ignored."""

    strategy: AskedStrategy | None = None
    position: AskedPosition | None = None
    equity: Decimal | None = None


class Asked(Wire, frozen=True, kw_only=True):
    """The payload of `orchestrator.analysis.requested`, as far as it is read."""

    request_id: str
    strategy_id: str = ""
    symbol: str | None = None
    symbols: list[str] | None = None
    requested_at: datetime | None = None
    context: Context | None = None


class AskedMetadata(Wire, frozen=True, kw_only=True):
    """As much of the envelope as is read, nested or flat."""

    event_id: str


class Message(Wire, frozen=True, kw_only=True):
    """A request on the bus in either form of the envelope."""

    payload: Asked
    metadata: AskedMetadata | None = None
    event_id: str | None = None


class Factor(Wire, frozen=True, kw_only=True):
    """One number that spoke for the decision."""

    name: str
    direction: str
    weight: Decimal
    description: str


class Decision(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A decision as it is stored, looked up and published."""

    decision_id: str
    symbol: str
    strategy_id: str
    action: Action
    confidence: Decimal
    reasoning: str
    factors: tuple[Factor, ...]
    risk_level: str
    model_used: str
    as_of: datetime
    created_at: datetime
    suggested_quantity: Decimal | None = None
    suggested_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


def fields_of(decision: Decision) -> dict[str, Any]:
    """The decision by its names on the wire; decimals and moments are still such."""
    fields: dict[str, Any] = msgspec.to_builtins(decision, builtin_types=(Decimal, datetime))
    return fields


class DecisionDesk:
    """Judges, stores, publishes."""

    def __init__(
        self,
        judgement: Judgement,
        store: Store,
        outbox: Outbox,
        faults: FaultBook,
        *,
        now: Callable[[], datetime],
        sign: Callable[[Outgoing, datetime], Outgoing] | None = None,
    ) -> None:
        self._sign = sign
        self.store = store
        self.faults = faults
        self.now = now
        self._judgement = judgement
        self._outbox = outbox
        self._made = 0

    def on_message(self, raw: bytes, traceparent: object = None) -> bool:
        """Answer a request from the bus; False when it cannot be read and never will be."""
        try:
            message = msgspec.json.decode(raw, type=Message)
        except msgspec.DecodeError as error:
            _log.error("request_unreadable", reason=str(error))
            return False
        nested = message.metadata
        causation_id = message.event_id if nested is None else nested.event_id
        trace = passed_on(traceparent)
        self.decide(message.payload, correlates=True, causation_id=causation_id, trace=trace)
        return True

    def decide(
        self,
        asked: Asked,
        *,
        correlates: bool,
        causation_id: str | None = None,
        trace: str | None = None,
    ) -> Decision:
        """Make the decision, once; it is durable and on its way when this returns."""
        started = time.perf_counter_ns()
        now = self.now()
        as_of = min(asked.requested_at or now, now)
        symbol = asked.symbol or next(iter(asked.symbols or ()), "")
        context = asked.context or Context()
        position = context.position or AskedPosition()
        proposal = self._judgement.decide(
            Question(
                symbol=symbol,
                strategy_id=asked.strategy_id,
                as_of=as_of,
                rule=None if context.strategy is None else context.strategy.type,
                parameters=None if context.strategy is None else context.strategy.parameters,
                held=position.quantity,
                entry_price=position.average_entry_price,
                equity=context.equity,
            )
        )
        decision = _decision(asked, symbol, proposal, as_of, now)
        spent_ms = (time.perf_counter_ns() - started) // 1_000_000
        told = event(
            GENERATED,
            SERVICE,
            now if asked.requested_at is None else as_of,
            _payload(decision, spent_ms),
            about=(decision.decision_id,),
            symbol=symbol,
            correlation_id=asked.request_id if correlates else None,
            causation_id=causation_id,
            trace=trace,
        )
        if self._sign is not None:
            told = self._sign(told, now if asked.requested_at is None else as_of)
        stored = (decision.decision_id, encode(decision))
        self._outbox.add(self.store.commit(now=now, decision=stored, events=[told]))
        self._made += 1
        if self._made % PRUNE_EVERY == 0:
            self.store.prune()
        return decision


def _decision(
    asked: Asked, symbol: str, proposal: Proposal, as_of: datetime, now: datetime
) -> Decision:
    when = as_of if asked.requested_at is not None else now
    return Decision(
        decision_id=str(derived_uuid7(when, "decision", asked.request_id, symbol)),
        symbol=symbol,
        strategy_id=asked.strategy_id,
        action=proposal.action,
        confidence=proposal.confidence,
        reasoning=proposal.reasoning,
        factors=_factors(proposal),
        risk_level="low" if proposal.action is Action.SELL else "medium",
        model_used=proposal.model,
        as_of=as_of,
        created_at=when,
        suggested_quantity=proposal.quantity,
        suggested_price=proposal.price,
        stop_loss=proposal.stop_loss,
        take_profit=proposal.take_profit,
    )


def _factors(proposal: Proposal) -> tuple[Factor, ...]:
    direction = {Action.BUY: "bullish", Action.SELL: "bearish", Action.HOLD: "neutral"}
    weight = Decimal(str(round(proposal.strength, 4)))
    return tuple(
        Factor(
            name=name,
            direction=direction[proposal.action],
            weight=weight,
            description=f"{name} is {value:.6g}",
        )
        for name, value in proposal.facts
    )


def _payload(decision: Decision, spent_ms: int) -> dict[str, Any]:
    told = fields_of(decision)
    del told["createdAt"]
    return {**told, "promptTokens": 0, "completionTokens": 0, "latencyMs": spent_ms}
