"""Orders that are not ours as stored, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain import external
from tradesaga.domain.errors import Conflict
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.orders import Side
from tradesaga.ports.journal import Insert, Update

WHOLE = ExternalOrder(
    id=external.identity(AGENT, "ord/1"),
    agent_id=AGENT,
    venue_order_id="ord/1",
    client_order_id='by hand "ü"',
    symbol="BRK.B",
    side=Side.SELL,
    quantity=Decimal("0.123456789"),
    filled_quantity=Decimal("0.1"),
    type="stop_limit",
    limit_price=Decimal("321.5"),
    decision_id="d-1",
    kind=ExternalKind.STRAY,
    state=ExternalState.OPEN,
    placed_at=NOW,
    seen_at=NOW,
    updated_at=NOW,
)
HEARD = replace(
    WHOLE,
    id=external.identity(AGENT, "ord/2"),
    venue_order_id="ord/2",
    client_order_id=None,
    symbol="SPY",
    side=None,
    quantity=None,
    type=None,
    limit_price=None,
    decision_id=None,
    kind=ExternalKind.EXTERNAL,
    state=ExternalState.GONE,
    placed_at=None,
    seen_at=NOW + SECOND,
    ended_at=NOW + SECOND,
)


async def test_they_are_read_as_they_were_written(backend: Backend) -> None:
    listed = backend.records.external_orders
    assert list(await listed(AGENT, limit=9)) == []
    await backend.journal.commit(change(Insert(WHOLE), Insert(HEARD)))
    assert list(await listed(AGENT, limit=9)) == [HEARD, WHOLE]
    assert list(await listed(AGENT, limit=1)) == [HEARD]
    assert list(await listed(AGENT, limit=9, state=ExternalState.OPEN)) == [WHOLE]
    assert list(await listed(AGENT, limit=9, symbol="SPY")) == [HEARD]
    assert list(await listed(AGENT, limit=9, venue_order_id="ord/1")) == [WHOLE]
    told = external.warned(WHOLE, NOW + SECOND)
    await backend.journal.commit(change(Update(told)))
    assert list(await listed(AGENT, limit=9, venue_order_id="ord/1")) == [told]


async def test_each_is_stored_once(backend: Backend) -> None:
    await backend.journal.commit(change(Insert(WHOLE)))
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(WHOLE)))
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(replace(WHOLE, version=3))))


async def test_they_go_on_after_a_place(backend: Backend) -> None:
    await backend.journal.commit(change(Insert(WHOLE), Insert(HEARD)))
    place = HEARD.seen_at, HEARD.id
    assert await backend.records.external_orders(AGENT, limit=9, after=place) == [WHOLE]
    place = WHOLE.seen_at, WHOLE.id
    assert await backend.records.external_orders(AGENT, limit=9, after=place) == []
