"""Messages put aside: kept with their reason, bounded, and given their effect at most once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.domain.trades import report
from tests.engine.place import Place, begin
from tests.engine.test_event_coordinator import listening, told
from tradesaga.domain.dead_letters import LetterState
from tradesaga.domain.errors import Conflict, IllegalTransition, NotFound, Rejected, Unavailable
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, OrderStatus
from tradesaga.engine.assembly import Parts
from tradesaga.engine.dead_letters import DeadLetters
from tradesaga.engine.event_bounds import FLOOD_MAX, FLOOD_SPAN, TRIES_MAX
from tradesaga.engine.event_coordinator import (
    LETTER_BYTES_MAX,
    LETTER_TEXT_MAX,
)
from tradesaga.testing.bus import Answer
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.venue_script import ACCEPT

WORDS = {"by": "ann", "reason": "looked", "actor": "api:test"}


class Reader:
    """Reads what it was told to read."""

    def __init__(self) -> None:
        self.known: dict[bytes, Incoming] = {}

    def __call__(self, subject: str, body: bytes) -> Incoming:
        if body not in self.known:
            raise Rejected("no JSON")
        return self.known[body]


@asynccontextmanager
async def node(place: Place, reader: Reader) -> AsyncIterator[tuple[Parts, DeadLetters]]:
    async with listening(place) as parts:
        whole = parts.control.dead_letters
        letters = DeadLetters(
            agent_id=whole.agent_id,
            records=whole.records,
            scribe=whole.scribe,
            clock=whole.clock,
            read=reader,
            handle=whole.handle,
        )
        yield parts, letters


async def test_a_letter_that_can_be_read_now_has_its_effect_once() -> None:
    place, reader = Place(), Reader()
    place.venue.script(ACCEPT)
    async with node(place, reader) as (parts, letters):
        trade = await begin(place, parts)
        await trade.news.wait()
        said = place.venue.fill(trade.state.order.client_order_id)
        place.bus.deliver_poison(b"fill", "no reader yet")
        await place.bus.until_idle()
        with pytest.raises(IllegalTransition, match="no JSON"):
            await letters.replay(1, **WORDS)
        assert (await letters.letter(1)).state is LetterState.OPEN
        reader.known[b"fill"] = told(said, "e-1")
        done = await letters.replay(1, **WORDS)
        await trade.ended.wait()
        again = await letters.replay(1, **WORDS)
    assert done.state is LetterState.REPLAYED
    assert again == done
    assert done.end is not None
    assert (done.end.who, done.end.reason) == ("ann", "looked")
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 1
    kinds = [(line.entry.kind, line.entry.actor) for line in place.store.log_of(DEFAULT_AGENT)]
    assert kinds.count(("letter.replayed", "api:test")) == 1
    assert len(place.store.dead_letters) == 1, "a replay makes no second letter"


async def test_a_crash_between_effect_and_end_leaves_it_open_and_the_effect_single() -> None:
    place, reader = Place(), Reader()
    place.venue.script(ACCEPT)
    async with node(place, reader) as (parts, letters):
        trade = await begin(place, parts)
        await trade.news.wait()
        said = place.venue.fill(trade.state.order.client_order_id)
        reader.known[b"fill"] = told(said, "e-1")
        place.bus.deliver_poison(b"fill")
        await place.bus.until_idle()
        await letters._handle_again(await letters.letter(1))  # and the process is gone
        assert (await letters.letter(1)).state is LetterState.OPEN
        assert (await letters.replay(1, **WORDS)).state is LetterState.REPLAYED
        await trade.ended.wait()
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 1


async def test_a_discarded_letter_is_never_handled() -> None:
    place, reader = Place(), Reader()
    async with node(place, reader) as (_, letters):
        place.bus.deliver_poison(b"x")
        await place.bus.until_idle()
        gone = await letters.discard(1, **WORDS)
        assert await letters.discard(1, **WORDS) == gone
        reader.known[b"x"] = told(report(OrderStatus.FILLED, 2), "e-9")
        with pytest.raises(IllegalTransition, match="is discarded"):
            await letters.replay(1, **WORDS)
        with pytest.raises(NotFound):
            await letters.letter(2)
    assert not await place.records.was_received(DEFAULT_AGENT, "e-9")


async def test_what_cannot_be_handled_now_stays_open() -> None:
    place, reader = Place(), Reader()
    async with node(place, reader) as (parts, letters):
        trade_for = place.trade()
        await parts.recovery.desk.begin(trade_for, epoch=parts.recovery.desk.epoch)
        # an order of ours on that symbol waits for its venue id: it may be this one
        reader.known[b"early"] = told(report(OrderStatus.FILLED, 2), "e-1")
        place.bus.deliver_poison(b"early")
        await place.bus.until_idle()
        with pytest.raises(Unavailable, match="stays open"):
            await letters.replay(1, **WORDS)
        assert (await letters.letter(1)).state is LetterState.OPEN


async def test_a_foreign_text_is_made_storable_and_a_large_body_is_cut() -> None:
    place, reader = Place(), Reader()
    async with node(place, reader):
        place.bus.deliver_poison(b"x" * (LETTER_BYTES_MAX + 1), "bad \x00\n" + "y" * 1000)
        await place.bus.until_idle()
    ((_, letter),) = place.store.dead_letters
    assert letter.reason.startswith("bad ??y")
    assert len(letter.reason) == LETTER_TEXT_MAX
    assert len(letter.body) == LETTER_BYTES_MAX


async def test_a_flood_of_poison_is_counted_and_neither_kept_nor_in_the_way() -> None:
    place, reader = Place(), Reader()
    async with node(place, reader):
        for number in range(FLOOD_MAX + 20):
            place.bus.deliver_poison(b"%d" % number)
        after = place.bus.deliver(told(report(OrderStatus.FILLED, 2), "e-1"))
        await place.bus.until_idle()
        assert after.answer is Answer.ACKNOWLEDGED
        assert len(place.store.dead_letters) == FLOOD_MAX
        assert place.metrics.seen.count(("error_occurred", "dead_letter")) == FLOOD_MAX + 20
        place.clock.advance(FLOOD_SPAN + timedelta(seconds=1))
        place.bus.deliver_poison(b"later")
        await place.bus.until_idle()
    assert len(place.store.dead_letters) == FLOOD_MAX + 1


async def test_an_event_that_conflicts_for_ever_is_put_aside() -> None:
    place = Place()
    journal = MemoryJournal(place.store)
    async with place.running(journal) as parts:
        parts.coordinator._order = _always_in_conflict  # type: ignore[method-assign, assignment]
        place.bus.deliver(told(report(OrderStatus.FILLED, 2), "e-1"))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(parts.coordinator.run())
            await place.bus.until_idle()
            task.cancel()
    answers = [one.answer for one in place.bus.answered]
    assert answers == [Answer.RETRIED] * TRIES_MAX + [Answer.DISCARDED]
    ((_, letter),) = place.store.dead_letters
    assert letter.reason == f"no effect in {TRIES_MAX} tries: another hand"


async def _always_in_conflict(*_: object) -> None:
    raise Conflict("another hand")
