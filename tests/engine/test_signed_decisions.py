"""A refused decision leaves a line in the log and nothing else; a nonce counts once for ever."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.place import Place, desk_of
from tests.engine.test_event_coordinator import decided, listening, proposal
from tradesaga.domain.decisions import Decision
from tradesaga.domain.events import DecisionGenerated, Incoming
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.signed_decisions import Refusal
from tradesaga.testing.bus import Answer


def told(
    number: int, *, event_id: str, nonce: str | None = None, refused: Refusal | None = None
) -> Incoming:
    said = replace(proposal(), external_id=f"d-{number}")
    content = DecisionGenerated(proposal=said, refused=refused, nonce_key=nonce)
    return replace(decided(said, event_id), content=content)


def refusals(place: Place) -> list[tuple[object, object]]:
    """What the log has of them: reason and decision."""
    lines = (line.entry for line in place.store.log_of(DEFAULT_AGENT))
    return [(e.body["reason"], e.body["decisionId"]) for e in lines if e.kind == "decision.refused"]


@pytest.mark.parametrize("reason", list(Refusal))
async def test_a_refused_decision_is_counted_and_audited_and_has_no_effect(reason: Refusal) -> None:
    place = Place()
    place.market_data.show("ACME", 100)
    async with listening(place):
        place.bus.deliver(told(1, event_id="e-1", refused=reason, nonce="n-1"))
        await place.bus.until_idle()
        # Its ids are not taken by that: the true one, which it was made after, comes later.
        assert place.store.of(Decision, DEFAULT_AGENT) == []
        assert not await place.records.was_received(DEFAULT_AGENT, "e-1")
        place.bus.deliver(told(1, event_id="e-1", nonce="n-1"))
        await place.bus.until_idle()
    assert len(place.store.of(Decision, DEFAULT_AGENT)) == 1
    assert refusals(place) == [(str(reason), "d-1")]
    assert place.metrics.seen.count(("error_occurred", "decision_refused")) == 1
    assert {d.answer for d in place.bus.answered} == {Answer.ACKNOWLEDGED}


async def test_a_nonce_is_refused_for_another_message_in_this_life_and_the_next() -> None:
    place = Place()
    place.market_data.show("ACME", 100)
    async with listening(place) as parts:
        place.bus.deliver(told(1, event_id="e-1", nonce="n-1"))
        await place.bus.until_idle()
        place.bus.deliver(told(2, event_id="e-2", nonce="n-1"))
        place.bus.deliver(told(1, event_id="e-1", nonce="n-1"))  # the same once more: no replay
        await place.bus.until_idle()
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
    async with listening(place):
        place.bus.deliver(told(3, event_id="e-3", nonce="n-1"))
        place.bus.deliver(told(1, event_id="e-1", nonce="n-1"))
        await place.bus.until_idle()
    assert refusals(place) == [("replayed", "d-2"), ("replayed", "d-3")]
    assert len(place.store.of(Decision, DEFAULT_AGENT)) == len(place.venue.orders) == 1
    assert await place.position() == Decimal(2)


async def test_a_flood_of_forgeries_does_not_fill_the_log() -> None:
    place = Place()
    async with listening(place):
        for number in range(150):
            place.bus.deliver(told(number, event_id=f"e-{number}", refused=Refusal.FORGED))
        await place.bus.until_idle()
    assert len(refusals(place)) == 100
    assert place.metrics.seen.count(("error_occurred", "decision_refused")) == 150
