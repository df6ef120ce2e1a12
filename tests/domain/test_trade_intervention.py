"""What a person may say to a parked saga, and what it makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.domain.test_trade_saga import LOST, WORKING, after, asks, stands
from tests.domain.trade_laws import explored
from tests.domain.trades import POLICY, SECOND, START, VENUE_ID, begun, report
from tests.domain.venue_model import World
from tradesaga.domain import trade_saga
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.orders import OrderStatus, ReservationState
from tradesaga.domain.saga import Input, SagaStatus
from tradesaga.domain.trade_intervention import allowed
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Happening,
    Intervention,
    LookUp,
    NotFound,
    Reported,
    RequestCancel,
    Resolution,
    Resolved,
    Resumed,
    TradeState,
    TurnedBack,
)

S, Is, Held = SagaStatus, OrderStatus, ReservationState
AGAIN, BACK = Resumed(reason="again"), TurnedBack(reason="back")
PARK = Ambiguous(reason="two orders")
PART = Reported(report=report(Is.PARTIALLY_FILLED, 1))
WHOLE = Reported(report=report(Is.FILLED, 2))
GONE = Reported(report=report(Is.CANCELED))
NOW = START + 100 * SECOND


def told(resolution: Resolution, venue_order_id: str | None = None) -> Resolved:
    return Resolved(resolution=resolution, reason="seen", by="ann", venue_order_id=venue_order_id)


ABSENT, CANCELED = told(Resolution.NOT_PLACED), told(Resolution.CANCELED)
OURS, OTHER = told(Resolution.ADOPT, VENUE_ID), told(Resolution.ADOPT, "v-2")
UNKNOWN = after(LOST, PARK)
LIVE = after(WORKING, CancelWanted(reason="stop"), CancelAsked(), PARK)
PARTLY = after(PART, PARK)
LATE = after(LOST, PARK, WHOLE)
EMPTY = after(WORKING, PARK, GONE)


def spoken(state: TradeState, word: Intervention) -> TradeState:
    return trade_saga.advance(state, word, NOW, POLICY).state


@pytest.mark.parametrize(
    ("state", "actions"),
    [
        (UNKNOWN, ("retry", "compensate", "resolve")),
        (LIVE, ("retry", "compensate", "resolve")),
        (PARTLY, ("retry", "resolve")),
        (LATE, ("retry",)),
        (EMPTY, ("retry", "compensate")),
        (begun(), ()),
        (after(LOST), ()),
        (after(WHOLE), ()),
    ],
)
def test_what_is_allowed(state: TradeState, actions: tuple[str, ...]) -> None:
    assert allowed(state) == actions
    words: dict[str, Intervention] = {"retry": AGAIN, "compensate": BACK, "resolve": CANCELED}
    for name, word in words.items():
        if name in actions:
            spoken(state, word)
        else:
            with pytest.raises(IllegalTransition):
                spoken(state, word)


@pytest.mark.parametrize(
    ("state", "word", "expected"),
    [
        (UNKNOWN, AGAIN, (S.COMPENSATING, Is.UNKNOWN, Held.OPEN)),
        (UNKNOWN, BACK, (S.COMPENSATING, Is.UNKNOWN, Held.OPEN)),
        (UNKNOWN, ABSENT, (S.COMPENSATED, Is.NOT_PLACED, Held.CLOSED)),
        (UNKNOWN, CANCELED, (S.COMPENSATED, Is.CANCELED, Held.CLOSED)),
        (UNKNOWN, OURS, (S.COMPENSATING, Is.UNKNOWN, Held.OPEN)),
        (LIVE, AGAIN, (S.COMPENSATING, Is.WORKING, Held.OPEN)),
        (LIVE, BACK, (S.COMPENSATING, Is.WORKING, Held.OPEN)),
        (LIVE, CANCELED, (S.COMPENSATED, Is.CANCELED, Held.CLOSED)),
        (LIVE, OURS, (S.COMPENSATING, Is.WORKING, Held.OPEN)),
        (PARTLY, AGAIN, (S.RUNNING, Is.PARTIALLY_FILLED, Held.OPEN)),
        (PARTLY, CANCELED, (S.COMPLETED_PARTIAL, Is.CANCELED, Held.CLOSED)),
        (LATE, AGAIN, (S.COMPLETED, Is.FILLED, Held.CLOSED)),
        (EMPTY, AGAIN, (S.COMPENSATED, Is.CANCELED, Held.CLOSED)),
        (EMPTY, BACK, (S.COMPENSATED, Is.CANCELED, Held.CLOSED)),
    ],
)
def test_where_a_word_leads(
    state: TradeState,
    word: Intervention,
    expected: tuple[SagaStatus, OrderStatus, ReservationState],
) -> None:
    outcome = trade_saga.advance(state, word, NOW, POLICY)
    assert stands(outcome.state) == expected
    first = outcome.transitions[0]
    assert (first.before, first.input, first.reason) == (
        S.MANUAL_REQUIRED, Input.RESUME, word.reason,
    )  # fmt: skip
    assert (outcome.fills, outcome.trades) == ((), ())
    assert outcome.state.saga.version == state.saga.version + 1
    assert outcome.state.order.filled_value == state.order.filled_value


@pytest.mark.parametrize(
    ("state", "word", "said"),
    [
        (PARTLY, BACK, "has filled 1: past the pivot it only goes forward"),
        (LIVE, ABSENT, "was placed: the venue has called it v-1"),
        (LIVE, OTHER, "is v-1 at the venue, not v-2"),
        (EMPTY, ABSENT, "is canceled on the venue's word: retry instead"),
        (begun(), AGAIN, "is running, it does not wait for a person"),
        (after(WHOLE), AGAIN, "is completed, it does not wait for a person"),
    ],
)
def test_what_is_refused(state: TradeState, word: Intervention, said: str) -> None:
    with pytest.raises(IllegalTransition, match=said):
        spoken(state, word)


def test_all_attempts_and_the_time_for_the_cancel_begin_anew() -> None:
    tried = replace(
        LIVE,
        saga=replace(LIVE.saga, attempt=4, due=START),
        order=replace(LIVE.order, lookups=9),
    )
    state = spoken(tried, AGAIN)
    assert (state.saga.attempt, state.saga.due, state.order.lookups) == (0, None, 0)
    assert (state.order.cancel_wanted_at, state.order.cancel_requested_at) == (NOW, None)
    assert asks(state, NOW) == RequestCancel(at=NOW)


def test_an_unknown_order_is_looked_up_first() -> None:
    for word in (AGAIN, BACK, OURS):
        assert asks(spoken(UNKNOWN, word), NOW) == LookUp(at=NOW)


def test_a_persons_word_is_the_evidence() -> None:
    for word in (ABSENT, CANCELED):
        order = spoken(UNKNOWN, word).order
        assert (order.evidence, order.ended_at) == ("operator ann: seen", NOW)
    assert spoken(UNKNOWN, OURS).order.evidence == "operator ann: seen"


def test_an_adopted_order_goes_on_with_the_venues_word() -> None:
    adopted = spoken(UNKNOWN, OURS)
    filled: list[tuple[Happening, SagaStatus]] = [
        (WHOLE, S.COMPLETED), (PART, S.RUNNING), (WORKING, S.COMPENSATING), (GONE, S.COMPENSATED),
    ]  # fmt: skip
    for word, status in filled:
        assert after(word, state=adopted).saga.status is status


def test_an_adopted_order_that_is_not_found_is_no_absence() -> None:
    state = spoken(UNKNOWN, OURS)
    for _ in range(POLICY.retry.retries_max):
        state = after(NotFound(), state=state)
        assert stands(state) == (S.COMPENSATING, Is.UNKNOWN, Held.OPEN)
    assert stands(after(NotFound(), state=state)) == (S.MANUAL_REQUIRED, Is.UNKNOWN, Held.OPEN)


def test_a_persons_word_does_not_hide_a_fill_that_comes_later() -> None:
    state = spoken(UNKNOWN, CANCELED)
    outcome = trade_saga.advance(state, WHOLE, NOW, POLICY)
    assert outcome.state.order.status is Is.FILLED
    assert len(outcome.fills) == len(outcome.trades) == 2
    assert outcome.state.saga == state.saga


def test_a_person_is_a_part_of_the_world_that_is_explored() -> None:
    done = explored(POLICY, World(state=after(LOST, PARK), now=NOW, sent=("x",)), 4)
    assert {name for name in done.names if name.startswith("a person")} == {
        "a person retries",
        "a person turns back",
        "a person resolves as not_placed",
    }
