"""Asking why: what blocked, by how much, what would pass; for a decision or a symbol and time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.api.fake_risk import DENIED_ID
from tests.api.fakes import Api

BLOCKED = {
    "number": 10,
    "code": "ORDER_NOTIONAL",
    "outcome": "denied",
    "value": "6300",
    "limit": "5000",
    "because": "order would be 6300.00, at most 5000.00",
    "passes": "quantity 50 or less",
}


async def test_a_decision_is_explained(api: Api) -> None:
    answer = await api.client.get(f"/api/v1/decisions/{DENIED_ID}/why")
    assert answer.status_code == 200
    body = answer.json()
    assert body["blocked"] == [BLOCKED]
    assert [rule["code"] for rule in body["rules"]] == ["LADDER", "ORDER_NOTIONAL"]
    assert body["inputs"] == {"quantity": "63", "price": "100"}
    assert body["decision"]["verdict"] == "denied"
    assert body["summary"] == "buy ACME was denied by ORDER_NOTIONAL"


async def test_a_symbol_at_a_time_is_explained(api: Api) -> None:
    at = "2020-12-15T12:00:00-05:00"
    answer = await api.client.get("/api/v1/why", params={"symbol": "BOLT", "at": at})
    body = answer.json()
    assert (body["decision"], body["reasons"]) == (None, ["the market was closed"])
    assert body["summary"] == "nobody decided on BOLT: the market was closed"
    noon = datetime(2020, 12, 15, 17, tzinfo=UTC)
    assert api.risk.calls == [("why", {"symbol": "BOLT", "at": noon})]


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/why", {"symbol": "BOLT", "at": "noon"}, 400),
        ("/why", {"symbol": "BOLT", "at": "2020-12-15T12:00:00"}, 400),
        ("/why", {}, 400),
        ("/why", {"symbol": "a b"}, 400),
        ("/decisions/7/why", {}, 400),
        ("/decisions/7", {}, 404),
        ("/decisions/a%20b", {}, 400),
        ("/decisions/" + "7" * 129, {}, 400),
        ("/decisions/01766713-2a80-7000-8000-0000000000ff/why", {}, 404),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    api: Api, path: str, params: dict[str, str], status: int
) -> None:
    answer = await api.client.get(f"/api/v1{path}", params=params)
    assert answer.status_code == status


async def test_a_decision_is_traced(api: Api) -> None:
    answer = await api.client.get(f"/api/v1/decisions/{DENIED_ID}")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["correlationId"], body["asked"]) == (str(DENIED_ID), False)
    assert (body["cycle"], body["marketData"]) == (None, {})
    assert [rule["code"] for rule in body["rules"]] == ["LADDER", "ORDER_NOTIONAL"]
    assert (body["sagas"], body["position"], body["approval"]) == ([], None, None)
