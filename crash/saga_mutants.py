"""Mistakes in the trade saga's machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tradesaga.domain import trade_saga
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order, OrderStatus, VenueReport, new_fills
from tradesaga.domain.saga import Input, SagaStatus
from tradesaga.domain.trade_messages import (
    CancelAsked,
    Happening,
    NoAnswer,
    Outcome,
    Policy,
    Reported,
    SubmitRefused,
    TradeState,
)
from tradesaga.domain.trade_saga import _Work

ADVANCE, NOT_FOUND, SETTLE = trade_saga.advance, _Work.not_found, _Work.settle


def put(where: object, name: str, what: object) -> None:
    """Replace a function in this process, for good; it must be there, or nothing is broken."""
    getattr(where, name)
    setattr(where, name, what)


def no_answer_is_refused() -> None:
    """Whatever gives no answer has not taken effect."""

    def advance(state: TradeState, happened: Happening, *rest: Any) -> Outcome:
        if isinstance(happened, NoAnswer) and state.order.status is OrderStatus.INTENT:
            happened = SubmitRefused(evidence=happened.reason)
        return ADVANCE(state, happened, *rest)

    put(trade_saga, "advance", advance)


def cancel_asked_is_cancelled() -> None:
    """The request is taken for the verdict."""

    def advance(state: TradeState, happened: Happening, now: Any, policy: Policy) -> Outcome:
        if isinstance(happened, CancelAsked):
            order = state.order
            report = VenueReport(
                venue_order_id=order.venue_order_id or "", status=OrderStatus.CANCELED,
                source="guess", at=now, filled_quantity=order.filled_quantity,
            )  # fmt: skip
            happened = Reported(report=report)
        return ADVANCE(state, happened, now, policy)

    put(trade_saga, "advance", advance)


def not_found_is_rejected() -> None:
    """One look that finds nothing is proof."""

    def not_found(work: _Work, policy: Policy) -> None:
        work.end_order(OrderStatus.REJECTED, "the venue does not know it")

    put(_Work, "not_found", not_found)


def lag_ignored() -> None:
    """Absence needs no waiting."""

    def not_found(work: _Work, policy: Policy) -> None:
        NOT_FOUND(work, replace(policy, visibility_lag=timedelta(0)))

    put(_Work, "not_found", not_found)


def fresh_id_on_retry() -> None:
    """Every try has an id of its own."""

    def not_found(work: _Work, policy: Policy) -> None:
        NOT_FOUND(work, policy)
        if work.order.status is OrderStatus.INTENT:
            work.set_order(client_order_id=f"{work.order.client_order_id}-again")

    put(_Work, "not_found", not_found)


def resend_without_query() -> None:
    """No answer: send again."""

    def no_answer(work: _Work, reason: str, *, to_cancel: bool) -> None:
        work.set_order(sends=work.order.sends + 1)

    put(_Work, "no_answer", no_answer)


def resend_without_dedupe() -> None:
    """What was not found is sent again, whatever the venue does with an id it has seen."""
    put(_Work, "may_resend", lambda work, policy: work.order.sends < 4)


def crash_forgets_the_send() -> None:
    """An intent found at a start is taken for not sent, and sent."""
    put(_Work, "recovered", lambda work: None)


def crash_means_not_sent() -> None:
    """An intent found at a start is taken for not sent, and ended."""

    def recovered(work: _Work) -> None:
        if work.order.status is OrderStatus.INTENT:
            work.end_order(OrderStatus.NOT_PLACED, "the process died before it")

    put(_Work, "recovered", recovered)


def wish_is_end() -> None:
    """Who wants an order cancelled takes it for not placed while nobody knows."""
    want_cancel = _Work.want_cancel

    def wanted(work: _Work, reason: str) -> None:
        if work.order.status is OrderStatus.UNKNOWN:
            work.end_order(OrderStatus.NOT_PLACED, reason)
        else:
            want_cancel(work, reason)

    put(_Work, "want_cancel", wanted)


def empty_is_success() -> None:
    """An order that ended with nothing filled is done."""
    put(trade_saga, "_ended_empty", lambda order: False)


def back_past_live() -> None:
    """Compensation does not wait for the verdict."""
    put(_Work, "_local_backward", lambda work: Input.DONE)


def release_while_cancelling() -> None:
    """The money is free as soon as the cancel is wanted."""

    def settle(work: _Work) -> None:
        SETTLE(work)
        if work.saga.status is SagaStatus.COMPENSATING and work.reservation.closed_at is None:
            work._release()

    put(_Work, "settle", settle)


def never_release() -> None:
    """The rest of the reservation is forgotten."""
    put(_Work, "_release", lambda work: None)


def fill_after_cancel_dropped() -> None:
    """Nothing can fill after the request to cancel."""

    def fills(order: Order, *rest: Any) -> Any:
        return () if order.cancel_requested_at is not None else new_fills(order, *rest)

    put(trade_saga, "new_fills", fills)


def cumulative_added() -> None:
    """Each report's total is taken for one more fill."""

    def fills(order: Order, *rest: Any) -> Any:
        found = new_fills(replace(order, filled_quantity=ZERO), *rest)
        return tuple(replace(f, venue_fill_id=f"{f.venue_fill_id}:{order.version}") for f in found)

    put(trade_saga, "new_fills", fills)


def trade_forgotten() -> None:
    """A fill is booked without its trade."""

    def book(work: _Work, fills: Any, reason: str | None = None) -> None:
        work.fills.extend(fills)

    put(_Work, "book", book)


def version_stands_still() -> None:
    """Rows are written back under the version that was read."""

    def outcome(work: _Work, *, bump: bool) -> Outcome:
        state = TradeState(saga=work.saga, order=work.order, reservation=work.reservation)
        return Outcome(
            state=state, transitions=tuple(work.transitions), fills=tuple(work.fills),
            trades=tuple(work.trades),
        )  # fmt: skip

    put(_Work, "outcome", outcome)


def time_decides_nothing() -> None:
    """The fill wait has no end."""
    put(_Work, "time_up", lambda work, policy: None)
