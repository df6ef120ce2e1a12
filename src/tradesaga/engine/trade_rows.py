"""What is committed for one outcome of a trade saga: rows and log entries, as one Change."""

from __future__ import annotations

from datetime import datetime

from tradesaga.domain import saga as machine
from tradesaga.domain import saga_log
from tradesaga.domain.decisions import Decision
from tradesaga.domain.events import SAGA_COMPLETED, SAGA_STARTED, Event
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Fill, Side, Void
from tradesaga.domain.risk import Judgement
from tradesaga.domain.saga import ENDS, Input, SagaStatus, Transition
from tradesaga.domain.trade_messages import Outcome, TradeState
from tradesaga.domain.trade_plan import PLAN
from tradesaga.ports.journal import Add, Entry, Insert, PositionDelta, Row, Update

RESULTS = {
    SagaStatus.COMPLETED: "success",
    SagaStatus.COMPLETED_PARTIAL: "success",
    SagaStatus.COMPENSATED: "compensated",
    SagaStatus.MANUAL_REQUIRED: "failed",
}
"""The words of the saga events for the ends of a saga."""


def first_rows(state: TradeState) -> tuple[Row, ...]:
    """The rows of a saga that begins: itself, its reservation and the intent of its order."""
    return Insert(state.saga), Insert(state.reservation), Insert(state.order)


def changed_rows(before: TradeState, outcome: Outcome) -> tuple[Row, ...]:
    """The rows that `outcome` changes; a fill brings its trade and its position along."""
    after = outcome.state
    rows: list[Row] = []
    if after.saga.version != before.saga.version:
        rows.append(Update(after.saga))
    if after.order.version != before.order.version:
        rows.append(Update(after.order))
    if after.reservation.version != before.reservation.version:
        rows.append(Update(after.reservation))
    for fill in outcome.fills:
        rows += [Insert(fill), Add(position_delta(fill))]
    rows += [Insert(trade) for trade in outcome.trades]
    rows += [Insert(void) for void in outcome.voids]
    return tuple(rows)


def position_delta(fill: Fill) -> PositionDelta:
    """What a fill adds to the sums of its position; a void fill takes away."""
    bought = fill.quantity if fill.side is Side.BUY else ZERO
    sold = fill.quantity if fill.side is Side.SELL else ZERO
    return PositionDelta(
        symbol=fill.symbol,
        quantity=bought - sold,
        bought_quantity=bought,
        bought_value=bought * fill.price,
        sold_quantity=sold,
        sold_value=sold * fill.price,
        fees=fill.fee,
        at=fill.filled_at,
    )


def entries(before: TradeState, outcome: Outcome, *, actor: str, what: str) -> tuple[Entry, ...]:
    """The log: one entry for the steps and fills of the commit, or the fact when nothing moved."""
    after = outcome.state
    subject, decision, body = str(after.saga.id), str(after.saga.decision_id), _order_state(after)
    if outcome.transitions or outcome.fills:
        kind, event = saga_log.STEPS, _event(outcome, decision)
        body |= {
            "steps": [_step(transition) for transition in outcome.transitions],
            "fills": [_fill(fill) for fill in outcome.fills],
            "sagaVersion": after.saga.version,
        }
    else:
        kind, event = saga_log.FACT, None
        body["fact"] = what
    told = [
        Entry(
            kind=kind,
            subject=subject,
            actor=actor,
            body=body,
            event=event,
            correlation_id=decision,
        )
    ]
    told.extend(_bust_alert(after, void, actor) for void in outcome.voids)
    if any(step.input is Input.REVIVED for step in outcome.transitions):
        told.append(_alert(after, actor, "an order that was taken for not placed is at the venue"))
    if after.saga.status is SagaStatus.MANUAL_REQUIRED != before.saga.status:
        told.append(_alert(after, actor, "saga needs a person"))
    return tuple(told)


def judged(decision: Decision, *, actor: str, **more: object) -> Entry:
    """The log entry of a decision that the rules have judged."""
    body = {
        "externalId": decision.external_id,
        "symbol": decision.symbol,
        "action": decision.action,
        "quantity": decision.quantity,
        "confidence": decision.confidence,
        "referencePrice": decision.reference_price,
        "verdict": decision.verdict,
        "denials": [{"code": d.code, "message": d.message} for d in decision.denials],
        **more,
    }
    name = str(decision.id)
    return Entry(kind="decision.judged", subject=name, actor=actor, body=body, correlation_id=name)


def denied_at_execution(decision: Decision, judgement: Judgement) -> Entry:
    """The log entry of an allowed decision that the rules refuse as an order."""
    body = {"symbol": decision.symbol, **judgement.stored()}
    name = str(decision.id)
    return Entry(
        kind="decision.denied", subject=name, actor="engine", body=body, correlation_id=name
    )


def _step(step: Transition) -> dict[str, object]:
    return {
        "from": step.before,
        "to": step.after,
        "step": step.name,
        "input": step.input,
        "reason": step.reason,
    }


def _fill(fill: Fill) -> dict[str, object]:
    return {
        "orderId": fill.order_id,
        "venueFillId": fill.venue_fill_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "filledAt": fill.filled_at,
    }


def _alert(state: TradeState, actor: str, what: str) -> Entry:
    body = {
        "alert": what,
        "symbol": state.saga.symbol,
        "step": machine.name_of(state.saga, PLAN),
        "reason": state.saga.reason,
        **_order_state(state),
    }
    return Entry(
        kind="alert",
        subject=str(state.saga.id),
        actor=actor,
        body=body,
        correlation_id=str(state.saga.decision_id),
    )


def _bust_alert(state: TradeState, void: Void, actor: str) -> Entry:
    body = {
        "alert": "the venue took a fill back",
        "symbol": state.saga.symbol,
        "reason": void.reason,
        "quantity": void.quantity,
        "price": void.price,
        **_order_state(state),
    }
    return Entry(
        kind="alert",
        subject=str(state.saga.id),
        actor=actor,
        body=body,
        correlation_id=str(state.saga.decision_id),
    )


def _order_state(state: TradeState) -> dict[str, object]:
    order = state.order
    return {
        "orderStatus": order.status,
        "clientOrderId": order.client_order_id,
        "venueOrderId": order.venue_order_id,
        "filledQuantity": order.filled_quantity,
        "evidence": order.evidence,
    }


def _event(outcome: Outcome, decision: str) -> Event | None:
    """What the steps tell the world: a saga begins, ends or is parked at most once a commit."""
    told = [
        event
        for step in outcome.transitions
        if (event := _event_of(outcome.state, step, decision)) is not None
    ]
    assert len(told) <= 1, told
    return told[0] if told else None


def _event_of(state: TradeState, step: Transition, decision: str) -> Event | None:
    saga = state.saga
    if step.before is SagaStatus.PENDING:
        payload = {
            "sagaId": saga.id,
            "sagaType": saga.type,
            "initialData": {
                "decisionId": saga.decision_id,
                "symbol": saga.symbol,
                "side": state.order.side,
                "quantity": state.order.quantity,
            },
            "startedAt": saga.created_at,
        }
        return Event(type=SAGA_STARTED, payload=payload, correlation_id=decision)
    ended = step.after in ENDS or step.after is SagaStatus.MANUAL_REQUIRED
    if not ended or step.after is step.before:
        return None
    payload = {
        "sagaId": saga.id,
        "sagaType": saga.type,
        "result": RESULTS[step.after],
        "status": step.after,
        "duration": _milliseconds(saga.created_at, step.at),
        "completedAt": step.at,
    }
    return Event(type=SAGA_COMPLETED, payload=payload, correlation_id=decision)


def _milliseconds(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() * 1000)
