"""A fill that the venue takes back: booked once, on open and on ended sagas, with an alert."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.place import CrashingJournal, Place, carried_out, desk_of
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, Trade, VenueReport, Void
from tradesaga.domain.saga import SagaStatus
from tradesaga.engine.assembly import Parts
from tradesaga.testing.services import as_event


async def told(place: Place, parts: Parts, report: VenueReport, number: int) -> None:
    delivery = place.bus.deliver(as_event(report, f"e-{number}"))
    await parts.coordinator.handle(delivery)
    assert delivery.answer == "acknowledged"


async def test_a_bust_of_an_ended_saga_is_booked_once_and_never_again() -> None:
    place = Place()
    async with place.running() as parts:
        saga = await carried_out(place, parts)
        filled = place.venue.reports[-1]
        (name,) = [o.order.client_order_id for o in place.venue.orders.values()]
        busted = place.venue.take_back(name)
        for number, report in enumerate((busted, busted, filled, replace(busted, fills=()))):
            await told(place, parts, report, number)
        assert desk_of(parts).holdings.positions == {"ACME": 0}
        assert await parts.scheduler._analysis.positions.run() == ()
        record = await parts.control.sagas.trade(saga.id)
    assert record.state.saga.status is SagaStatus.COMPLETED
    assert [fill.quantity for fill in record.fills] == [2, -2]
    assert len(place.store.of(Void, DEFAULT_AGENT)) == 1
    assert [t.correction_reason for t in place.store.of(Trade, DEFAULT_AGENT)] == [
        None, "busted by the exchange",
    ]  # fmt: skip
    assert place.kinds().count("alert") == 1
    assert ("error_occurred", "fill_busted") in place.metrics.seen
    assert await place.position() == 0
    assert await place.broken() == []


@pytest.mark.parametrize("durable", [False, True])
async def test_a_bust_survives_the_crash_of_the_process_that_hears_it(durable: bool) -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
    (name,) = [o.order.client_order_id for o in place.venue.orders.values()]
    busted = place.venue.take_back(name)
    with pytest.raises(BaseExceptionGroup):
        async with place.node(CrashingJournal(place.store, at=1, durable=durable)) as parts:
            await told(place, parts, busted, 1)
    async with place.node() as parts:
        await told(place, parts, busted, 1)
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 2
    assert await place.position() == 0
    assert await place.broken() == []
