"""The operations on schedules over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fake_schedules import BEGUN, CONFIGURED_ID, DAILY_ID
from tests.api.fakes import Api
from tradesaga.domain.schedule import Overlap, ScheduleType
from tradesaga.ports.schedule_operations import NewSchedule, ScheduleChanges

PATH = "/api/v1/schedules"
DAILY = {
    "id": str(DAILY_ID),
    "strategyId": "01766713-2a80-7000-8000-000000000003",
    "strategy": "sma-spy",
    "cycleType": "analysis",
    "type": "cron",
    "value": "0 10 * * 1-5",
    "description": "At 10:00 on Monday through Friday (America/New_York)",
    "timezone": "America/New_York",
    "enabled": True,
    "priority": 5,
    "catchUp": 60000,
    "overlap": "skip",
    "lastRunAt": "2020-12-15T15:00:00.000000Z",
    "nextRunAt": "2020-12-16T15:00:00.000000Z",
    "configured": False,
}


async def test_the_list_has_the_configurations_first(api: Api) -> None:
    answer = (await api.client.get(PATH)).json()
    assert [s["configured"] for s in answer["schedules"]] == [True, False]
    assert answer["schedules"][1] == DAILY
    assert answer["schedules"][0]["strategyId"] is None


async def test_one_and_its_next_fires(api: Api) -> None:
    assert (await api.client.get(f"{PATH}/{DAILY_ID}")).json() == DAILY
    answer = (await api.client.get(f"{PATH}/{DAILY_ID}/next", params={"count": 2})).json()
    assert answer["fires"] == ["2020-12-16T15:00:00.000000Z", "2020-12-17T15:00:00.000000Z"]
    ten = (await api.client.get(f"{PATH}/{DAILY_ID}/next")).json()
    assert len(ten["fires"]) == 10


async def test_a_new_one_is_stored_as_it_was_said(api: Api) -> None:
    body = {
        "strategyId": "sma-spy", "type": "interval", "value": "5m", "timezone": "Asia/Tokyo",
        "priority": -3, "catchUp": 1000, "overlap": "buffer", "enabled": False,
    }  # fmt: skip
    answer = await api.client.post(PATH, json=body)
    assert answer.status_code == 200
    new = NewSchedule(
        strategy="sma-spy", schedule_type=ScheduleType.INTERVAL, value="5m", zone="Asia/Tokyo",
        priority=-3, catch_up=timedelta(seconds=1), overlap=Overlap.BUFFER, enabled=False,
    )  # fmt: skip
    assert api.schedules.calls == [("add", (new, ACTOR))]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "cron", "value": "@daily"},
        {"strategyId": "a", "type": "hourly", "value": "@daily"},
        {"strategyId": "a", "type": "cron", "value": "never"},
        {"strategyId": "a", "type": "cron", "value": "@daily", "zone": "UTC"},
        {"strategyId": "a", "type": "cron", "value": "@daily", "priority": 1001},
    ],
)
async def test_a_wrong_one_is_refused_with_what_is_wrong(api: Api, body: dict[str, object]) -> None:
    answer = await api.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert answer.json()["problems"]


async def test_changing_and_switching(api: Api) -> None:
    path = f"{PATH}/{DAILY_ID}"
    changed = await api.client.patch(path, json={"value": "@daily", "priority": 0})
    off, on = [await api.client.post(f"{path}/{word}") for word in ("disable", "enable")]
    assert changed.status_code == 200
    assert (off.json()["enabled"], on.json()["enabled"]) == (False, True)
    asked = [call[1][1] for call in api.schedules.calls]  # type: ignore[index]  # of a tuple
    assert asked == [
        ScheduleChanges(value="@daily", priority=0),
        ScheduleChanges(enabled=False),
        ScheduleChanges(enabled=True),
    ]
    assert (await api.client.delete(path)).json()["id"] == str(DAILY_ID)


@pytest.mark.parametrize(
    ("method", "tail"), [("PATCH", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/disable")]
)
async def test_the_configurations_are_not_changed_here(api: Api, method: str, tail: str) -> None:
    body: dict[str, object] | None = {} if method == "PATCH" else None
    answer = await api.client.request(method, f"{PATH}/{CONFIGURED_ID}{tail}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong-state")
    assert answer.json()["currentState"] == "configured"
    assert answer.json()["allowedActions"] == ["trigger"]


@pytest.mark.parametrize(("name", "status"), [("x", 400), (str(BEGUN), 404)])
async def test_an_id_of_none(api: Api, name: str, status: int) -> None:
    for path in (f"{PATH}/{name}", f"{PATH}/{name}/next"):
        assert (await api.client.get(path)).status_code == status
    assert (await api.client.post(f"{PATH}/{name}/trigger")).status_code == status


async def test_by_hand(api: Api) -> None:
    answer = await api.client.post(f"{PATH}/{DAILY_ID}/trigger")
    assert (answer.status_code, answer.json()) == (
        200,
        {"cycleId": str(BEGUN), "status": "started", "queued": False},
    )
    analysed = await api.client.post("/api/v1/strategies/busy/analyze", json={"symbols": ["SPY"]})
    assert (analysed.status_code, analysed.json()["queued"]) == (200, True)
    whole = await api.client.post("/api/v1/strategies/sma-spy/analyze")
    assert whole.json() == {"cycleId": str(BEGUN), "status": "started", "queued": False}
    assert api.schedules.calls[1:] == [
        ("analyse", ("busy", ["SPY"], ACTOR)),
        ("analyse", ("sma-spy", None, ACTOR)),
    ]


@pytest.mark.parametrize(("name", "status"), [("unknown", 404), ("stopped", 409)])
async def test_what_cannot_be_analysed(api: Api, name: str, status: int) -> None:
    answer = await api.client.post(f"/api/v1/strategies/{name}/analyze")
    assert answer.status_code == status
