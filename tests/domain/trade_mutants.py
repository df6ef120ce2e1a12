"""Trade sagas that are wrong in a known way: what the laws are worth is what they catch.

Each mutant is one believable mistake, planted by replacing one function of `domain.trade_saga`.
Its entry names the laws that may catch it; an exploration that lets it live fails the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.domain.trades import FORGETFUL, POLICY, report
from tradesaga.domain import trade_saga
from tradesaga.domain.orders import Fill, Order, OrderStatus, VenueReport, new_fills, with_report
from tradesaga.domain.saga import ENDS, Input, SagaStatus
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

LIVES = "no order ends for us that lives at the venue"
ADVANCE, NOT_FOUND, SETTLE = trade_saga.advance, _Work.not_found, _Work.settle


@dataclass(frozen=True, slots=True)
class Mutant:
    """`plant` breaks the saga until the patch is undone; `laws` are those that may catch it."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]
    laws: tuple[str, ...]
    policy: Policy = POLICY


def _no_answer_is_failure(patch: pytest.MonkeyPatch) -> None:
    def advance(state: TradeState, happened: Happening, *rest: object) -> Outcome:
        if isinstance(happened, NoAnswer) and state.order.status is OrderStatus.INTENT:
            happened = SubmitRefused(evidence=happened.reason)
        return ADVANCE(state, happened, *rest)  # type: ignore[arg-type]  # passed on as they came

    patch.setattr(trade_saga, "advance", advance)


def _cancel_asked_is_cancelled(patch: pytest.MonkeyPatch) -> None:
    def advance(state: TradeState, happened: Happening, *rest: object) -> Outcome:
        if isinstance(happened, CancelAsked):
            happened = Reported(report=report(OrderStatus.CANCELED))
        return ADVANCE(state, happened, *rest)  # type: ignore[arg-type]  # passed on as they came

    patch.setattr(trade_saga, "advance", advance)


def _not_found_is_rejected(patch: pytest.MonkeyPatch) -> None:
    def not_found(work: _Work, policy: Policy) -> None:
        work.end_order(OrderStatus.REJECTED, "the venue does not know it")

    patch.setattr(_Work, "not_found", not_found)


def _fresh_id_on_repeat(patch: pytest.MonkeyPatch) -> None:
    def not_found(work: _Work, policy: Policy) -> None:
        NOT_FOUND(work, policy)
        if work.order.status is OrderStatus.INTENT:
            work.set_order(client_order_id=f"{work.order.client_order_id}-again")

    patch.setattr(_Work, "not_found", not_found)


def _repeat_without_dedupe(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Work, "may_resend", lambda work, policy: work.order.sends < 4)


def _repeat_without_look_up(patch: pytest.MonkeyPatch) -> None:
    def no_answer(work: _Work, reason: str, *, to_cancel: bool) -> None:
        work.set_order(sends=work.order.sends + 1)

    patch.setattr(_Work, "no_answer", no_answer)


def _crash_forgets_the_send(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Work, "recovered", lambda work: None)


def _stop_overtakes_the_send(patch: pytest.MonkeyPatch) -> None:
    def want_cancel(work: _Work, reason: str) -> None:
        work.end_order(OrderStatus.NOT_PLACED, f"not sent: {reason}")

    patch.setattr(_Work, "want_cancel", want_cancel)


def _backward_past_a_live_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Work, "_local_backward", lambda work: Input.DONE)


def _release_while_cancelling(patch: pytest.MonkeyPatch) -> None:
    def settle(work: _Work) -> None:
        SETTLE(work)
        if work.saga.status is SagaStatus.COMPENSATING and work.reservation.closed_at is None:
            work._release()

    patch.setattr(_Work, "settle", settle)


def _never_release(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Work, "_release", lambda work: None)


def _fill_after_cancel_dropped(patch: pytest.MonkeyPatch) -> None:
    def fills(order: Order, said: VenueReport, *rest: object) -> tuple[Fill, ...]:
        if order.cancel_requested_at is not None:
            return ()
        return new_fills(order, said, *rest)  # type: ignore[arg-type]  # passed on as they came

    patch.setattr(trade_saga, "new_fills", fills)


def _duplicate_adds_up(patch: pytest.MonkeyPatch) -> None:
    def fills(order: Order, *rest: object) -> tuple[Fill, ...]:
        fresh = replace(order, filled_quantity=type(order.quantity)(0))
        return new_fills(fresh, *rest)  # type: ignore[arg-type]  # passed on as they came

    patch.setattr(trade_saga, "new_fills", fills)


def _old_report_sets_back(patch: pytest.MonkeyPatch) -> None:
    def older_wins(
        order: Order, said: VenueReport, fills: tuple[Fill, ...], *rest: object
    ) -> Order:
        after = with_report(order, said, fills, *rest)  # type: ignore[arg-type]  # as they came
        return replace(after, filled_quantity=said.filled_quantity)

    patch.setattr(trade_saga, "with_report", older_wins)


def _trade_forgotten(patch: pytest.MonkeyPatch) -> None:
    def book(work: _Work, fills: tuple[Fill, ...], reason: str | None = None) -> None:
        work.fills.extend(fills)

    patch.setattr(_Work, "book", book)


def _no_pivot(patch: pytest.MonkeyPatch) -> None:
    def settle(work: _Work) -> None:
        filled, work.order = (
            work.order,
            replace(work.order, filled_quantity=type(work.order.quantity)(0)),
        )
        SETTLE(work)
        work.set_order(filled_quantity=filled.filled_quantity)

    patch.setattr(_Work, "settle", settle)


def _no_answer_is_a_cancel_sent(patch: pytest.MonkeyPatch) -> None:
    def advance(state: TradeState, happened: Happening, *rest: object) -> Outcome:
        if isinstance(happened, NoAnswer) and state.order.cancel_wanted_at is not None:
            happened = replace(happened, to_cancel=True)
        return ADVANCE(state, happened, *rest)  # type: ignore[arg-type]  # passed on as they came

    patch.setattr(trade_saga, "advance", advance)


def _ended_saga_moves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(trade_saga, "ENDS", frozenset(ENDS - {SagaStatus.COMPLETED}))


def _version_stands_still(patch: pytest.MonkeyPatch) -> None:
    def outcome(work: _Work, *, bump: bool) -> Outcome:
        state = TradeState(saga=work.saga, order=work.order, reservation=work.reservation)
        return Outcome(state=state, fills=tuple(work.fills), trades=tuple(work.trades))

    patch.setattr(_Work, "outcome", outcome)


def _time_decides_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_Work, "time_up", lambda work, policy: None)


MUTANTS = (
    Mutant("no answer = failed", _no_answer_is_failure, (LIVES,)),
    Mutant("cancel asked = cancelled", _cancel_asked_is_cancelled, (LIVES,)),
    Mutant("not found = rejected", _not_found_is_rejected, (LIVES,)),
    Mutant("a stop ends an intent on its way", _stop_overtakes_the_send, (LIVES,)),
    Mutant("fresh id on repeat", _fresh_id_on_repeat, ("one client order id for ever",)),
    Mutant(
        "repeat at a venue without dedupe",
        _repeat_without_dedupe,
        ("nothing is sent again without proof of absence and a venue that dedupes",),
        FORGETFUL,
    ),
    Mutant(
        "repeat without look-up",
        _repeat_without_look_up,
        ("nothing is sent again without proof of absence and a venue that dedupes",),
    ),
    Mutant(
        "a crash forgets the send",
        _crash_forgets_the_send,
        (LIVES, "nothing is sent again without proof of absence and a venue that dedupes"),
    ),
    Mutant(
        "backward past a live order",
        _backward_past_a_live_order,
        ("nothing is released while the order may live",),
    ),
    Mutant(
        "release while a cancel is pending",
        _release_while_cancelling,
        ("the reservation is open exactly as long as the saga",),
    ),
    Mutant(
        "never release", _never_release, ("the reservation is open exactly as long as the saga",)
    ),
    Mutant(
        "fill after cancel dropped",
        _fill_after_cancel_dropped,
        ("a fair venue brings every saga to rest",),
    ),
    Mutant("duplicate adds up", _duplicate_adds_up, ("a fill is booked once",)),
    Mutant(
        "an old report sets the order back",
        _old_report_sets_back,
        ("filled is the sum of the fills",),
    ),
    Mutant("trade forgotten", _trade_forgotten, ("one trade a fill",)),
    Mutant("the first fill is no pivot", _no_pivot, ("what filled is not undone",)),
    Mutant(
        "any missing answer = cancel sent",
        _no_answer_is_a_cancel_sent,
        ("a cancel counts as asked when it was sent",),
    ),
    Mutant(
        "an ended saga moves",
        _ended_saga_moves,
        ("an end is the end", "the reservation is open exactly as long as the saga"),
    ),
    Mutant(
        "version stands still",
        _version_stands_still,
        ("a row that changed has the next version",),
    ),
    Mutant(
        "time decides nothing", _time_decides_nothing, ("a fair venue brings every saga to rest",)
    ),
)
