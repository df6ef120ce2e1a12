"""The capabilities of the venue choose the path of an order of unknown outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.domain.trades import POLICY, SECOND, START, begun, report
from tradesaga.domain import trade_saga
from tradesaga.domain.orders import OrderStatus, ReservationState
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import (
    Happening,
    LookUp,
    NoAnswer,
    NotFound,
    Policy,
    Recovered,
    Reported,
    Resolution,
    Resolved,
    Submit,
    TradeState,
)

LOST, ABSENT = NoAnswer(reason="timeout"), NotFound()
Is, S = OrderStatus, SagaStatus


def after(policy: Policy, *happenings: Happening, every: timedelta = SECOND) -> TradeState:
    state = begun()
    for number, happened in enumerate(happenings):
        now = START + number * every
        state = trade_saga.advance(state, happened, now, policy).state
    return state


def test_the_same_id_is_sent_again_only_while_the_venue_remembers_it() -> None:
    absent = (LOST, ABSENT, ABSENT)  # proven two seconds after the sending
    for ttl, status in ((None, Is.INTENT), (3 * SECOND, Is.INTENT), (2 * SECOND, Is.NOT_PLACED)):
        policy = replace(POLICY, dedupe_ttl=ttl)
        state = after(policy, *absent)
        assert state.order.status is status
        sends = trade_saga.command(state, START + 2 * SECOND, policy) == Submit()
        assert sends == (status is Is.INTENT)


def test_a_venue_that_cannot_be_asked_leaves_it_to_a_person() -> None:
    policy = replace(POLICY, looks_up=False)
    for unknown in (LOST, Recovered()):
        state = after(policy, unknown)
        assert (state.saga.status, state.order.status) == (S.MANUAL_REQUIRED, Is.UNKNOWN)
        assert state.reservation.state is ReservationState.OPEN
        assert trade_saga.command(state, START, policy) is None
    told = Resolved(resolution=Resolution.ADOPT, reason="x", by="ann", venue_order_id="v-1")
    adopted = after(policy, LOST, told)
    assert isinstance(trade_saga.command(adopted, START, policy), LookUp), "it has a name now"
    heard = after(policy, LOST, Reported(report=report(Is.FILLED, 2)))
    assert heard.order.status is Is.FILLED, "what is told by itself is booked"


def test_after_a_lost_connection_a_venue_that_cancels_is_asked_at_once() -> None:
    working = Reported(report=report(Is.WORKING))
    for cancels, delay in ((False, 8 * SECOND), (True, SECOND / 2)):
        policy = replace(POLICY, cancel_on_disconnect=cancels)
        state = after(policy, working, LOST, LOST, LOST, LOST)
        assert state.saga.due == START + 4 * SECOND + delay
