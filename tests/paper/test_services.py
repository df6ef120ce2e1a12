"""The three services over real HTTP and NATS: what they answer, what they tell, ordered faults."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx2
import nats
import pytest

from tests.paper.served import BUY, DECISIONS, MARKET, TRADING, Client, Heard, filled
from tradesaga.paper.settings import PaperSettings


async def test_an_order_from_submission_to_position_and_back(paper: Client, heard: Heard) -> None:
    status, accepted = await paper.call(
        TRADING, "POST", "/orders", {**BUY, "clientOrderId": "ts-a", "strategyId": "s"}
    )
    assert (status, accepted["status"]) == (201, "accepted")
    order = await filled(paper, accepted["orderId"])
    assert order["filledQuantity"] == 10
    assert order["clientOrderId"] == "ts-a"
    (fill,) = order["fills"]
    _, account = await paper.call(TRADING, "GET", "/account")
    assert account["cash"] == 100_000 - 10 * fill["price"]
    assert account["equity"] == account["cash"] + account["longMarketValue"]
    _, positions = await paper.call(TRADING, "GET", "/positions")
    assert [position["quantity"] for position in positions["positions"]] == [10]
    _, closed = await paper.call(TRADING, "DELETE", "/positions/SPY")
    await filled(paper, closed["orderId"])
    assert (await paper.call(TRADING, "GET", "/positions/SPY"))[0] == 404
    story = [
        "trade.order.submitted", "trade.order.filled", "trade.position.opened",
        "trade.order.submitted", "trade.order.filled", "trade.position.closed",
    ]  # fmt: skip
    await heard.wait("trade.position.closed")
    told = [event["metadata"]["eventType"] for event in heard.events]
    assert [kind for kind in told if kind.startswith("trade.")] == story
    (first, _) = heard.of("trade.order.filled")
    assert first["payload"]["executionId"] == fill["executionId"]
    assert first["payload"]["remainingQuantity"] == 0
    assert first["payload"]["isPartial"] is False
    assert first["metadata"]["timestamp"].endswith("Z")


async def test_the_events_of_an_order_bear_the_correlation_id_of_its_request(
    paper: Client, heard: Heard
) -> None:
    named = {"X-Correlation-Id": "01766713-2a80-7000-8000-0000000000d1"}
    _, first = await paper.call(TRADING, "POST", "/orders", BUY, **named)
    await filled(paper, first["orderId"])
    assert await heard.wait("trade.position.opened")
    story = [event for event in heard.events if event["metadata"]["source"] == "trading-engine"]
    told = [event for event in story if event["metadata"]["eventType"].startswith("trade.")]
    assert len(told) == 3  # submitted, filled, opened
    assert {event["metadata"]["correlationId"] for event in told} == {*named.values()}
    _, second = await paper.call(TRADING, "POST", "/orders", BUY)
    (unnamed,) = await heard.wait("trade.order.submitted", orderId=second["orderId"])
    assert "correlationId" not in unnamed["metadata"]


async def test_a_repeated_client_order_id_is_refused_and_found(paper: Client) -> None:
    body = {**BUY, "clientOrderId": "ts-a"}
    _, accepted = await paper.call(TRADING, "POST", "/orders", body)
    status, refused = await paper.call(TRADING, "POST", "/orders", body)
    assert status == 422
    assert refused == {"code": 40010001, "message": "client_order_id must be unique"}
    _, found = await paper.call(TRADING, "GET", "/orders?clientOrderId=ts-a")
    assert [order["orderId"] for order in found["orders"]] == [accepted["orderId"]]
    _, none = await paper.call(TRADING, "GET", "/orders?clientOrderId=ts-b")
    assert none["orders"] == []


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"quantity": 0}, 400, "VALIDATION"),
    ({"quantity": "NaN"}, 400, "VALIDATION"),
    ({"quantity": 0.00001}, 400, "VALIDATION"),
    ({"quantity": None}, 400, "VALIDATION"),
    ({"side": "short"}, 400, "VALIDATION"),
    ({"type": "stop"}, 400, "VALIDATION"),
    ({"type": "limit"}, 400, "VALIDATION"),
    ({"type": "limit", "limitPrice": 100.001}, 400, "VALIDATION"),
    ({"type": "market", "extendedHours": True}, 400, "VALIDATION"),
    ({"timeInForce": "gtc"}, 400, "VALIDATION"),
    ({"symbol": "TOOLONGSYMBOL"}, 400, "VALIDATION"),
    ({"clientOrderId": "x" * 65}, 400, "VALIDATION"),
    ({"symbol": 5}, 400, "VALIDATION"),
    ({"symbol": "XXX"}, 422, "SYMBOL_NOT_TRADABLE"),
    ({"quantity": 1000}, 422, "INSUFFICIENT_FUNDS"),
    ({"side": "sell"}, 422, "POSITION_LIMIT"),
]


async def test_refusals_say_why(paper: Client) -> None:
    for change, status, code in REFUSED:
        answered, problem = await paper.call(TRADING, "POST", "/orders", {**BUY, **change})
        assert (answered, problem["code"]) == (status, code), change
        assert problem["message"], change
    assert (await paper.call(TRADING, "GET", "/orders"))[1]["orders"] == []


async def test_a_lost_reply_and_an_error_leave_the_order_accepted(paper: Client) -> None:
    await paper.fault(TRADING, kind="reply_lost")
    with pytest.raises(httpx2.RemoteProtocolError):
        await paper.call(TRADING, "POST", "/orders", {**BUY, "clientOrderId": "ts-lost"})
    await paper.fault(TRADING, kind="error_after", status=502)
    status, _ = await paper.call(TRADING, "POST", "/orders", {**BUY, "clientOrderId": "ts-502"})
    assert status == 502
    await paper.fault(TRADING, kind="error_before")
    status, _ = await paper.call(TRADING, "POST", "/orders", {**BUY, "clientOrderId": "ts-503"})
    assert status == 503
    await paper.fault(TRADING, kind="rate_limited")
    status, _ = await paper.call(TRADING, "POST", "/orders", {**BUY, "clientOrderId": "ts-429"})
    assert status == 429
    _, listed = await paper.call(TRADING, "GET", "/orders")
    assert [order["clientOrderId"] for order in listed["orders"]] == ["ts-lost", "ts-502"]
    assert (await paper.call(TRADING, "GET", "/paper/faults"))[1]["faults"] == []


async def test_events_before_and_after_the_reply(paper: Client, heard: Heard) -> None:
    await paper.fault(TRADING, kind="event_before_reply")
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    # By the time of the answer the stream had acknowledged the fill.
    assert await heard.wait("trade.order.filled", orderId=accepted["orderId"])
    await paper.fault(TRADING, kind="reply_before_event", delayMs=300)
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    assert not heard.of("trade.order.submitted", orderId=accepted["orderId"])
    assert await heard.wait("trade.order.filled", orderId=accepted["orderId"])


async def test_an_execution_is_taken_back_told_and_shown(paper: Client, heard: Heard) -> None:
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    name = accepted["orderId"]
    before = await filled(paper, name)
    status, shown = await paper.call(TRADING, "POST", f"/orders/{name}/bust", {"reason": "wrong"})
    assert (status, shown["status"]) == (200, "filled")
    assert shown["filledQuantity"] == 0 == shown["remainingQuantity"]
    assert (shown["fills"][0]["busted"], shown["fills"][0]["bustReason"]) == (True, "wrong")
    (told,) = await heard.wait("trade.order.busted", orderId=name)
    assert told["payload"]["cumulativeQuantity"] == 10 == told["payload"]["bustedQuantity"]
    assert str(told["payload"]["price"]) == str(before["fills"][0]["price"])
    _, positions = await paper.call(TRADING, "GET", "/positions")
    assert positions["positions"] == []
    assert (await paper.call(TRADING, "POST", f"/orders/{name}/bust"))[0] == 404

    await paper.fault(TRADING, kind="fill_busted", delayMs=0)
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    assert await heard.wait("trade.order.busted", orderId=accepted["orderId"])


async def test_a_hidden_order_a_rejected_one_and_a_stalled_one(paper: Client, heard: Heard) -> None:
    await paper.fault(TRADING, kind="hidden_order", delayMs=200)
    body = {**BUY, "clientOrderId": "ts-hidden"}
    _, accepted = await paper.call(TRADING, "POST", "/orders", body)
    _, found = await paper.call(TRADING, "GET", "/orders?clientOrderId=ts-hidden")
    assert found["orders"] == []
    await filled(paper, accepted["orderId"])

    await paper.fault(TRADING, kind="reject_event", code="BROKER_ERROR")
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    (rejected,) = await heard.wait("trade.order.rejected", orderId=accepted["orderId"])
    assert rejected["payload"]["rejectionCode"] == "BROKER_ERROR"

    await paper.fault(TRADING, kind="reject_reply", code="WASH_TRADE")
    status, problem = await paper.call(TRADING, "POST", "/orders", BUY)
    assert (status, problem["code"]) == (422, "WASH_TRADE")

    await paper.fault(TRADING, kind="partial_stall")
    _, accepted = await paper.call(TRADING, "POST", "/orders", BUY)
    (part,) = await heard.wait("trade.order.filled", orderId=accepted["orderId"])
    assert part["payload"]["isPartial"] is True
    status, _ = await paper.call(TRADING, "DELETE", f"/orders/{accepted['orderId']}")
    assert status == 200
    (gone,) = await heard.wait("trade.order.cancelled", orderId=accepted["orderId"])
    cancelled, before = (
        gone["payload"][name] for name in ("cancelledQuantity", "filledQuantityBeforeCancel")
    )
    assert cancelled + before == 10
    assert before == part["payload"]["filledQuantity"]
    assert (await paper.call(TRADING, "DELETE", f"/orders/{accepted['orderId']}"))[0] == 409
    assert (await paper.call(TRADING, "DELETE", "/orders/ord_x"))[0] == 404


async def test_a_request_on_the_bus_is_answered_once(
    paper: Client, heard: Heard, settings: PaperSettings
) -> None:
    request = {
        "metadata": {"eventId": "e-1", "eventType": "orchestrator.analysis.requested"},
        "payload": {
            "requestId": "r-1",
            "cycleId": "c",
            "strategyId": "mine",
            "symbol": "SPY",
            "symbols": ["SPY"],
            "requestedAt": "2020-12-15T14:30:30Z",
            "context": {
                "strategy": {"type": "breakout", "parameters": {"period": 20}},
                "position": {"quantity": "5", "averageEntryPrice": 100},
                "equity": 100000.5,
            },
        },
    }
    bus = await nats.connect(settings.nats_url, token=settings.nats_token)
    subject = f"{settings.subject_prefix}.orchestrator.analysis.requested"
    for message in (json.dumps(request), "no json", json.dumps(request)):
        await bus.jetstream().publish(subject, message.encode())
    (decision,) = await heard.wait("ai.decision.generated")
    assert decision["metadata"]["correlationId"] == "r-1"
    assert decision["metadata"]["causationId"] == "e-1"
    payload = decision["payload"]
    assert (payload["action"], payload["strategyId"]) == ("HOLD", "mine")
    assert "warming up" in payload["reasoning"]
    _, shown = await paper.call(DECISIONS, "GET", f"/decisions/{payload['decisionId']}")
    assert shown["status"] == "completed"
    # A second request behind the repeated one: the repeat made no second decision.
    request["payload"] = {**request["payload"], "requestId": "r-2"}  # type: ignore[dict-item]  # it is one
    await bus.jetstream().publish(subject, json.dumps(request).encode())
    count = 2  # at least once: the first one may be heard again
    while "r-2" not in [
        event["metadata"]["correlationId"]
        for event in await heard.wait("ai.decision.generated", count=count)
    ]:
        count += 1
    _, listed = await paper.call(DECISIONS, "GET", "/decisions?symbol=SPY")
    assert len(listed["decisions"]) == 2
    await bus.close()


async def test_a_decision_over_http(paper: Client) -> None:
    body = {"symbol": "SPY", "strategyId": "sma-crossover"}
    status, pending = await paper.call(DECISIONS, "POST", "/decisions/generate", body)
    assert (status, pending["status"]) == (201, "pending")
    _, decision = await paper.call(DECISIONS, "GET", f"/decisions/{pending['decisionId']}")
    assert decision["action"] == "HOLD"
    assert decision["modelUsed"] == "rules:sma_crossover:v1"
    assert (await paper.call(DECISIONS, "GET", "/decisions/none"))[0] == 404


async def test_market_data_speaks_of_the_past_only(paper: Client) -> None:
    _, quote = await paper.call(MARKET, "GET", "/quotes/SPY")
    _, bars = await paper.call(MARKET, "GET", "/bars/SPY?timeframe=1m&limit=1000")
    _, status = await paper.call(MARKET, "GET", "/market/status")
    assert quote["ask"] - quote["bid"] == Decimal("0.01")
    assert status["isOpen"] is True
    assert all(bar["timestamp"] < status["asOf"] for bar in bars["bars"])
    _, many = await paper.call(
        MARKET, "POST", "/bars/multi", {"symbols": ["SPY", "XXX"], "timeframe": "1m"}
    )
    assert many["data"]["XXX"] == []
    assert many["data"]["SPY"][0]["timestamp"] == "2020-12-15T14:30:00Z"
    _, calendar = await paper.call(MARKET, "GET", "/market/calendar?days=9")
    assert [
        (day["close"], day["session"]) for day in calendar["days"] if day["date"] == "2020-12-24"
    ] == [("13:00", "early_close")]
    for path in ("/quotes/XXX", "/bars/XXX"):
        assert (await paper.call(MARKET, "GET", path))[0] == 404
    for path in ("/bars/SPY?timeframe=1d", "/bars/SPY?limit=1001", "/bars/SPY?start=today"):
        assert (await paper.call(MARKET, "GET", path))[0] == 400


async def test_session_events_and_heartbeats(paper: Client, heard: Heard) -> None:
    (opened,) = await heard.wait("market.session.opened")
    assert opened["payload"]["effectiveAt"] == "2020-12-15T14:30:00Z"
    (changed,) = await heard.wait("market.session.changed", currentSession="regular")
    assert changed["payload"]["nextChange"] == "2020-12-15T21:00:00Z"
    for service in ("trading-engine", "ai-decision", "market-data"):
        (beat, *_) = await heard.wait("system.heartbeat", service=service)
        assert beat["payload"]["status"] == "healthy"
    await paper.until(TRADING, "/health/ready", lambda body: body["status"] == "ready")
    assert (await paper.call(MARKET, "GET", "/health"))[1]["checks"]["eventBus"] == "connected"
