"""Books that are not those of before end trading until a person has looked; nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import START
from tests.engine.place import Crash, CrashingJournal, Place
from tests.engine.test_external_orders import GONE, OPEN, places, standing, stored
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.external import ExternalKind
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId, SagaId, client_order_id, derived_at
from tradesaga.domain.ladder import EVERYWHERE, Cause, Exit, Purpose, Rung, Scope, ScopeKind
from tradesaga.domain.orders import Side
from tradesaga.engine.assembly import Parts
from tradesaga.ports.database import DatabaseIdentity, DatabaseLook
from tradesaga.ports.services import OpenOrder

FIRST = DatabaseIdentity(system="7001", timeline=1)
PROMOTED, RESTORED = replace(FIRST, timeline=2), replace(FIRST, system="7002")
BEFORE = START - timedelta(minutes=5)
FORGOTTEN_ID = client_order_id(SagaId(derived_at(BEFORE, "a")), 0, "entry")


@dataclass
class Marks:
    """Implements `DatabaseMarks` for one agent."""

    here: DatabaseIdentity = FIRST
    noted: DatabaseIdentity | None = None
    heard: str = ""
    told: list[str] = field(default_factory=list)

    async def look(self, agent_id: AgentId) -> DatabaseLook | None:
        return DatabaseLook(here=self.here, noted=self.noted, doubt=self.heard)

    async def note(self, agent_id: AgentId, here: DatabaseIdentity) -> None:
        self.noted, self.heard = here, ""

    async def doubt(self, agent_id: AgentId, why: str) -> None:
        self.told.append(why)


@dataclass
class History:
    """Implements `OrderHistory`."""

    orders: list[OpenOrder] = field(default_factory=list)
    away: bool = False
    asked: int = 0

    async def ended_orders(self) -> Sequence[OpenOrder]:
        self.asked += 1
        if self.away:
            raise Unavailable("no answer")
        return self.orders


def doubts(parts: Parts) -> str:
    reason = parts.ladder.ladder.standing(Cause.BOOKS_IN_DOUBT)
    return "" if reason is None else reason.detail


async def test_the_same_database_is_no_cause_and_is_noted_once() -> None:
    marks = Marks()
    place = Place(database=marks)
    for _ in range(2):
        async with place.running() as parts:
            assert doubts(parts) == ""
    assert marks.noted == FIRST


@pytest.mark.parametrize("other", [PROMOTED, RESTORED])
async def test_another_database_halts_until_a_person_rearms(other: DatabaseIdentity) -> None:
    marks = Marks(noted=FIRST)
    place = Place(database=marks)
    marks.here = other
    async with place.running() as parts:
        assert parts.ladder.rung() is Rung.HALTED
        assert f"{other.told()}, noted was {FIRST.told()}" in doubts(parts)
        assert "tradesaga verify" in doubts(parts)
        reason = parts.ladder.ladder.reasons[0]
        assert reason.exit is Exit.REARM
        assert not reason.rung.allows(Purpose.ENTRY)
        assert not reason.rung.allows(Purpose.EXIT)
        assert reason.rung.allows(Purpose.CANCEL)
        assert ("error_occurred", Cause.BOOKS_IN_DOUBT) in place.metrics.seen
    async with place.running() as parts:
        assert parts.ladder.rung() is Rung.HALTED, "no restart ends it"
        with pytest.raises(Invalid):
            await parts.ladder.rearm(EVERYWHERE, "ann", "")
        await parts.ladder.rearm(EVERYWHERE, "ann", "compared, all is there")
        assert parts.ladder.rung() is Rung.NORMAL
    async with place.running() as parts:
        assert doubts(parts) == "", "it is the known one now"


async def test_who_dies_after_the_halt_was_stored_has_not_noted_the_database() -> None:
    marks = Marks(here=RESTORED, noted=FIRST)
    place = Place(database=marks)
    async with place.running():
        pass
    marks.noted = FIRST
    place.store.rows = {k: v for k, v in place.store.rows.items() if k[0].__name__ != "Ladder"}
    for durable in (False, True):
        journal = CrashingJournal(place.store, at=1, durable=durable)
        with pytest.raises(BaseExceptionGroup) as ends:
            async with place.node(journal):
                pass
        assert ends.group_contains(Crash)
        assert marks.noted == FIRST
    async with place.running() as parts:
        assert parts.ladder.rung() is Rung.HALTED
    assert marks.noted == RESTORED


async def test_what_another_agent_has_seen_counts_for_all() -> None:
    marks = Marks(noted=FIRST, heard="the bus has more")
    place = Place(database=marks)
    async with place.running() as parts:
        assert "the bus has more" in doubts(parts)
        assert marks.heard == ""
        await parts.ladder.rearm(EVERYWHERE, "ann", "looked")
        marks.heard = "seen later"
        await parts.recovery.former.heed()
        assert "seen later" in doubts(parts)
        await parts.recovery.former.set_back("seen here")
        assert marks.told == ["seen here"]


async def test_an_order_under_an_id_of_ours_from_before_halts() -> None:
    place = Place(database=Marks(noted=FIRST))
    async with place.running() as parts:
        venue_order_id = await places(place, FORGOTTEN_ID)
        await parts.books.run_once()
        [order] = await stored(place)
        assert (order.kind, order.state) == (ExternalKind.FORGOTTEN, OPEN)
        assert parts.ladder.rung() is Rung.HALTED
        assert venue_order_id in doubts(parts)
        assert FORGOTTEN_ID in doubts(parts)
        scope = Scope(ScopeKind.SYMBOL, "ACME")
        assert (Cause.STRAY_ORDER, scope) in standing(parts), "its symbol is locked as well"
        assert not place.venue.cancels, "it is never touched"
        await parts.ladder.rearm(EVERYWHERE, "ann", "it is known")
    async with place.running() as parts:
        await parts.books.run_once()
        assert doubts(parts) == "", "told once"


async def test_one_of_now_or_in_the_first_life_is_a_stray() -> None:
    of_now = client_order_id(SagaId(derived_at(START + timedelta(hours=1), "a")), 0, "entry")
    for noted, name in ((FIRST, of_now), (None, FORGOTTEN_ID)):
        place = Place(database=Marks(noted=noted))
        async with place.running() as parts:
            await places(place, name)
            await parts.books.run_once()
            assert [order.kind for order in await stored(place)] == [ExternalKind.STRAY]
            assert doubts(parts) == ""


async def test_orders_that_ended_are_imported_once_the_books_are_in_doubt() -> None:
    marks, history = Marks(noted=FIRST), History()
    place = Place(database=marks, order_history=history)
    history.orders = [ended("v-1", FORGOTTEN_ID), ended("v-2", "by-hand"), ended("v-3", None)]
    async with place.running() as parts:
        await parts.books.run_once()
        assert (history.asked, await stored(place)) == (0, []), "nobody asks while all is well"
    marks.here, history.away = RESTORED, True
    async with place.running() as parts:
        await parts.books.run_once()
        assert (history.asked, await stored(place)) == (1, [])
        history.away = False
        for _ in range(3):
            await parts.books.run_once()
        assert history.asked == 2
        [order] = await stored(place)
        assert (order.venue_order_id, order.kind, order.state) == (
            "v-1", ExternalKind.FORGOTTEN, GONE,
        )  # fmt: skip
        assert order.filled_quantity == 10
        assert place.kinds().count("order.external") == 1
        assert "v-1" in str(place.store.log_of(DEFAULT_AGENT)[-1].entry.body)


def ended(venue_order_id: str, name: str | None) -> OpenOrder:
    return OpenOrder(
        venue_order_id=venue_order_id,
        client_order_id=name,
        symbol="ACME",
        side=Side.BUY,
        type="market",
        quantity=Decimal(10),
        filled_quantity=Decimal(10),
        limit_price=None,
        created_at=BEFORE,
    )
