"""The list of open orders, in both dialects: whole, or no answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.adapters.http.conftest import Service, engine
from tests.adapters.http.test_trading_engine import FITS, ORDERS
from tradesaga.domain.errors import Unavailable

OPEN = FITS | {"status": "new"}


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([], []),
        ([OPEN], [("ord_1", "buy", 3, 0)]),
        ([OPEN | {"status": "partially_filled", "filledQuantity": 1}], [("ord_1", "buy", 3, 1)]),
        ([OPEN | {"status": "submitted", "side": "SELL"}], [("ord_1", "sell", 3, 0)]),
        ([OPEN | {"status": "never heard of"}], [("ord_1", "buy", 3, 0)]),
        # The other dialect knows no `open` and lists what has ended, too.
        ([OPEN, FITS | {"status": "filled", "orderId": "ord_2"}], [("ord_1", "buy", 3, 0)]),
        ([FITS | {"status": "failed", "symbol": None}], []),
    ],
)
async def test_open_orders(listed: list[dict[str, Any]], found: list[tuple[object, ...]]) -> None:
    service = Service()
    service.on(f"GET {ORDERS}", {"orders": listed})
    orders = await engine(service).open_orders()
    said: list[tuple[object, ...]] = [
        (o.venue_order_id, o.side, o.quantity, o.filled_quantity) for o in orders
    ]
    assert said == found
    assert service.requests[0].url.params["status"] == "open"


async def test_open_orders_are_read_page_by_page() -> None:
    pages = {
        None: {"orders": [OPEN], "nextCursor": "c1"},
        "c1": {"orders": [OPEN | {"orderId": "ord_2"}]},
    }
    service = Service()
    service.on(f"GET {ORDERS}", lambda request: pages[request.url.params.get("after")])
    assert [o.venue_order_id for o in await engine(service).open_orders()] == ["ord_1", "ord_2"]
    assert [request.url.params["status"] for request in service.requests] == ["open", "open"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {}),
        (404, {"error": "no such path"}),
        (200, {}),
        (200, {"orders": [OPEN], "nextCursor": "again"}),
        (200, {"orders": [OPEN | {"symbol": None}]}),
        (200, {"orders": [OPEN | {"side": "both"}]}),
        (200, {"orders": [OPEN | {"quantity": None}]}),
        (200, {"orders": [OPEN | {"quantity": -1}]}),
        (200, {"orders": [OPEN | {"filledQuantity": 1e30}]}),
    ],
)
async def test_a_list_that_cannot_be_read_is_never_no_orders(status: int, body: Any) -> None:
    service = Service()
    service.on(f"GET {ORDERS}", body, status)
    with pytest.raises(Unavailable):
        await engine(service).open_orders()


async def test_orders_that_have_ended_are_listed_as_they_stood() -> None:
    ended = FITS | {"status": "filled", "orderId": "ord_2", "filledQuantity": 3}
    unclear = FITS | {"status": "failed", "orderId": "ord_3", "symbol": None}
    pages = {
        None: {"orders": [OPEN, ended], "nextCursor": "c1"},
        "c1": {"orders": [unclear, ended | {"orderId": "ord_4", "status": "cancelled"}]},
    }
    service = Service()
    service.on(f"GET {ORDERS}", lambda request: pages[request.url.params.get("after")])
    found = await engine(service).ended_orders()
    assert [(one.venue_order_id, int(one.filled_quantity)) for one in found] == [
        ("ord_2", 3), ("ord_4", 3),
    ]  # fmt: skip
    assert [request.url.params["status"] for request in service.requests] == ["closed", "closed"]
    service.on(f"GET {ORDERS}", {}, 500)
    with pytest.raises(Unavailable):
        await engine(service).ended_orders()
