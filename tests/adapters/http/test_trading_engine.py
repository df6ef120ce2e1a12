"""The venue over HTTP: what each answer means for the order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest

from tests.adapters.http.conftest import LIMIT, NOW, ORDER, SENT, Service, engine
from tradesaga.domain.errors import DeadlineExceeded, Refused, TradesagaError, Unavailable
from tradesaga.domain.orders import OrderStatus, VenueBust, VenueFill
from tradesaga.ports.services import AmbiguousMatch

ORDERS = "/api/v1/orders"
LISTED = {
    "orderId": "ord_1",
    "symbol": "SPY",
    "side": "buy",
    "quantity": 3,
    "filledQuantity": 0,
    "status": "new",
    "createdAt": "2025-03-03T15:00:00.100Z",
    "updatedAt": "2025-03-03T15:00:00.100Z",
}


# ---- submit -------------------------------------------------------------------------------------


async def test_the_request_satisfies_both_dialects() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", {"orderId": "ord_1", "status": "accepted"}, 201)
    await engine(service).submit(LIMIT)

    [request] = service.requests
    assert request.headers["content-type"] == "application/json"
    assert b'"limitPrice":370.10' in request.content  # a number, in its own digits
    assert msgspec.json.decode(request.content) == {
        "clientOrderId": "ts-abc",
        "symbol": "SPY",
        "side": "buy",
        "quantity": 3,
        "type": "limit",
        "orderType": "limit",
        "timeInForce": "day",
        "limitPrice": 370.1,
        "strategyId": "00000000-0000-0000-0000-000000000007",
    }


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "pending"}, OrderStatus.WORKING),
        ({"status": "accepted"}, OrderStatus.WORKING),
        ({"status": "submitted", "success": True}, OrderStatus.WORKING),
        ({"status": "rejected"}, OrderStatus.REJECTED),
        ({"status": "held_for_review"}, OrderStatus.WORKING),  # a word we do not know: it lives
    ],
)
async def test_accepted(answer: dict[str, Any], status: OrderStatus) -> None:
    service = Service()
    service.on(f"POST {ORDERS}", {"orderId": "ord_1", **answer}, 201)
    report = await engine(service).submit(ORDER)
    assert (report.venue_order_id, report.status) == ("ord_1", status)
    assert (report.filled_quantity, report.at, report.source) == (Decimal(0), NOW, "reply")


async def test_a_reply_can_be_the_fill() -> None:
    service = Service()
    answer = (
        b'{"success":true,"orderId":"ord_1","status":"filled",'
        b'"filledQuantity":3,"filledPrice":184.15186982413243}'
    )
    service.on(f"POST {ORDERS}", answer, 201)
    report = await engine(service).submit(ORDER)
    assert report.status is OrderStatus.FILLED
    assert report.filled_quantity == 3
    assert report.average_price == Decimal("184.15186982413243")  # no float between


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (400, {"error": "Missing required fields", "required": ["symbol"]}, Refused, "400"),
        (422, {"error": "Risk check failed", "reason": "too large"}, Refused, "422"),
        (422, {"code": "INSUFFICIENT_FUNDS", "message": "no"}, Refused, "INSUFFICIENT_FUNDS"),
        (403, {"code": 40310000, "message": "buying power"}, Refused, "40310000"),
        (401, b"", Refused, "401"),
        (403, b"<html>", Refused, "403"),
        (400, {"success": False, "orderId": "o", "error": "x", "status": "failed"}, Refused, "400"),
        (422, {"code": 40010001, "message": "client_order_id must be unique"}, Unavailable, None),
        (422, {"message": "client_order_id must be unique"}, Unavailable, None),
        (409, {"code": "DUPLICATE_CLIENT_ORDER_ID", "error": "x"}, Unavailable, None),
        (400, {"code": "BROKER_ERROR", "message": "try again"}, Unavailable, None),
        (404, b"<html>Cannot POST</html>", Unavailable, None),
        (400, {"hello": "proxy"}, Unavailable, None),
        (400, b"[1]", Unavailable, None),
        (408, {"error": "timeout"}, Unavailable, None),
        (429, {"error": "slow down"}, Unavailable, None),
        (500, {"error": "Internal server error"}, Unavailable, None),
        (503, b"", Unavailable, None),
        (302, b"", Unavailable, None),
        (201, b"", Unavailable, None),
        (201, b"{", Unavailable, None),
        (201, {"status": "accepted"}, Unavailable, None),
        (201, {"orderId": "o", "status": "filled", "filledQuantity": "NaN"}, Unavailable, None),
        (201, {"orderId": "o", "status": "filled", "filledQuantity": -1}, Unavailable, None),
        (201, b'{"orderId":"o","status":"filled","filledQuantity":1e400}', Unavailable, None),
        (201, {"orderId": "o", "status": "accepted", "symbol": "IBM"}, Unavailable, None),
    ],
)
async def test_everything_else(
    status: int, body: Any, error: type[TradesagaError], code: str | None
) -> None:
    service = Service()
    service.on(f"POST {ORDERS}", body, status)
    with pytest.raises(error) as raised:
        await engine(service).submit(ORDER)
    assert getattr(raised.value, "code", None) == code
    assert len(service.requests) == 1  # never a second send


async def test_a_duplicate_says_so() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", {"code": 40010001, "message": "x"}, 422)
    with pytest.raises(Unavailable, match="duplicate client order id ts-abc"):
        await engine(service).submit(ORDER)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx2.ConnectError("refused"), Unavailable),
        (httpx2.ReadError("reset"), Unavailable),
        (httpx2.RemoteProtocolError("closed"), Unavailable),
        (httpx2.ReadTimeout("late"), DeadlineExceeded),
        (httpx2.PoolTimeout("late"), DeadlineExceeded),
    ],
)
async def test_no_answer(failure: Exception, error: type[TradesagaError]) -> None:
    service = Service()
    service.on(f"POST {ORDERS}", failure)
    with pytest.raises(error):
        await engine(service).submit(ORDER)


# ---- look-up ------------------------------------------------------------------------------------


async def test_by_venue_id_with_every_fill() -> None:
    service = Service()
    fills = [
        {"executionId": "x1", "quantity": 1, "price": 370, "filledAt": "2025-03-03T15:00:01Z"},
        {"executionId": "x2", "quantity": 2, "price": 371, "filledAt": "2025-03-03T16:00:02+01:00"},
    ]
    found = LISTED | {
        "filledQuantity": 3,
        "averagePrice": 370.66,
        "status": "filled",
        "fills": fills,
    }
    service.on(f"GET {ORDERS}/ord_1", found)
    report = await engine(service).look_up(SENT)

    assert report is not None
    assert report.status is OrderStatus.FILLED
    assert report.fills == (
        VenueFill(
            cumulative=Decimal(1), quantity=Decimal(1), price=Decimal(370),
            at=datetime(2025, 3, 3, 15, 0, 1, tzinfo=UTC), execution_id="x1",
        ),
        VenueFill(
            cumulative=Decimal(3), quantity=Decimal(2), price=Decimal(371),
            at=datetime(2025, 3, 3, 15, 0, 2, tzinfo=UTC), execution_id="x2",
        ),
    )  # fmt: skip


async def test_an_execution_that_was_taken_back_stays_counted() -> None:
    service = Service()
    fills = [
        {"quantity": 1, "price": 370, "filledAt": "2025-03-03T15:00:01Z"},
        {"quantity": 2, "price": 371, "filledAt": "2025-03-03T15:00:02Z", "busted": True,
         "bustReason": "exchange"},
    ]  # fmt: skip
    found = LISTED | {"filledQuantity": 1, "averagePrice": 370, "status": "filled", "fills": fills}
    service.on(f"GET {ORDERS}/ord_1", found)
    report = await engine(service).look_up(SENT)
    assert report is not None
    assert report.filled_quantity == 3
    assert report.busts == (
        VenueBust(
            cumulative=Decimal(3), quantity=Decimal(2), price=Decimal(371), reason="exchange"
        ),
    )
    assert report.value_of(Decimal(3)) == 370 + 2 * 371


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("new", OrderStatus.WORKING),
        ("pending", OrderStatus.WORKING),
        ("submitted", OrderStatus.WORKING),
        ("partially_filled", OrderStatus.PARTIALLY_FILLED),
        ("filled", OrderStatus.FILLED),
        ("cancelled", OrderStatus.CANCELED),
        ("canceled", OrderStatus.CANCELED),
        ("rejected", OrderStatus.REJECTED),
        ("failed", OrderStatus.REJECTED),
        ("expired", OrderStatus.EXPIRED),
        ("pending_cancel", OrderStatus.WORKING),
    ],
)
async def test_every_status_word(word: str, status: OrderStatus) -> None:
    service = Service()
    service.on(f"GET {ORDERS}/ord_1", LISTED | {"status": word})
    report = await engine(service).look_up(SENT)
    assert report is not None
    assert report.status is status


async def test_an_id_with_a_slash_stays_one_segment() -> None:
    service = Service()
    service.on(f"GET {ORDERS}/a/b", LISTED | {"orderId": "a/b"})
    await engine(service).look_up(replace(SENT, venue_order_id="a/b"))
    assert service.requests[0].url.raw_path == b"/api/v1/orders/a%2Fb"


async def test_absent_by_venue_id() -> None:
    service = Service()
    service.on(f"GET {ORDERS}/ord_1", {"error": "Order not found"}, 404)
    assert await engine(service).look_up(SENT) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>Cannot GET</html>"),  # not the venue speaks, but something before it
        (500, {"error": "x"}),
        (403, {"error": "x"}),
        (200, LISTED | {"symbol": "IBM"}),
        (200, LISTED | {"orderId": "ord_2"}),
        (200, LISTED | {"clientOrderId": "someone-elses"}),
        (200, LISTED | {"filledQuantity": 1e30}),
        (
            200,
            LISTED | {"fills": [{"quantity": 9, "price": 1, "filledAt": "2025-03-03T15:00:00Z"}]},
        ),
    ],
)
async def test_an_unusable_answer_says_nothing(status: int, body: Any) -> None:
    service = Service()
    service.on(f"GET {ORDERS}/ord_1", body, status)
    with pytest.raises(Unavailable):
        await engine(service).look_up(SENT)


@pytest.mark.parametrize(
    ("orders", "found"),
    [
        ([LISTED | {"clientOrderId": "ts-abc"}], "ord_1"),
        ([LISTED | {"clientOrderId": "ts-abcd"}], None),
        ([LISTED], None),  # it ignores the question: nothing in the answer is ours by name
        ([], None),
    ],
)
async def test_by_client_id(orders: list[dict[str, Any]], found: str | None) -> None:
    service = Service()
    service.on(f"GET {ORDERS}", {"orders": orders})
    report = await engine(service, by_client_id=True).look_up(ORDER)
    assert (None if report is None else report.venue_order_id) == found
    assert service.requests[0].url.params["clientOrderId"] == "ts-abc"


FITS = LISTED | {"orderType": "market"}


@pytest.mark.parametrize(
    ("orders", "found"),
    [
        ([FITS], "ord_1"),
        ([FITS | {"status": "filled", "filledQuantity": 3, "filledPrice": 370}], "ord_1"),
        ([FITS | {"symbol": "IBM"}], None),
        ([FITS | {"side": "sell"}], None),
        ([FITS | {"quantity": 4}], None),
        ([FITS | {"orderType": "limit"}], None),
        ([FITS | {"clientOrderId": "another"}], None),
        ([FITS | {"decisionId": "dec_1"}], None),  # the engine's own trade
        ([FITS | {"createdAt": "2025-03-03T14:59:58Z"}], None),  # before the intent
        ([FITS | {"createdAt": "2025-03-03T14:59:59.500Z"}], "ord_1"),  # clocks differ a little
        ([FITS | {"createdAt": "2025-03-03T15:05:59Z"}], "ord_1"),  # it was long on its way
        ([FITS | {"createdAt": "2025-03-03T15:06:01Z"}], None),  # nothing of ours is sent so late
        ([FITS | {"orderId": "ours"}], None),  # claimed by another order of ours
        ([FITS, FITS | {"orderId": "ours"}], "ord_1"),
        ([], None),
    ],
)
async def test_by_traits(orders: list[dict[str, Any]], found: str | None) -> None:
    service = Service()
    service.on(f"GET {ORDERS}", {"orders": orders, "count": len(orders)})
    report = await engine(service, claimed={"ours"}).look_up(ORDER)
    assert (None if report is None else report.venue_order_id) == found


async def test_by_limit_price() -> None:
    service = Service()
    one = FITS | {"orderType": "limit", "limitPrice": 370.1}
    service.on(f"GET {ORDERS}", {"orders": [one, one | {"orderId": "o", "limitPrice": 370.2}]})
    report = await engine(service).look_up(LIMIT)
    assert report is not None
    assert report.venue_order_id == "ord_1"


async def test_several_that_fit_are_for_a_person() -> None:
    service = Service()
    service.on(f"GET {ORDERS}", {"orders": [FITS, FITS | {"orderId": "ord_2"}]})
    with pytest.raises(AmbiguousMatch, match="ord_1, ord_2"):
        await engine(service).look_up(ORDER)


async def test_the_list_is_read_to_its_end() -> None:
    pages = {None: {"orders": [], "nextCursor": "c1"}, "c1": {"orders": [FITS]}}
    service = Service()
    service.on(f"GET {ORDERS}", lambda request: pages[request.url.params.get("after")])
    report = await engine(service).look_up(ORDER)
    assert report is not None


async def test_a_list_without_end_is_no_answer() -> None:
    service = Service()
    service.on(f"GET {ORDERS}", {"orders": [], "nextCursor": "again"})
    with pytest.raises(Unavailable, match="more than"):
        await engine(service).look_up(ORDER)


# ---- cancel, account, positions -----------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 404, 409, 422])
async def test_a_cancel_is_only_asked_for(status: int) -> None:
    service = Service()
    service.on(f"DELETE {ORDERS}/ord_1", {"error": "Cannot cancel order in filled status"}, status)
    await engine(service).cancel("ord_1")


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_a_cancel_without_answer(status: int) -> None:
    service = Service()
    service.on(f"DELETE {ORDERS}/ord_1", {"error": "x"}, status)
    with pytest.raises(Unavailable):
        await engine(service).cancel("ord_1")
