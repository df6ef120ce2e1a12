"""What a saga decides when nobody was there for longer than any of its waits."""

from __future__ import annotations

from tests.domain.trades import POLICY, SECOND, START, begun, report
from tradesaga.domain import trade_saga
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import (
    CancelAsked,
    Happening,
    Recovered,
    Reported,
    RequestCancel,
    TimeUp,
    TradeState,
)


def after(state: TradeState, happened: Happening, seconds: int) -> TradeState:
    return trade_saga.advance(state, happened, START + seconds * SECOND, POLICY).state


def test_a_cancel_is_asked_for_again_before_a_person_is() -> None:
    state = after(begun(), Reported(report=report(OrderStatus.WORKING)), 1)
    state = after(after(state, TimeUp(), 40), CancelAsked(), 41)
    back = 3600
    state = after(state, Recovered(), back)
    state = after(state, Reported(report=report(OrderStatus.WORKING)), back + 1)
    state = after(state, TimeUp(), back + 1)
    assert state.saga.status is SagaStatus.COMPENSATING
    asked = trade_saga.command(state, START + (back + 1) * SECOND, POLICY)
    assert isinstance(asked, RequestCancel)


def test_without_an_absence_the_patience_ends() -> None:
    state = after(begun(), Reported(report=report(OrderStatus.WORKING)), 1)
    state = after(after(state, TimeUp(), 40), CancelAsked(), 41)
    state = after(state, TimeUp(), 3600)
    assert state.saga.status is SagaStatus.MANUAL_REQUIRED
