"""The neighbours as the platform's real services behave: every quirk that our adapters rest on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import nats
import pytest

from tests.paper.served import DECISIONS, MARKET, TRADING, Client, Heard, served
from tradesaga.paper.settings import Dialect, PaperSettings

BUY = {"symbol": "SPY", "side": "buy", "quantity": 10, "orderType": "market"}
GOLDEN = {"currentPrice": 300, "fiftyDayMA": 290, "twoHundredDayMA": 280}
PARKED = "trading-engine-ai-decision-generated"


@pytest.fixture
def platform(settings: PaperSettings) -> PaperSettings:
    return replace(settings, dialect=Dialect.PLATFORM)


@pytest.fixture
async def paper(platform: PaperSettings, heard: Heard) -> AsyncIterator[Client]:
    async with served(platform) as client:
        await client.until(MARKET, "/quotes/SPY", lambda body: body["data"]["currentPrice"])
        yield client


async def test_the_fill_is_told_before_the_reply_and_ids_are_ignored(
    paper: Client, heard: Heard
) -> None:
    body = {**BUY, "clientOrderId": "ts-a", "strategyId": "s", "type": "market"}
    status, first = await paper.call(TRADING, "POST", "/orders", body)
    assert (status, first["status"], first["filledQuantity"]) == (201, "filled", 10)
    _, second = await paper.call(TRADING, "POST", "/orders", body)
    assert second["orderId"] != first["orderId"], "the same id twice makes two orders"
    _, order = await paper.call(TRADING, "GET", f"/orders/{first['orderId']}")
    assert not {"clientOrderId", "strategyId", "decisionId"} & set(order)
    (told,) = await heard.wait("trade.order.filled", orderId=first["orderId"])
    assert told["metadata"]["eventId"].startswith("evt_")
    assert told["metadata"]["timestamp"].endswith("Z")
    kinds = [event["metadata"]["eventType"] for event in heard.events]
    story = ["trade.order.submitted", "trade.order.filled", "trade.position.opened"]
    assert [kind for kind in kinds if kind.startswith("trade.")][:3] == story
    assert len(heard.of("trade.position.opened")) == 1, "adding to a position is no news"


async def test_the_envelope_tells_of_the_callers_trace_and_no_header_does(
    paper: Client, heard: Heard
) -> None:
    here = f"00-{'ab' * 16}-{'cd' * 8}-01"
    _, order = await paper.call(TRADING, "POST", "/orders", BUY, traceparent=here)
    _, said = await paper.call(DECISIONS, "POST", "/analyze", {"symbol": "SPY"}, traceparent=here)
    _, other = await paper.call(TRADING, "POST", "/orders", BUY, traceparent="nonsense")
    (filled,) = await heard.wait("trade.order.filled", orderId=order["orderId"])
    decided = said["decision"]["decisionId"]
    (generated,) = await heard.wait("ai.decision.generated", decisionId=decided)
    assert filled["metadata"]["traceId"] == generated["metadata"]["traceId"] == here
    (untraced,) = await heard.wait("trade.order.filled", orderId=other["orderId"])
    assert "traceId" not in untraced["metadata"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"quantity": 0}, 400, "Missing required fields"),
    ({"orderType": None}, 400, "Missing required fields"),
    ({"side": "short"}, 400, "Invalid side. Must be buy or sell"),
    ({"orderType": "stop"}, 400, "Invalid orderType. Must be market or limit"),
    ({"orderType": "limit"}, 400, "Limit price required for limit orders"),
    ({"quantity": 144}, 422, "Risk check failed"),
    ({"side": "sell", "quantity": 144}, 422, "Risk check failed"),
]


@pytest.mark.parametrize(("change", "status", "error"), REFUSED)
async def test_a_refusal(paper: Client, change: dict[str, Any], status: int, error: str) -> None:
    body = {name: value for name, value in {**BUY, **change}.items() if value is not None}
    answered, said = await paper.call(TRADING, "POST", "/orders", body)
    assert (answered, said["error"]) == (status, error)
    assert (await paper.call(TRADING, "GET", "/orders"))[1]["count"] == 0


async def test_what_fails_late_is_answered_with_an_id_and_stays_listed(paper: Client) -> None:
    status, said = await paper.call(TRADING, "POST", "/orders", {**BUY, "quantity": -1})
    assert (status, said["success"], said["status"]) == (400, False, "failed")
    _, order = await paper.call(TRADING, "GET", f"/orders/{said['orderId']}")
    assert order["status"] == "failed"


async def test_a_sale_opens_a_short_beside_the_long_and_a_close_tells_of_no_order(
    paper: Client, heard: Heard
) -> None:
    for side in ("buy", "sell"):
        assert (await paper.call(TRADING, "POST", "/orders", {**BUY, "side": side}))[0] == 201
    _, listed = await paper.call(TRADING, "GET", "/positions")
    assert sorted(p["side"] for p in listed["positions"]) == ["long", "short"]
    held = next(p for p in listed["positions"] if p["side"] == "long")
    path = f"/positions/{held['positionId']}/close"
    status, closed = await paper.call(TRADING, "POST", path, {"exitPrice": 400})
    assert (status, closed["success"]) == (200, True)
    assert float(closed["realizedPnl"]) == pytest.approx((400 - float(held["entryPrice"])) * 10)
    assert (await paper.call(TRADING, "POST", path, {"exitPrice": 400}))[0] == 404
    await heard.wait("trade.position.closed")
    assert len(heard.of("trade.order.filled")) == 2


async def test_an_order_that_has_ended_is_not_cancelled_and_one_out_of_reach_lives_on(
    paper: Client, heard: Heard
) -> None:
    far = {**BUY, "orderType": "limit", "limitPrice": 1}
    _, waiting = await paper.call(TRADING, "POST", "/orders", far)
    assert waiting["status"] == "submitted"
    path = f"/orders/{waiting['orderId']}"
    assert (await paper.call(TRADING, "DELETE", path))[0] == 200
    status, said = await paper.call(TRADING, "DELETE", path)
    assert (status, said["error"]) == (404, "Cannot cancel order in canceled status")
    await heard.wait("trade.order.canceled", orderId=waiting["orderId"])


async def test_there_is_no_account_and_an_unknown_path_is_answered_in_html(paper: Client) -> None:
    reply = await paper._http.get(f"{paper.bases[TRADING]}/api/v1/account")
    assert (reply.status_code, reply.headers["content-type"][:9]) == (404, "text/html")
    assert (await paper.call(TRADING, "GET", "/positions/SPY"))[0] == 404


async def test_limits_that_are_not_given_are_gone(paper: Client) -> None:
    _, left = await paper.call(TRADING, "PUT", "/risk/limits", {"maxPositionsCount": 30})
    assert left == {"maxPositionsCount": 30}
    body = {**BUY, "quantity": 150}
    assert (await paper.call(TRADING, "POST", "/orders", body))[0] == 201


async def test_the_engine_trades_every_decision_by_itself_unless_its_consumer_is_paused(
    paper: Client, heard: Heard, platform: PaperSettings
) -> None:
    asked = {"symbol": "SPY", "marketData": GOLDEN}
    _, first = await paper.call(DECISIONS, "POST", "/analyze", asked)
    decision = first["decision"]
    assert (decision["action"], decision["modelUsed"]) == ("buy", "heuristics:v1")
    (told,) = await heard.wait("trade.order.filled")
    order_id = told["payload"]["orderId"]
    _, order = await paper.call(TRADING, "GET", f"/orders/{order_id}")
    assert (order["decisionId"], order["quantity"]) == (decision["decisionId"], 1)
    client = await nats.connect(platform.nats_url, token=platform.nats_token or "")
    try:
        stream = f"{platform.subject_prefix}.ai".upper().replace("-", "_").replace(".", "_")
        pause = json.dumps({"pause_until": "2099-01-01T00:00:00Z"}).encode()
        reply = await client.request(f"$JS.API.CONSUMER.PAUSE.{stream}.{PARKED}", pause)
        assert json.loads(reply.data)["paused"]
        await paper.call(DECISIONS, "POST", "/analyze", asked)
        await heard.wait("ai.decision.generated", 2)
        info = await client.jetstream().consumer_info(stream, PARKED)
        assert (info.num_pending, info.num_ack_pending) == (1, 0), "it waits in the stream"
        assert (await paper.call(TRADING, "GET", "/orders"))[1]["count"] == 1
    finally:
        await client.close()


async def test_asked_over_the_bus_it_knows_nothing_and_holds(
    paper: Client, heard: Heard, platform: PaperSettings
) -> None:
    client = await nats.connect(platform.nats_url, token=platform.nats_token or "")
    try:
        metadata = {"eventType": "orchestrator.analysis.requested"}
        payload = {"requestId": "r", "symbols": ["SPY"]}
        body = json.dumps({"metadata": metadata, "payload": payload})
        subject = f"{platform.subject_prefix}.orchestrator.analysis.requested"
        # Its consumer takes what comes after it was made: asked until it answers.
        async with asyncio.timeout(10):
            while not heard.of("ai.decision.generated"):
                await client.publish(subject, body.encode())
                await asyncio.sleep(0.05)
    finally:
        await client.close()
    said = heard.of("ai.decision.generated")[0]["payload"]
    assert (said["action"], said["confidence"]) == ("hold", 0.5)
    assert not {"requestId", "strategyId"} & set(said)


async def test_prices_come_one_by_one_without_bid_and_with_daily_bars(paper: Client) -> None:
    _, quoted = await paper.call(MARKET, "GET", "/quotes/SPY")
    assert quoted["success"]
    assert not {"bid", "ask", "volume"} & set(quoted["data"])
    assert (await paper.call(MARKET, "GET", "/quotes/TOOLONGSYMBOL"))[0] == 400
    _, bars = await paper.call(MARKET, "GET", "/bars/SPY?resolution=D&from=1577836800")
    assert bars["count"] == len(bars["data"]) > 200
    made_up = [bar["close"] for bar in bars["data"] if bar["timestamp"] < "2020-12-15"]
    assert made_up == sorted(made_up)


async def test_a_new_life_knows_nothing_and_its_uptime_says_so(
    platform: PaperSettings, heard: Heard
) -> None:
    async with served(platform) as client:
        await client.until(MARKET, "/quotes/SPY", lambda body: body["data"]["currentPrice"])
        assert (await client.call(TRADING, "POST", "/orders", BUY))[0] == 201
        _, before = await client.call(TRADING, "GET", "/health")
    async with served(platform) as client:
        after = await client.until(TRADING, "/health", lambda body: True)
        assert after["uptime"] < before["uptime"] + 1000
        assert (await client.call(TRADING, "GET", "/orders"))[1]["count"] == 0
        assert (await client.call(TRADING, "GET", "/positions"))[1]["count"] == 0
