"""What the operator's readers see of trades, the same over memory and Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import AgentId, SagaId, VoidId, derived
from tradesaga.domain.orders import OrderStatus, Void
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import Entry, Insert, Update
from tradesaga.ports.trade_records import TradeQuery

OPEN = frozenset({SagaStatus.PENDING, SagaStatus.RUNNING, SagaStatus.MANUAL_REQUIRED})
ANY = TradeQuery(limit=10)
OTHER = AgentId(derived("stranger"))


def begun_at(name: str, second: int, symbol: str = "SPY") -> TradeState:
    trade = values.trade(name)
    at = NOW + second * SECOND
    return replace(trade, saga=replace(trade.saga, created_at=at, symbol=symbol))


async def three(backend: Backend) -> list[TradeState]:
    """The latest first: one that works, one that is parked, one that has ended."""
    old, parked, young = begun_at("a", 0), begun_at("b", 1, "QQQ"), begun_at("c", 2)
    for name, trade in (("a", old), ("b", parked), ("c", young)):
        rows = (Insert(values.allowed(name)), Insert(trade.saga))
        await backend.journal.commit(change(*rows, Insert(trade.order), Insert(trade.reservation)))
    ended = values.filled(values.working(old))
    step = values.working(old)
    await backend.journal.commit(change(Update(step.saga), Update(step.order)))
    end = [Update(ended.saga), Update(ended.order), Update(ended.reservation)]
    await backend.journal.commit(change(*end, *values.booked_rows(ended)))
    saga = parked.saga
    parked = replace(
        parked,
        saga=replace(saga, status=SagaStatus.MANUAL_REQUIRED, version=saga.version + 1),
    )
    await backend.journal.commit(change(Update(parked.saga)))
    return [young, parked, ended]


@pytest.mark.parametrize(
    ("query", "places"),
    [
        (ANY, [0, 1, 2]),
        (replace(ANY, limit=2), [0, 1]),
        (replace(ANY, symbol="QQQ"), [1]),
        (replace(ANY, symbol="NONE"), []),
        (replace(ANY, sagas=OPEN), [0, 1]),
        (replace(ANY, sagas=OPEN, limit=1), [0]),
        (replace(ANY, sagas=frozenset({SagaStatus.MANUAL_REQUIRED})), [1]),
        (replace(ANY, sagas=frozenset({SagaStatus.COMPLETED})), [2]),
        (replace(ANY, orders=frozenset({OrderStatus.FILLED})), [2]),
        (replace(ANY, sagas=OPEN, orders=frozenset({OrderStatus.FILLED})), []),
        (replace(ANY, cycle_id=values.cycle().id, limit=2), [0, 1]),
        (replace(ANY, cycle_id=values.cycle(9).id), []),
    ],
)
async def test_trades_are_listed_latest_first_and_narrowed(
    backend: Backend, query: TradeQuery, places: Sequence[int]
) -> None:
    known = await three(backend)
    assert await backend.records.trades(AGENT, query) == [known[place] for place in places]
    assert await backend.records.trades(AgentId(derived("stranger")), query) == []


@pytest.mark.parametrize("narrowed", [ANY, replace(ANY, cycle_id=values.cycle().id)])
async def test_a_list_is_gone_through_page_by_page(backend: Backend, narrowed: TradeQuery) -> None:
    known = await three(backend)
    seen: list[TradeState] = []
    query = replace(narrowed, limit=1)
    while page := await backend.records.trades(AGENT, query):
        seen += page
        query = replace(query, after=(page[-1].saga.created_at, page[-1].saga.id))
    assert seen == known
    lowest = replace(narrowed, after=(known[1].saga.created_at, SagaId(UUID(int=0))))
    assert await backend.records.trades(AGENT, lowest) == known[2:]
    highest = replace(narrowed, after=(known[1].saga.created_at, SagaId(UUID(int=2**128 - 1))))
    assert await backend.records.trades(AGENT, highest) == known[1:]


async def test_one_trade_comes_with_its_fills_and_its_log(backend: Backend) -> None:
    *_, ended = await three(backend)
    saga_id = ended.saga.id
    entries = tuple(
        Entry(
            kind=kind,
            subject=str(subject),
            actor="engine",
            body={"reason": "why", "price": Decimal("1.50"), "n": 2, "at": NOW, "id": saga_id},
        )
        for kind, subject in (("saga.step", saga_id), ("saga.step", derived("x")))
    )
    sequence = await backend.journal.commit(change(entries=entries))
    record = await backend.records.trade(AGENT, saga_id)
    assert record is not None
    assert record.state == ended
    assert record.fills == [values.fill(ended)]
    [step] = record.steps
    assert (step.sequence, step.kind, step.actor) == (sequence - 1, "saga.step", "engine")
    assert (step.at, step.epoch) == (NOW, 1)
    assert step.body == {
        "reason": "why", "price": "1.50", "n": 2,
        "at": "2026-11-20T15:30:00.123456Z", "id": str(saga_id),
    }  # fmt: skip


async def test_an_entry_of_several_steps_is_read_as_each_of_them(backend: Backend) -> None:
    *_, ended = await three(backend)
    body = {
        "steps": [{"step": "submit_order", "reason": ""}, {"step": "wait_for_fill", "reason": "x"}],
        "fills": [{"quantity": Decimal("2.0")}, {"quantity": Decimal("-2.0")}],
        "orderStatus": "filled",
    }
    entry = Entry(kind="saga.steps", subject=str(ended.saga.id), actor="engine", body=body)
    sequence = await backend.journal.commit(change(entries=(entry,)))
    record = await backend.records.trade(AGENT, ended.saga.id)
    assert record is not None
    assert [(step.kind, step.body) for step in record.steps] == [
        ("saga.step", {"step": "submit_order", "reason": "", "orderStatus": "filled"}),
        ("saga.step", {"step": "wait_for_fill", "reason": "x", "orderStatus": "filled"}),
        ("fill.booked", {"quantity": "2.0"}),
        ("fill.voided", {"quantity": "-2.0"}),
    ]
    assert {(step.sequence, step.actor, step.epoch) for step in record.steps} == {
        (sequence, "engine", 1)
    }


async def test_a_saga_that_is_not_there(backend: Backend) -> None:
    assert await backend.records.trade(AGENT, SagaId(derived("nobody"))) is None


async def test_what_was_taken_back_comes_with_its_trade(backend: Backend) -> None:
    *_, ended = await three(backend)
    void = Void(
        id=VoidId(derived(ended.order.id, "void", "2.5")),
        agent_id=AGENT,
        order_id=ended.order.id,
        saga_id=ended.saga.id,
        cumulative=Decimal("2.5"),
        quantity=Decimal(2),
        price=Decimal("100.1234567890123456789"),
        fee=Decimal(0),
        reason="exchange",
        recorded_at=NOW,
    )
    await backend.journal.commit(change(Insert(void)))
    found = await backend.records.trade_of(
        AGENT, venue_order_id=None, client_order_id=ended.order.client_order_id
    )
    assert found == replace(ended, voids=(void,))
    record = await backend.records.trade(AGENT, ended.saga.id)
    assert record is not None
    assert record.state.voids == (void,)
    *_, listed = await backend.records.trades(AGENT, ANY)
    assert listed.voids == (void,)
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(void)))


async def test_orders_that_were_proven_absent_are_found_again(backend: Backend) -> None:
    young, *_ = await three(backend)
    order = replace(
        young.order, status=OrderStatus.NOT_PLACED, lookups=2, evidence="absent", ended_at=NOW,
        version=young.order.version + 1,
    )  # fmt: skip
    assert await backend.records.absent_trades(AGENT, NOW - 9 * SECOND) == []
    await backend.journal.commit(change(Update(order)))
    (found,) = await backend.records.absent_trades(AGENT, order.created_at)
    assert found == replace(young, order=order)
    assert await backend.records.absent_trades(AGENT, order.created_at + SECOND) == []


async def test_a_decision_is_known_by_the_ids_of_its_saga_and_order(backend: Backend) -> None:
    _, _, ended = await three(backend)
    saga, order = ended.saga, ended.order
    assert order.venue_order_id is not None
    names = saga.decision_id, saga.id, order.id, order.client_order_id, order.venue_order_id
    for name in map(str, names):
        assert await backend.records.decision_named(AGENT, name) == saga.decision_id
        assert await backend.records.decision_named(OTHER, name) is None
    alone = values.decision("n")
    await backend.journal.commit(change(Insert(alone)))
    assert await backend.records.decision_named(AGENT, str(alone.id)) == alone.id
    for unknown in (str(derived("stranger")), "ts-stranger"):
        assert await backend.records.decision_named(AGENT, unknown) is None
