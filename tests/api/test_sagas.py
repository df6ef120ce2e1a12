"""The operator's view of sagas and what trades leave, over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fake_sagas import AT, DONE_ID, PARKED_ID, STUCK_ID
from tests.api.fakes import CYCLE_ID, Api
from tradesaga.api.sagas import LISTING
from tradesaga.domain.ids import SagaId
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import Resolution
from tradesaga.ports.trade_records import TradeQuery

OPEN = frozenset(SagaStatus) - ENDS
ACTIVE = frozenset(
    {
        OrderStatus.INTENT,
        OrderStatus.UNKNOWN,
        OrderStatus.WORKING,
        OrderStatus.PARTIALLY_FILLED,
    }
)
NOBODY = "01766713-2a80-8000-8000-0000000000ff"


def ids(answer: dict[str, Any]) -> list[str]:
    return [saga["id"] for saga in answer["sagas"]]


def asked(api: Api) -> TradeQuery:
    [(name, arguments)] = api.sagas.calls
    assert name == "trades"
    query = arguments["query"]
    assert isinstance(query, TradeQuery)
    return query


async def test_sagas_come_latest_first(api: Api) -> None:
    answer = (await api.client.get("/api/v1/sagas")).json()
    assert ids(answer) == [str(STUCK_ID), str(PARKED_ID), str(DONE_ID)]
    assert answer["nextCursor"] is None
    stuck, parked, done = answer["sagas"]
    assert (stuck["state"], stuck["step"]) == ("manual_required", "wait_for_fill")
    assert (parked["state"], parked["orderStatus"]) == ("manual_required", "unknown")
    assert parked["reason"] == "two orders"
    assert (done["state"], done["step"], done["filledQuantity"]) == ("completed", None, 2)
    assert asked(api).limit == 21


async def test_the_cursor_leads_through_all_pages(api: Api) -> None:
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 1}
    answer: dict[str, Any] = {}
    for _ in range(3):
        answer = (await api.client.get("/api/v1/sagas", params=query)).json()
        seen += ids(answer)
        if answer["nextCursor"] is not None:
            query["cursor"] = answer["nextCursor"]
    assert seen == [str(STUCK_ID), str(PARKED_ID), str(DONE_ID)]
    assert answer["nextCursor"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=open", TradeQuery(limit=21, sagas=OPEN)),
        ("state=compensated", TradeQuery(limit=21, sagas=frozenset({SagaStatus.COMPENSATED}))),
        ("symbol=BRK.B&limit=3", TradeQuery(limit=4, symbol="BRK.B")),
        (f"cycle={CYCLE_ID}", TradeQuery(limit=21, cycle_id=CYCLE_ID)),
        (
            f"cursor={LISTING.page([1, 2], 1, lambda _: (AT, PARKED_ID))[1]}",
            TradeQuery(limit=21, after=(AT, PARKED_ID)),
        ),
    ],
)
async def test_what_is_asked_for_is_what_is_read(
    api: Api, query: str, expected: TradeQuery
) -> None:
    assert (await api.client.get(f"/api/v1/sagas?{query}")).status_code == 200
    assert asked(api) == expected


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("state=parked", 'state is "parked": it takes open'),
        ("status=open", "status is not a parameter of this request; its parameters are: state"),
        ("standing=open", "standing is not a parameter"),
        ("symbol=A%00B", "symbol is "),
        ("symbol=", 'symbol is "": it takes a symbol'),
        ("cycle=x", 'cycle is "x": it takes the id of a cycle'),
        ("cursor=x", 'cursor is "x": it takes nextCursor'),
        ("cursor=%C3%A9", "cursor is "),
        ("cursor=f" + "_" * 31, "cursor is "),
        ("limit=0", "limit is "),
        ("limit=1001", "limit is "),
    ],
)
async def test_a_wrong_question_is_refused(api: Api, query: str, problem: str) -> None:
    response = await api.client.get(f"/api/v1/sagas?{query}")
    assert response.status_code == 400
    [said] = response.json()["problems"]
    assert said.startswith(problem)
    assert api.sagas.calls == []


async def test_a_saga_with_all_that_is_kept_about_it(api: Api) -> None:
    answer = (await api.client.get(f"/api/v1/sagas/{STUCK_ID}")).json()
    assert answer["saga"]["id"] == str(STUCK_ID)
    assert answer["allowedActions"] == ["retry", "resolve"]
    assert [step["state"] for step in answer["plan"]] == [
        "done", "done", "current", "waiting", "waiting",
    ]  # fmt: skip
    assert [step["action"] for step in answer["plan"] if step["pivot"]] == ["wait_for_fill"]
    first, fact, back, word = answer["steps"]
    assert (first["before"], first["after"], first["input"]) == ("pending", "running", "begin")
    assert (fact["reason"], fact["after"]) == ("no answer: timeout", None)
    assert (back["evidence"], back["sequence"]) == ("operator ann: seen", 11)
    assert (word["before"], word["after"]) == ("manual_required", "compensated")
    assert (word["input"], word["reason"], word["actor"]) == ("resolve not_placed", "seen", ACTOR)
    assert answer["compensations"] == [
        {"compensation": "cancel_order", "at": "2020-12-15T17:00:00.000000Z",
         "reason": "two orders"},
    ]  # fmt: skip
    assert answer["deadlines"]["sagaAt"] == "2020-12-15T17:02:00.000000Z"
    assert answer["attempts"]["sends"] == 1
    [fill] = answer["fills"]
    assert (fill["quantity"], fill["price"]) == (1, 100)
    assert answer["order"]["status"] == "partially_filled"
    assert answer["reservation"]["outstanding"] == 102


@pytest.mark.parametrize("action", ["", "/retry", "/compensate"])
async def test_a_saga_that_is_not_there(api: Api, action: str) -> None:
    method, body = ("POST", {"reason": "x"}) if action else ("GET", None)
    for name, status in ((NOBODY, 404), ("x", 400)):
        path = f"/api/v1/sagas/{name}{action}"
        response = await api.client.request(method, path, json=body)
        assert response.status_code == status


# ---- commands ----------------------------------------------------------------------------------


async def test_retry_and_compensate_carry_reason_and_actor(api: Api) -> None:
    for action in ("retry", "compensate"):
        api.fresh()
        path = f"/api/v1/sagas/{PARKED_ID}/{action}"
        response = await api.client.post(path, json={"reason": "the venue is back"})
        assert response.status_code == 200
        assert response.json()["saga"]["state"] == "compensating"
        assert api.sagas.calls == [
            (action, {"saga_id": PARKED_ID, "reason": "the venue is back", "actor": ACTOR})
        ]


@pytest.mark.parametrize(
    ("fields", "resolution", "venue_order_id", "state"),
    [
        ({"outcome": "not_placed"}, Resolution.NOT_PLACED, None, "compensated"),
        ({"outcome": "canceled"}, Resolution.CANCELED, None, "compensated"),
        ({"outcome": "adopt", "venueOrderId": "v-1"}, Resolution.ADOPT, "v-1", "compensating"),
    ],
)
async def test_resolve_states_an_outcome(
    api: Api,
    fields: dict[str, str],
    resolution: Resolution,
    venue_order_id: str | None,
    state: str,
) -> None:
    path = f"/api/v1/sagas/{PARKED_ID}/resolve"
    response = await api.client.post(path, json=fields | {"reason": "seen"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["saga"]["state"] == state
    assert answer["evidence"] == f"operator {ACTOR}: seen"
    assert api.sagas.calls[0] == (
        "resolve",
        {
            "saga_id": PARKED_ID,
            "resolution": resolution,
            "reason": "seen",
            "actor": ACTOR,
            "venue_order_id": venue_order_id,
        },
    )


@pytest.mark.parametrize(
    ("saga_id", "action", "state", "allowed"),
    [
        (DONE_ID, "retry", "completed", []),
        (DONE_ID, "compensate", "completed", []),
        (STUCK_ID, "compensate", "manual_required", ["retry", "resolve"]),
    ],
)
async def test_what_a_saga_does_not_allow(
    api: Api, saga_id: SagaId, action: str, state: str, allowed: list[str]
) -> None:
    before = api.sagas.states[saga_id]
    path = f"/api/v1/sagas/{saga_id}/{action}"
    response = await api.client.post(path, json={"reason": "please"})
    assert response.status_code == 409
    problem = response.json()
    assert (problem["code"], problem["currentState"]) == ("wrong-state", state)
    assert problem["allowedActions"] == allowed
    assert api.sagas.states[saga_id] == before


async def test_past_the_pivot_the_problem_says_so(api: Api) -> None:
    path = f"/api/v1/sagas/{STUCK_ID}/compensate"
    response = await api.client.post(path, json={"reason": "please"})
    assert "past the pivot it only goes forward" in response.json()["detail"]


@pytest.mark.parametrize(
    ("action", "body", "problem"),
    [
        ("retry", {}, "reason is missing: it takes why"),
        ("compensate", {}, "reason is missing: it takes why"),
        ("retry", {"reason": ""}, 'reason is "": it takes why'),
        ("retry", {"reason": "  "}, 'reason is "  ": it takes why'),
        ("retry", {"reason": "a\x00b"}, "reason is "),
        ("retry", {"reason": "x" * 1001}, "reason is "),
        ("retry", {"reason": 5}, "reason is 5: it takes why"),
        ("retry", {"reason": "x", "force": True}, "force is not a field"),
        ("resolve", {"reason": "x"}, "outcome is missing: it takes not_placed"),
        ("resolve", {"outcome": "filled", "reason": "x"}, 'outcome is "filled": it takes'),
        ("resolve", {"outcome": "adopt", "reason": "x", "venueOrderId": ""}, "venueOrderId is "),
        ("resolve", {"outcome": "adopt", "reason": "x", "venueOrderId": "a b"}, "venueOrderId is"),
    ],
)
async def test_a_command_without_a_proper_reason_is_refused(
    api: Api, action: str, body: dict[str, object], problem: str
) -> None:
    response = await api.client.post(f"/api/v1/sagas/{PARKED_ID}/{action}", json=body)
    assert response.status_code == 400
    [said] = response.json()["problems"]
    assert said.startswith(problem)
    assert api.sagas.calls == []


async def test_a_command_without_a_body_is_refused(api: Api) -> None:
    response = await api.client.post(f"/api/v1/sagas/{PARKED_ID}/retry")
    assert response.status_code == 400
    assert response.json()["code"] in ("invalid-request", "malformed-body")
    assert api.sagas.calls == []


# ---- orders, reservations, positions -----------------------------------------------------------


async def test_orders(api: Api) -> None:
    answer = (await api.client.get("/api/v1/orders")).json()
    assert [order["sagaId"] for order in answer["orders"]] == [
        str(STUCK_ID), str(PARKED_ID), str(DONE_ID),
    ]  # fmt: skip
    assert answer["orders"][2]["averagePrice"] == 100.5


async def test_orders_that_are_not_ours(api: Api) -> None:
    for query, found in (("", 1), ("?state=open&symbol=SPY", 1), ("?state=gone", 0)):
        answer = (await api.client.get(f"/api/v1/orders/external{query}")).json()
        assert len(answer["orders"]) == found, query
    order = (await api.client.get("/api/v1/orders/external?limit=1")).json()["orders"][0]
    said = {name: order[name] for name in ("venueOrderId", "kind", "side", "filledQuantity")}
    assert said == {
        "venueOrderId": "ord_77",
        "kind": "external",
        "side": "buy",
        "filledQuantity": 1,
    }
    refused = await api.client.get("/api/v1/orders/external?state=closed")
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("orders?status=open", TradeQuery(limit=21, sagas=OPEN, orders=ACTIVE)),
        (
            "orders?status=unknown",
            TradeQuery(limit=21, sagas=OPEN, orders=frozenset({OrderStatus.UNKNOWN})),
        ),
        (
            "orders?status=filled&symbol=ACME&limit=7",
            TradeQuery(limit=8, orders=frozenset({OrderStatus.FILLED}), symbol="ACME"),
        ),
        ("reservations", TradeQuery(limit=21)),
        ("reservations?status=open", TradeQuery(limit=21, sagas=OPEN)),
        ("reservations?status=closed&symbol=SPY", TradeQuery(limit=21, sagas=ENDS, symbol="SPY")),
    ],
)
async def test_lists_are_narrowed(api: Api, path: str, expected: TradeQuery) -> None:
    assert (await api.client.get(f"/api/v1/{path}")).status_code == 200
    assert asked(api) == expected


async def test_reservations(api: Api) -> None:
    answer = (await api.client.get("/api/v1/reservations")).json()
    stuck, _, done = answer["reservations"]
    assert (stuck["state"], stuck["amount"], stuck["consumed"]) == ("open", 202, 100)
    assert (stuck["outstanding"], stuck["released"], stuck["closedAt"]) == (102, 0, None)
    assert (done["state"], done["outstanding"], done["released"]) == ("closed", 0, 1)


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("", ["ACME", "SPY"]),
        ("?status=open", ["ACME"]),
        ("?status=flat", ["SPY"]),
        ("?symbol=SPY", ["SPY"]),
        ("?limit=1", ["ACME"]),
        ("?symbol=QQQ", []),
    ],
)
async def test_positions(api: Api, query: str, symbols: list[str]) -> None:
    answer = (await api.client.get(f"/api/v1/positions{query}")).json()
    assert [position["symbol"] for position in answer["positions"]] == symbols


async def test_a_position_has_its_mean_prices(api: Api) -> None:
    held, flat = (await api.client.get("/api/v1/positions")).json()["positions"]
    assert (held["quantity"], held["averageBought"], held["averageSold"]) == (3, 100, None)
    assert (flat["status"], flat["averageSold"]) == ("flat", 110)
    assert Decimal(str(flat["fees"])) == Decimal("0.3")


async def test_a_position_is_closed_with_reason_and_actor(api: Api) -> None:
    response = await api.client.post("/api/v1/positions/ACME/close", json={"reason": "rumours"})
    assert response.status_code == 200
    assert ids(response.json()) == [str(STUCK_ID)]
    assert api.sagas.calls == [
        ("close_position", {"symbol": "ACME", "reason": "rumours", "actor": ACTOR})
    ]
    refused = await api.client.post("/api/v1/positions/SPY/close", json={"reason": "rumours"})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-state")
    assert "nothing of SPY is held" in refused.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"reason": " "}, {"reason": "x", "quantity": 1}])
async def test_a_close_needs_a_reason_and_nothing_else(api: Api, body: dict[str, Any]) -> None:
    response = await api.client.post("/api/v1/positions/ACME/close", json=body)
    assert response.status_code == 400
    assert api.sagas.calls == []


async def test_locks_come_with_their_reasons(api: Api) -> None:
    answer = (await api.client.get("/api/v1/locks")).json()
    parked, quarantine = answer["locks"]
    assert parked == {
        "symbol": "ACME", "reason": "manual_required", "detail": "lost",
        "since": "2020-12-15T17:00:00.000000Z", "sagaId": str(STUCK_ID),
    }  # fmt: skip
    assert (quarantine["reason"], quarantine["sagaId"]) == ("quarantine", None)
