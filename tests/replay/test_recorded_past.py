"""A recorded life that takes over what a former one left open is played again from the tape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.replay.scripts import SHORT, script
from tests.replay.test_recorded import life_of, record
from tradesaga.adapters.memory.journal import LoggedEntry, MemoryStore
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ids import AgentId, CycleId
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.domain.saga import ENDS, Saga, SagaStatus
from tradesaga.engine.world import World
from tradesaga.ports.services import TradingEngine
from tradesaga.replay import rerunning
from tradesaga.replay.bus import ReplayBus
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.divergence import Rerun
from tradesaga.replay.past import Kept
from tradesaga.replay.playing import Run
from tradesaga.replay.reels import known_before
from tradesaga.replay.rerunning import Life
from tradesaga.replay.tape import files_of

FIRST_LIFE = SHORT[0], SHORT[0] + timedelta(minutes=20)
SECOND_LIFE = FIRST_LIFE[1] + timedelta(minutes=1), SHORT[1] + timedelta(minutes=20)


class Silent:
    """A venue that takes no order and gives no answer about any."""

    def __init__(self, venue: TradingEngine) -> None:
        self._venue = venue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def submit(self, order: Order) -> VenueReport:
        raise Unavailable("no answer")

    async def look_up(self, order: Order) -> VenueReport | None:
        raise Unavailable("no answer")


class Remembering:
    """A venue that has cancelled, partly filled, the orders of the first life."""

    def __init__(self, venue: TradingEngine, theirs: Mapping[str, Order]) -> None:
        self._venue = venue
        self._theirs = theirs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    async def look_up(self, order: Order) -> VenueReport | None:
        if order.client_order_id not in self._theirs:
            return await self._venue.look_up(order)
        return VenueReport(
            venue_order_id=f"v-{order.client_order_id}",
            status=OrderStatus.CANCELED,
            source="look-up",
            at=SECOND_LIFE[0],
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            filled_quantity=Decimal(1),
            average_price=order.reference_price,
        )


def silent(world: World) -> World:
    return replace(world, venue=Silent(world.venue))


def second_life(store: MemoryStore, directory: Path) -> Run:
    """A life on the store of another one, recorded."""
    begun = script(*SECOND_LIFE)
    theirs = {o.client_order_id: o for o in store.of(Order, begun.settings.agent_id)}

    def with_memory(world: World) -> World:
        return replace(world, venue=Remembering(world.venue, theirs))

    return record(begun, directory, with_memory, store=store)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Life, Run, frozenset[str], int]:
    """The second life as recorded and as it was; its first sagas; where its log began."""
    first = record(
        script(*FIRST_LIFE), tmp_path_factory.mktemp("first"), silent, store=MemoryStore()
    )
    agent_id, store = first.script.settings.agent_id, first.store
    left = _cut_off(agent_id)
    store.put(left)
    opened = frozenset(str(s.id) for s in store.of(Saga, agent_id) if s.status not in ENDS)
    begins_at, directory = len(store.log_of(agent_id)), tmp_path_factory.mktemp("second")
    second = second_life(store, directory)
    return life_of(files_of(directory)[0]), second, opened, begins_at


def _cut_off(agent_id: AgentId) -> Cycle:
    return Cycle(
        id=CycleId(UUID(int=7)),
        agent_id=agent_id,
        type=CycleType.ANALYSIS,
        triggered_by=TriggeredBy.SCHEDULE,
        scheduled_at=FIRST_LIFE[1],
        started_at=FIRST_LIFE[1],
        epoch=1,
        metadata={"spent": Decimal("0.25"), "strategy": "x", "symbols": 2, "none": None},
    )


def told(lines: list[LoggedEntry], sagas: frozenset[str]) -> list[tuple[str, str, str, bytes]]:
    """What a log says of sagas."""
    return [
        (one.entry.subject, one.entry.kind, one.entry.actor, msgspec.json.encode(one.entry.body))
        for one in lines
        if one.entry.subject in sagas
    ]


def rerun_with_store(life: Life, monkeypatch: pytest.MonkeyPatch) -> tuple[Rerun, MemoryStore]:
    kept: list[MemoryStore] = []
    make = rerunning._store_of

    def keep(life: Life) -> MemoryStore:
        kept.append(make(life))
        return kept[-1]

    monkeypatch.setattr(rerunning, "_store_of", keep)
    return rerunning.rerun(life), kept[0]


def test_a_life_that_began_with_open_sagas_is_replayed_to_the_same_journal(
    lives: tuple[Life, Run, frozenset[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    life, second, opened, begins_at = lives
    agent_id = life.settings.agent_id
    assert len(opened) == life.beginning.open_trades > 0
    found, store = rerun_with_store(life, monkeypatch)
    assert found.divergences == []
    lived = told(second.store.log_of(agent_id)[begins_at:], opened)
    assert len(lived) > len(opened)
    assert told(store.log_of(agent_id), opened) == lived
    for saga in store.of(Saga, agent_id):
        if str(saga.id) in opened:
            assert saga.status is SagaStatus.COMPLETED_PARTIAL
            assert replace(second.store.rows[Saga, saga.id], updated_at=saga.updated_at) == saga
    assert store.positions == second.store.positions
    interrupted = store.rows[Cycle, UUID(int=7)]
    assert isinstance(interrupted, Cycle)
    assert interrupted.status is CycleStatus.CANCELLED
    assert store.epochs == second.store.epochs


def test_what_a_former_life_has_heard_has_no_effect_again(tmp_path: Path) -> None:
    first = record(script(*FIRST_LIFE), tmp_path / "first", store=MemoryStore())
    heard = [e for e in life_of(files_of(tmp_path / "first")[0]).lines if e.kind == "event"]
    decisions = [e for e in heard if b"ai.decision.generated" in bytes(e.body)][:3]
    agent_id = first.script.settings.agent_id
    before = len(first.store.of(Decision, agent_id))
    buses: list[ReplayBus] = []

    def seen(world: World) -> World:
        assert isinstance(world.bus, ReplayBus)
        buses.append(world.bus)
        return world

    async def again(_ports: Mapping[str, Any], clock: PlayedClock) -> None:
        await clock.sleep_until(SECOND_LIFE[0] + timedelta(minutes=3, seconds=20))
        for line in decisions:
            buses[0].take(line.name, msgspec.json.decode(line.body, type=str).encode())

    directory = tmp_path / "second"
    second = record(script(*SECOND_LIFE), directory, seen, store=first.store, orders=again)
    life = life_of(files_of(directory)[0])
    known = set(known_before(life.lines))
    assert len(known) >= len(decisions)
    found = rerunning.rerun(life)
    assert found.divergences == []
    assert found.decisions == len(second.store.of(Decision, agent_id)) - before

    unknown = [line for line in life.lines if line.kind != "known"]
    divergences = rerunning.rerun(replace(life, lines=unknown)).divergences
    assert len([one for one in divergences if one.recorded == "none"]) == len(decisions)


def test_the_orders_of_the_second_life_are_compared_too(
    lives: tuple[Life, Run, frozenset[str], int],
) -> None:
    life, second, _, _ = lives
    found = rerunning.rerun(life)
    stored = second.store.of(Order, life.settings.agent_id)
    assert found.orders == len([o for o in stored if o.created_at >= SECOND_LIFE[0]]) > 0


def test_without_what_the_life_found_the_replay_differs(
    lives: tuple[Life, Run, frozenset[str], int],
) -> None:
    life, _, opened, _ = lives
    bare = msgspec.structs.replace(life.beginning, rows=[])
    found = rerunning.rerun(replace(life, beginning=bare))
    assert len([d for d in found.divergences if d.replayed == "none"]) >= len(opened)


def test_a_row_of_another_version_is_refused() -> None:
    with pytest.raises(Invalid, match="a Gone was recorded by another version"):
        Kept(kind="Gone", body=msgspec.Raw(b"{}")).value()
    with pytest.raises(Invalid, match="a Saga was recorded by another version"):
        Kept(kind="Saga", body=msgspec.Raw(b"{}")).value()


def test_every_row_comes_back_as_it_was(lives: tuple[Life, Run, frozenset[str], int]) -> None:
    life = lives[0]
    rows = [kept.value() for kept in life.beginning.rows]
    assert {"Saga", "Order", "Reservation", "Cycle", "Checkpoint", "EquityMarks"} <= {
        type(row).__name__ for row in rows
    }
    assert all(Kept.of(Kept.of(row).value()) == Kept.of(row) for row in rows)
