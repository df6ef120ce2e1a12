"""The trade saga by example: who is asked what, and what each answer makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import FORGETFUL, POLICY, SECOND, START, begun, pending, report
from tradesaga.domain import trade_saga
from tradesaga.domain.orders import OrderStatus, ReservationState
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Command,
    Follow,
    Happening,
    LookUp,
    NoAnswer,
    NotFound,
    Outcome,
    Policy,
    Recovered,
    Reported,
    RequestCancel,
    Submit,
    SubmitRefused,
    TimeUp,
    TradeState,
)

S, Is = SagaStatus, OrderStatus
STOP = CancelWanted(reason="stop")
LOST = NoAnswer(reason="timeout")
WORKING = Reported(report=report(Is.WORKING))


def after(
    *happened: Happening, state: TradeState | None = None, policy: Policy = POLICY
) -> TradeState:
    """The trade after all of it, a second apart."""
    state = state or begun()
    for number, each in enumerate(happened, 1):
        state = trade_saga.advance(state, each, START + number * SECOND, policy).state
    return state


def asks(state: TradeState, now: datetime = START) -> Command | None:
    return trade_saga.command(state, now, POLICY)


def stands(state: TradeState) -> tuple[SagaStatus, OrderStatus, ReservationState]:
    return state.saga.status, state.order.status, state.reservation.state


OPEN, CLOSED = ReservationState.OPEN, ReservationState.CLOSED


def test_it_begins_with_the_reservation_made_and_the_intent_recorded() -> None:
    outcome = trade_saga.begin(pending(), START)
    assert stands(outcome.state) == (S.RUNNING, Is.INTENT, OPEN)
    assert [t.name for t in outcome.transitions] == ["reserve_buying_power"] * 2
    assert outcome.state.saga.version == 1, "the first commit inserts"
    assert asks(outcome.state) == Submit()


def test_filled_at_once_completes_in_one_commit() -> None:
    outcome = trade_saga.advance(begun(), Reported(report=report(Is.FILLED, 2)), START, POLICY)
    assert stands(outcome.state) == (S.COMPLETED, Is.FILLED, CLOSED)
    names = [t.name for t in outcome.transitions]
    assert names == [
        "submit_order",
        "wait_for_fill",  # the first fill
        "wait_for_fill",
        "update_position",
        "record_trade",
    ]
    held = outcome.state.reservation
    # 100 + 101 of the 202 that were set aside
    assert (held.consumed, held.released) == (Decimal(201), Decimal(1))
    assert len(outcome.fills) == len(outcome.trades) == 2
    assert asks(outcome.state) is None


def test_refused_is_compensated_with_the_evidence() -> None:
    state = after(SubmitRefused(evidence="FUNDS no money"))
    assert stands(state) == (S.COMPENSATED, Is.REJECTED, CLOSED)
    assert (state.order.evidence, state.saga.reason) == ("FUNDS no money", "FUNDS no money")
    assert state.reservation.released == Decimal(202)
    assert state.order.sends == 1


def test_a_refusal_of_what_has_evidently_been_placed_is_not_believed() -> None:
    assert stands(after(WORKING, SubmitRefused(evidence="x"))) == (S.RUNNING, Is.WORKING, OPEN)


def test_no_answer_is_unknown_and_looked_up_with_growing_pauses() -> None:
    state = after(LOST)
    assert stands(state) == (S.RUNNING, Is.UNKNOWN, OPEN)
    pauses = []
    now = START + SECOND
    for _ in range(7):
        asked = asks(state)
        assert isinstance(asked, LookUp)
        pauses.append((asked.at - now).total_seconds())
        now = asked.at
        state = trade_saga.advance(state, LOST, now, POLICY).state
    assert pauses == [0.5, 1, 2, 4, 8, 5, 5]


def test_found_after_all_goes_on() -> None:
    state = after(LOST, WORKING)
    assert stands(state) == (S.RUNNING, Is.WORKING, OPEN)
    assert state.order.unknown_since is None


def test_the_same_order_is_sent_again_once_absence_is_proven() -> None:
    once = after(LOST, NotFound())
    assert isinstance(asks(once), LookUp), "one look-up proves nothing"
    twice = after(LOST, NotFound(), NotFound())
    assert asks(twice) == Submit()
    assert twice.order.client_order_id == begun().order.client_order_id


def test_absence_is_not_proven_while_the_venue_may_hide_an_order() -> None:
    slow = replace(POLICY, visibility_lag=10 * SECOND)
    state = after(LOST, *[NotFound()] * 10, policy=slow)  # 1 s apart: the last 10 s after the loss
    assert state.order.status is Is.INTENT
    state = after(LOST, *[NotFound()] * 9, policy=slow)
    assert state.order.status is Is.UNKNOWN


def test_a_venue_without_dedupe_gets_no_second_submission() -> None:
    state = after(LOST, NotFound(), NotFound(), policy=FORGETFUL)
    assert stands(state) == (S.COMPENSATED, Is.NOT_PLACED, CLOSED)
    assert state.order.evidence == f"absent in 2 reads since {(START + SECOND).isoformat()}"


def test_the_same_order_is_sent_four_times_at_most() -> None:
    state, sends = begun(), 0
    while asks(state) == Submit():
        sends += 1
        state = after(LOST, NotFound(), NotFound(), state=state)
    assert sends == 4  # the first, and three retries
    assert stands(state) == (S.COMPENSATED, Is.NOT_PLACED, CLOSED)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(44, Submit()), (45, Follow(poll_at=START + 45 * SECOND, until=START + 45 * SECOND))],
)
def test_an_expired_decision_is_not_sent(seconds: int, expected: Command) -> None:
    assert asks(begun(), START + seconds * SECOND) == expected


def test_an_intent_that_was_never_sent_is_given_up() -> None:
    state = after(TimeUp())
    assert stands(state) == (S.COMPENSATED, Is.NOT_PLACED, CLOSED)
    assert state.order.evidence == "not sent: the decision has expired"


def test_a_stop_waits_for_the_answer_of_a_submission_that_may_be_under_way() -> None:
    state = after(STOP)
    assert stands(state) == (S.COMPENSATING, Is.INTENT, OPEN)
    assert asks(state) == Follow(poll_at=START, until=START), "nothing is sent any more"
    assert stands(after(STOP, TimeUp())) == (S.COMPENSATED, Is.NOT_PLACED, CLOSED)
    assert after(STOP, TimeUp()).order.evidence == "not sent: stop"
    placed = after(STOP, WORKING)
    assert stands(placed) == (S.COMPENSATING, Is.WORKING, OPEN)
    assert isinstance(asks(placed), RequestCancel)
    assert stands(after(STOP, LOST)) == (S.COMPENSATING, Is.UNKNOWN, OPEN)


def test_a_crash_makes_an_intent_unknown() -> None:
    state = after(Recovered())
    assert stands(state) == (S.RUNNING, Is.UNKNOWN, OPEN)
    assert asks(state) == LookUp(at=START + SECOND), "at once"
    assert state.order.sends == 0, "nobody knows of a send"


def test_the_rest_is_cancelled_when_the_fill_wait_is_over() -> None:
    part = Reported(report=report(Is.PARTIALLY_FILLED, 1))
    state = after(WORKING, part)
    follow = asks(state)
    assert isinstance(follow, Follow)
    assert follow.until == START + 30 * SECOND, "30 s from the acknowledgement"
    state = after(TimeUp(), state=state)
    assert stands(state) == (S.RUNNING, Is.PARTIALLY_FILLED, OPEN)
    assert isinstance(asks(state), RequestCancel)
    state = after(CancelAsked(), state=state)
    assert stands(state) == (S.RUNNING, Is.PARTIALLY_FILLED, OPEN), "asked is not cancelled"
    state = after(Reported(report=report(Is.CANCELED, 1)), state=state)
    assert stands(state) == (S.COMPLETED_PARTIAL, Is.CANCELED, CLOSED)
    assert state.reservation.released == Decimal(102)  # 202 - 100


def test_nothing_filled_in_time_goes_back() -> None:
    state = after(WORKING, TimeUp(), CancelAsked(), Reported(report=report(Is.CANCELED)))
    assert stands(state) == (S.COMPENSATED, Is.CANCELED, CLOSED)


def test_the_saga_timeout_ends_the_wait_before_the_first_fill_alone() -> None:
    late = replace(POLICY, fill_time_max=90 * SECOND)
    empty, part = after(WORKING), after(Reported(report=report(Is.PARTIALLY_FILLED, 1)))
    for state, seconds in ((empty, 60), (part, 90)):
        follow = trade_saga.command(state, START, late)
        assert isinstance(follow, Follow)
        assert follow.until == START + seconds * SECOND


def test_a_fill_beats_the_cancel_and_turns_the_saga_forward() -> None:
    filled = Reported(report=report(Is.FILLED, 2))
    state = after(WORKING, TimeUp(), CancelAsked(), filled)
    assert stands(state) == (S.COMPLETED, Is.FILLED, CLOSED)


def test_a_fill_after_the_end_is_booked_and_ends_nothing_again() -> None:
    over = after(WORKING, STOP, CancelAsked(), Reported(report=report(Is.CANCELED)))
    late = Reported(report=report(Is.FILLED, 2))
    outcome = trade_saga.advance(over, late, START, POLICY)
    assert stands(outcome.state) == (S.COMPENSATED, Is.FILLED, CLOSED)
    assert outcome.state.saga == over.saga
    assert len(outcome.fills) == len(outcome.trades) == 2


@pytest.mark.parametrize("happened", [STOP, LOST, NotFound(), CancelAsked(), TimeUp(), Recovered()])
def test_an_ended_saga_heeds_the_venue_alone(happened: Happening) -> None:
    over = after(Reported(report=report(Is.FILLED, 2)))
    assert trade_saga.advance(over, happened, START, POLICY) == Outcome(state=over)


def test_a_lost_answer_to_another_request_is_no_cancel_sent() -> None:
    state = after(WORKING, STOP, LOST)
    assert state.order.cancel_requested_at is None
    assert isinstance(asks(state), RequestCancel)
    asked = after(WORKING, STOP, NoAnswer(reason="timeout", to_cancel=True))
    assert isinstance(asks(asked), Follow), "it may have been taken: the verdict tells"


def test_a_cancel_without_a_verdict_is_asked_again_and_then_needs_a_person() -> None:
    """Also when every poll between is answered: answers without news are no verdict."""
    state, now, asked = after(WORKING, STOP), START, 0
    while (command := asks(state, now)) is not None:
        happened: Happening
        match command:
            case RequestCancel(at=at):
                asked, now, happened = asked + 1, max(now, at), CancelAsked()
            case Follow(poll_at=poll_at, until=until) if poll_at < until:
                now, happened = max(now, poll_at), WORKING
            case Follow(until=until):
                now, happened = max(now, until), TimeUp()
            case _:
                pytest.fail(f"asks for {command}")
        state = trade_saga.advance(state, happened, now, POLICY).state
    assert asked == 4  # the first, and three retries
    assert stands(state) == (S.MANUAL_REQUIRED, Is.WORKING, OPEN)
    assert now - START < timedelta(minutes=3)


def test_what_could_be_two_orders_needs_a_person() -> None:
    state = after(LOST, Ambiguous(reason="v-1 or v-2"))
    assert stands(state) == (S.MANUAL_REQUIRED, Is.UNKNOWN, OPEN)
    assert asks(state) is None
    told = after(Reported(report=report(Is.FILLED, 2)), state=state)
    assert stands(told) == (S.MANUAL_REQUIRED, Is.FILLED, OPEN), "the world does not wait"
    assert told.saga.pivoted


def test_an_order_that_the_venue_forgets_needs_a_person() -> None:
    assert after(WORKING, *[NotFound()] * 3).saga.status is S.RUNNING
    state = after(WORKING, *[NotFound()] * 4)
    assert stands(state) == (S.MANUAL_REQUIRED, Is.WORKING, OPEN)
    assert state.saga.reason == "the venue no longer knows order v-1"
