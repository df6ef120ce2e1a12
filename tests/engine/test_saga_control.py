"""A saga that waits for a person, and what the person can do about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.domain.trades import DECISION, POLICY
from tests.engine.place import Place, another, begin, carried_out, desk_of
from tests.engine.test_saga_runner import checked, order_of
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, SagaId, derived
from tradesaga.domain.orders import OrderStatus, Reservation, ReservationState
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_intervention import COMPENSATE, RESOLVE, RETRY, allowed
from tradesaga.domain.trade_messages import Ambiguous, Resolution
from tradesaga.engine.assembly import Parts
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.testing.venue_script import (
    ACCEPT,
    FAIL_BEFORE,
    OnCancel,
    OnSubmit,
    fill_partly,
)

S, Is = SagaStatus, OrderStatus
ANN = "api:ann"
IGNORED, OBEYED = OnCancel(ignored=True), OnCancel()
HIDDEN = OnSubmit(fills=(), lost=True)


def standing(trade: OpenTrade) -> SagaStatus:
    return trade.state.saga.status


async def parked(place: Place, parts: Parts, on_submit: OnSubmit = ACCEPT) -> OpenTrade:
    """A trade whose cancels the venue has ignored until a person was needed."""
    place.venue.default_cancel = IGNORED
    place.venue.script(on_submit)
    trade = await begin(place, parts)
    await trade.ended.wait()
    assert standing(trade) is S.MANUAL_REQUIRED
    place.venue.default_cancel = OBEYED
    return trade


async def ambiguous(
    place: Place, parts: Parts, on_submit: OnSubmit = HIDDEN, decision: Decision = DECISION
) -> OpenTrade:
    """A trade whose order may be at the venue, under which id nobody can say."""
    place.venue.script(on_submit)
    trade = await begin(place, parts, decision)
    while trade.state.order.status is not Is.UNKNOWN:
        trade.news.clear()
        await trade.news.wait()
    await desk_of(parts).book(trade, Ambiguous(reason="two orders could be it"))
    assert standing(trade) is S.MANUAL_REQUIRED
    return trade


@pytest.mark.parametrize("command", [RETRY, COMPENSATE])
async def test_a_cancel_is_asked_for_anew_and_the_saga_goes_back(command: str) -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        asked = len(place.venue.cancels)
        sagas = parts.control.sagas
        order = sagas.retry if command == RETRY else sagas.compensate
        record = await order(trade.state.saga.id, reason="the venue is back", actor=ANN)
        assert record.state.saga.status is S.COMPENSATING
        assert not trade.ended.is_set()
        await trade.ended.wait()
        assert standing(trade) is S.COMPENSATED
        assert len(place.venue.cancels) == asked + 1
        assert desk_of(parts).locks() == []
        assert len(desk_of(parts).trades) == 0
    await checked(place, sent=1, filled=0)


async def test_the_word_is_in_the_log_with_its_reason_and_what_it_changed() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        saga_id = trade.state.saga.id
        record = await parts.control.sagas.retry(saga_id, reason="the venue is back", actor=ANN)
    [step] = [step for step in record.steps if step.kind == "saga.intervention"]
    assert (step.actor, step.body["command"], step.body["reason"]) == (
        ANN, RETRY, "the venue is back",
    )  # fmt: skip
    assert step.body["before"]["status"] == S.MANUAL_REQUIRED
    assert step.body["before"]["reason"] == "no verdict on the cancel request"
    assert step.body["after"]["status"] == S.COMPENSATING
    [moved] = [step for step in record.steps if step.body.get("input") == "resume"]
    assert (moved.actor, moved.body["reason"]) == (ANN, "the venue is back")
    assert (moved.body["from"], moved.body["to"]) == (S.MANUAL_REQUIRED, S.COMPENSATING)


async def test_past_the_pivot_it_only_goes_forward() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts, fill_partly(1))
        sagas, saga_id = parts.control.sagas, trade.state.saga.id
        assert allowed(trade.state) == (RETRY, RESOLVE)
        with pytest.raises(IllegalTransition, match="past the pivot it only goes forward"):
            await sagas.compensate(saga_id, reason="back", actor=ANN)
        assert standing(trade) is S.MANUAL_REQUIRED
        record = await sagas.retry(saga_id, reason="again", actor=ANN)
        assert record.state.saga.status is S.RUNNING
        await trade.ended.wait()
        assert standing(trade) is S.COMPLETED_PARTIAL
    await checked(place, sent=1, filled=1)


async def test_what_does_not_help_parks_it_again_and_it_can_be_told_again() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        place.venue.default_cancel = IGNORED
        await parts.control.sagas.retry(trade.state.saga.id, reason="again", actor=ANN)
        await trade.ended.wait()
        assert standing(trade) is S.MANUAL_REQUIRED
        assert place.kinds().count("alert") == 2
        place.venue.default_cancel = OBEYED
        await parts.control.sagas.retry(trade.state.saga.id, reason="once more", actor=ANN)
        await trade.ended.wait()
        assert standing(trade) is S.COMPENSATED
    await checked(place, sent=1, filled=0)


async def test_only_a_saga_that_waits_takes_a_word() -> None:
    place = Place()
    async with place.running() as parts:
        sagas = parts.control.sagas
        done = await carried_out(place, parts)
        with pytest.raises(IllegalTransition, match="completed"):
            await sagas.retry(done.id, reason="why not", actor=ANN)
        with pytest.raises(NotFound):
            await sagas.retry(SagaId(derived("nobody")), reason="why not", actor=ANN)
        place.venue.script(ACCEPT)
        running = await begin(place, parts, another(2))
        with pytest.raises(IllegalTransition, match="does not wait for a person"):
            await sagas.resolve(
                running.state.saga.id, Resolution.ADOPT, reason="x", actor=ANN,
                venue_order_id="ord_2",
            )  # fmt: skip
    assert "saga.intervention" not in place.kinds()


async def test_a_parked_saga_is_taken_over_and_goes_on() -> None:
    place = Place()
    async with place.running() as parts:
        first = await parked(place, parts)
    async with place.node() as parts:
        trade = desk_of(parts).trades.of(first.state.saga.id)
        assert trade is not None
        await parts.control.sagas.retry(trade.state.saga.id, reason="again", actor=ANN)
        await trade.ended.wait()
        assert standing(trade) is S.COMPENSATED
    await checked(place, sent=1, filled=0)


async def test_a_node_that_has_not_recovered_says_so() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        desk_of(parts).trades.drop(trade)  # as before the recovery of a new process
        with pytest.raises(Unavailable):
            await parts.control.sagas.retry(trade.state.saga.id, reason="again", actor=ANN)


# ---- resolve --------------------------------------------------------------------------------


async def test_not_placed_on_a_persons_word() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await ambiguous(place, parts, FAIL_BEFORE)
        record = await parts.control.sagas.resolve(
            trade.state.saga.id, Resolution.NOT_PLACED, reason="broker confirms", actor=ANN
        )
        assert record.state.saga.status is S.COMPENSATED
        assert record.state.order.status is Is.NOT_PLACED
        assert record.state.order.evidence == "operator api:ann: broker confirms"
        assert desk_of(parts).locks() == []
    await checked(place, sent=1, filled=0)


async def test_canceled_keeps_what_filled() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts, fill_partly(1))
        place.venue.end(trade.state.order.client_order_id, Is.CANCELED)
        record = await parts.control.sagas.resolve(
            trade.state.saga.id, Resolution.CANCELED, reason="phone call", actor=ANN
        )
        assert record.state.saga.status is S.COMPLETED_PARTIAL
        assert record.state.order.status is Is.CANCELED
        assert [fill.quantity for fill in record.fills] == [1]
    await checked(place, sent=1, filled=1)


async def test_what_the_venue_has_named_was_placed() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        with pytest.raises(IllegalTransition, match="was placed"):
            await parts.control.sagas.resolve(
                trade.state.saga.id, Resolution.NOT_PLACED, reason="no", actor=ANN
            )
        place.venue.orders["ord_9"] = replace(place.venue.orders["ord_1"], id="ord_9")
        with pytest.raises(IllegalTransition, match="is ord_1 at the venue"):
            await parts.control.sagas.resolve(
                trade.state.saga.id, Resolution.ADOPT, reason="no", actor=ANN,
                venue_order_id="ord_9",
            )  # fmt: skip
        assert order_of(place).venue_order_id == "ord_1"


async def test_an_adopted_order_is_looked_up_and_its_fills_are_the_venues() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await ambiguous(place, parts, OnSubmit(lost=True))
        record = await parts.control.sagas.resolve(
            trade.state.saga.id, Resolution.ADOPT, reason="seen in the blotter", actor=ANN,
            venue_order_id="ord_1",
        )  # fmt: skip
        assert record.state.order.venue_order_id == "ord_1"
        assert record.fills == []
        await trade.ended.wait()
        assert standing(trade) is S.COMPLETED
    await checked(place, sent=1, filled=2)


async def test_an_adopted_order_that_lives_is_cancelled() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await ambiguous(place, parts)
        await parts.control.sagas.resolve(
            trade.state.saga.id, Resolution.ADOPT, reason="seen", actor=ANN, venue_order_id="ord_1"
        )
        await trade.ended.wait()
        assert standing(trade) is S.COMPENSATED
        assert place.venue.cancels == ["ord_1"]
    await checked(place, sent=1, filled=0)


async def test_an_order_is_adopted_when_the_venue_knows_it_and_nobody_has_it() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)  # ord_1
        trade = await ambiguous(place, parts, FAIL_BEFORE, another(2))
        sagas, saga_id = parts.control.sagas, trade.state.saga.id
        for name, problem in (("ord_1", "belongs to saga"), ("ord_7", "knows no order")):
            with pytest.raises(Invalid, match=problem):
                await sagas.resolve(
                    saga_id, Resolution.ADOPT, reason="x", actor=ANN, venue_order_id=name
                )
        place.venue.down = True
        with pytest.raises(Unavailable):
            await sagas.resolve(
                saga_id, Resolution.ADOPT, reason="x", actor=ANN, venue_order_id="ord_7"
            )
        assert standing(trade) is S.MANUAL_REQUIRED
        assert trade.state.order.venue_order_id is None


@pytest.mark.parametrize(
    ("resolution", "venue_order_id"),
    [(Resolution.ADOPT, None), (Resolution.ADOPT, ""), (Resolution.CANCELED, "ord_1")],
)
async def test_an_id_belongs_to_adopt_alone(
    resolution: Resolution, venue_order_id: str | None
) -> None:
    place = Place()
    async with place.running() as parts:
        trade = await parked(place, parts)
        with pytest.raises(Invalid, match="venueOrderId"):
            await parts.control.sagas.resolve(
                trade.state.saga.id, resolution, reason="x", actor=ANN,
                venue_order_id=venue_order_id,
            )  # fmt: skip


async def test_an_adopted_order_that_the_venue_forgets_is_never_taken_for_not_placed() -> None:
    place = Place(policy=replace(POLICY, dedupes=False))
    async with place.running() as parts:
        trade = await ambiguous(place, parts)
        client_order_id = trade.state.order.client_order_id
        await parts.control.sagas.resolve(
            trade.state.saga.id, Resolution.ADOPT, reason="seen", actor=ANN, venue_order_id="ord_1"
        )
        place.venue.bust(client_order_id)
        await trade.ended.wait()
        assert standing(trade) is S.MANUAL_REQUIRED
        assert trade.state.order.status is Is.UNKNOWN
        (held,) = place.store.of(Reservation, DEFAULT_AGENT)
        assert held.state is ReservationState.OPEN
