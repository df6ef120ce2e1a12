"""The risk limits over the API: read by all, changed only with the scope of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fakes import Api
from tradesaga.domain.agent import Mode

BODY: dict[str, Any] = {
    "mode": "normal",
    "limits": {"positionPercent": 7.5, "allowShort": True, "entriesPerHour": 3},
    "reason": "earnings",
    "expiresAt": "2020-12-15T18:00:00Z",
    "revision": 4,
    "confirm": True,
}


async def test_limits_are_shown_with_the_changes_in_them(api: Api) -> None:
    body = (await api.client.get("/api/v1/risk/limits")).json()
    (normal,) = body["modes"]
    assert (body["revision"], body["activeMode"], normal["mode"]) == (1, "normal", "normal")
    assert normal["limits"]["orderNotionalPercent"] == 5
    assert normal["changes"][0]["limits"] == {"positionPercent": 7.5}


async def test_every_change_is_listed_with_who_and_why(api: Api) -> None:
    (change,) = (await api.client.get("/api/v1/risk/limits/history")).json()["changes"]
    assert change == {
        "revision": 1,
        "mode": "normal",
        "limits": {"positionPercent": 7.5},
        "expiresAt": "2020-12-15T17:00:00.000000Z",
        "actor": "api:127.0.0.1",
        "reason": "earnings",
        "madeAt": "2020-12-15T17:00:00.000000Z",
    }


async def test_a_change_with_the_scope_is_made(api: Api) -> None:
    answer = await api.client.put("/api/v1/risk/limits", json=BODY)
    assert answer.status_code == 200
    ((name, told),) = api.risk.calls
    assert name == "change_limits"
    assert told == {
        "mode": Mode.NORMAL,
        "limits": {"positionPercent": Decimal("7.5"), "allowShort": True, "entriesPerHour": 3},
        "expires_at": datetime(2020, 12, 15, 18, tzinfo=UTC),
        "revision": 4,
        "actor": ACTOR,
        "reason": "earnings",
        "confirmed": True,
    }


async def test_nothing_is_confirmed_by_being_left_out(api: Api) -> None:
    body = {name: value for name, value in BODY.items() if name != "confirm"}
    assert (await api.client.put("/api/v1/risk/limits", json=body)).status_code == 200
    assert api.risk.calls[0][1]["confirmed"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": " "}, {"mode": "wild"}, {"limits": {"positionPercent": "5"}},
        {"expiresAt": "soon"}, {"expiresAt": "2020-12-15T18:00:00"}, {"extra": 1}, {"confirm": 1},
    ],
)  # fmt: skip
async def test_a_body_that_is_wrong_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    answer = await api.client.put("/api/v1/risk/limits", json=BODY | wrong)
    assert answer.status_code == 400
    assert api.risk.calls == []
