"""A process that dies at any commit, and the next one that brings everything to the same end.

A crash before a commit is also one after whatever led to it: the order has been sent and nobody
knows. Each story runs once undisturbed to count its commits, then once for every way to die.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.domain.trades import FORGETFUL, POLICY
from tests.engine.place import PATIENCE, Crash, CrashingJournal, Place, begin, desk_of
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Order, OrderStatus
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.trade_messages import Policy
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.venue_script import (
    ACCEPT,
    LOSE_ANSWER,
    OnCancel,
    OnSubmit,
    fill_partly,
    refuse,
)

S = SagaStatus


@dataclass(frozen=True)
class Story:
    """What the venue does, and how the saga ends, whoever dies on the way."""

    script: tuple[OnSubmit | OnCancel, ...]
    end: SagaStatus
    filled: int
    policy: Policy = POLICY


STORIES = {
    "filled at once": Story((), S.COMPLETED, 2),
    "answer lost": Story((LOSE_ANSWER,), S.COMPLETED, 2),
    "partly filled": Story((fill_partly(1),), S.COMPLETED_PARTIAL, 1),
    "not filled": Story((ACCEPT,), S.COMPENSATED, 0),
    "the fill beats the cancel": Story((ACCEPT, OnCancel(fill_first=Decimal(2))), S.COMPLETED, 2),
    "filled, no dedupe": Story((), S.COMPLETED, 2, FORGETFUL),
    "partly filled, no dedupe": Story((fill_partly(1),), S.COMPLETED_PARTIAL, 1, FORGETFUL),
    "refused": Story((refuse(), refuse()), S.COMPENSATED, 0),
}
WHERE = [pytest.param(durable, id="after" if durable else "before") for durable in (False, True)]


async def lived(place: Place, journal: MemoryJournal) -> None:
    """A process that begins one trade and runs it to its end, or dies."""
    async with place.running(journal) as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()


async def commits_of(story: Story) -> tuple[int, int]:
    """How many commits there are before the first of the saga, and in all."""
    place = Place(policy=story.policy)
    place.venue.script(*story.script)
    journal = MemoryJournal(place.store)
    await lived(place, journal)
    first = next(
        n for n, c in enumerate(journal.changes, 1) if "saga.steps" in {e.kind for e in c.entries}
    )
    return first, len(journal.changes)


async def settled(place: Place) -> None:
    """The next process, until every saga it found has ended; a lost intent is begun anew."""
    async with place.node() as parts:
        for trade in desk_of(parts).trades:
            await trade.ended.wait()


async def died(place: Place, at: int, *, durable: bool) -> None:
    """A process that dies at commit number `at`."""
    journal = CrashingJournal(place.store, at=at, durable=durable)
    with pytest.raises(BaseExceptionGroup) as caught:
        await lived(place, journal)
    assert caught.group_contains(Crash)
    assert journal.dead


async def check(place: Place, story: Story) -> None:
    """One order at the venue, the same end, and books that agree with the venue."""
    sagas = place.store.of(Saga, DEFAULT_AGENT)
    if not sagas:
        assert place.venue.submits == [], "nothing is sent that is not recorded"
        return
    (saga,), (order,) = sagas, place.store.of(Order, DEFAULT_AGENT)
    assert set(place.venue.submits) <= {order.client_order_id}
    assert len(place.venue.orders) <= 1
    filled = sum((o.filled for o in place.venue.orders.values()), Decimal(0))
    assert await place.position() == filled == order.filled_quantity
    assert await place.broken() == []
    if order.status is OrderStatus.NOT_PLACED:
        assert story.policy is FORGETFUL, "it could be sent again"
        assert (saga.status, int(filled)) == (S.COMPENSATED, 0)
    else:
        assert (saga.status, int(filled)) == (story.end, story.filled)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("durable", WHERE)
async def test_a_crash_at_any_commit_changes_nothing_about_the_end(
    name: str, durable: bool
) -> None:
    story = STORIES[name]
    first, last = await commits_of(story)
    for at in range(first, last + 1):
        place = Place(policy=story.policy)
        place.venue.script(*story.script)
        await died(place, at, durable=durable)
        await settled(place)
        await check(place, story)


@pytest.mark.parametrize("name", ["answer lost", "partly filled", "filled, no dedupe"])
async def test_a_second_crash_during_the_recovery_changes_nothing_either(name: str) -> None:
    story = STORIES[name]
    first, last = await commits_of(story)
    for at in range(first, last + 1):
        for again in range(1, 4):
            place = Place(policy=story.policy)
            place.venue.script(*story.script)
            await died(place, at, durable=True)
            journal = CrashingJournal(place.store, at=again, durable=again % 2 == 0)
            await recovered_or_dead(place, journal)
            await settled(place)
            await check(place, story)


async def recovered_or_dead(place: Place, journal: CrashingJournal) -> None:
    """A second process that may die before its recovery has ended."""

    async def recover() -> None:
        async with place.node(journal) as parts:
            for trade in desk_of(parts).trades:
                await trade.ended.wait()

    task = asyncio.ensure_future(recover())
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.done()
    if journal.dead:
        assert isinstance(task.exception(), BaseExceptionGroup | Crash)


async def test_a_crash_between_the_intent_and_the_send_is_sent_by_the_next_process() -> None:
    """Where the venue dedupes; where it does not, absence is proven and the saga goes back."""
    for policy, end, sent in ((POLICY, S.COMPLETED, 1), (FORGETFUL, S.COMPENSATED, 0)):
        place = Place(policy=policy)
        first, _ = await commits_of(Story((), end, 0, policy))
        await died(place, first, durable=True)
        assert place.venue.submits == []
        await settled(place)
        (saga,) = place.store.of(Saga, DEFAULT_AGENT)
        assert (saga.status, len(place.venue.submits)) == (end, sent)
        assert await place.broken() == []


async def test_the_crash_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovery that takes an intent for unsent sends twice, and the check says so."""
    from tradesaga.domain.trade_saga import _Work

    monkeypatch.setattr(_Work, "recovered", lambda work: None)
    story = STORIES["filled, no dedupe"]
    first, _ = await commits_of(story)
    place = Place(policy=FORGETFUL)
    await died(place, first + 1, durable=False)
    await settled(place)
    with pytest.raises(AssertionError):
        await check(place, story)
