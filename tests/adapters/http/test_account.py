"""The venue's account and positions over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.http.conftest import NOW, Service, engine
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.services import VenuePosition


async def test_account() -> None:
    service = Service()
    said = {"accountId": "a", "equity": 100000.5, "cash": 9.1, "buyingPower": 7, "daytradeCount": 0}
    service.on("GET /api/v1/account", said | {"tradingBlocked": False, "accountBlocked": True})
    account = await engine(service).account()
    assert (account.equity, account.cash, account.buying_power) == (
        Decimal("100000.5"), Decimal("9.1"), Decimal(7),
    )  # fmt: skip
    assert (account.blocked, account.at) == (True, NOW)


async def test_positions_are_signed() -> None:
    service = Service()
    long = {"symbol": "SPY", "quantity": 3, "side": "long", "averageEntryPrice": 370}
    short = {"symbol": "IBM", "quantity": 2, "side": "short", "averageEntryPrice": 120}
    service.on("GET /api/v1/positions", {"positions": [long | {"currentPrice": 371}, short]})
    assert await engine(service).positions() == [
        VenuePosition(
            symbol="SPY", quantity=Decimal(3), average_entry_price=Decimal(370),
            current_price=Decimal(371),
        ),
        VenuePosition(
            symbol="IBM", quantity=Decimal(-2), average_entry_price=Decimal(120),
            current_price=None,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": "x"}),
        (500, b""),
        (200, {}),
        (200, {"positions": None}),
        (
            200,
            {"positions": [{"symbol": "S", "quantity": 1, "side": "up", "averageEntryPrice": 1}]},
        ),
    ],
)
async def test_a_failed_read_is_never_flat(status: int, body: Any) -> None:
    service = Service()
    service.on("GET /api/v1/positions", body, status)
    with pytest.raises(Unavailable):
        await engine(service).positions()
