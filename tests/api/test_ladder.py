"""The ladder over the API: what a kill may leave out, what a re-arm may not, refusals by field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fakes import Api
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.domain.ladder import EVERYWHERE, Rung, Scope, ScopeKind

SPY = Scope(ScopeKind.SYMBOL, "SPY")


@pytest.mark.parametrize("body", [None, {}, {"scope": "all"}])
async def test_an_empty_kill_halts_everything(api: Api, body: dict[str, str] | None) -> None:
    response = await api.client.post("/api/v1/kill", json=body)
    assert response.status_code == 200
    [(name, said)] = api.ladder.calls
    assert (name, said["scope"], said["rung"]) == ("kill", EVERYWHERE, Rung.HALTED)
    assert response.json()["unresolved"][0]["clientOrderId"] == "ts-a"
    shown = (await api.client.get("/api/v1/ladder")).json()
    assert (shown["rung"], shown["halted"]) == ("HALTED", ["all"])
    assert shown["lastKill"]["asked"] == 2


async def test_a_kill_says_what_why_and_who(api: Api) -> None:
    body = {
        "scope": "symbol", "subject": "SPY", "reason": "odd", "who": "ann", "rung": "REDUCE_ONLY",
    }  # fmt: skip
    assert (await api.client.post("/api/v1/kill", json=body)).status_code == 200
    [(_, said)] = api.ladder.calls
    assert said == {
        "scope": SPY, "reason": "odd", "who": f"{ACTOR} ann", "rung": Rung.REDUCE_ONLY,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("kill", {"scope": "symbol"}, "subject"),
        ("kill", {"subject": "SPY"}, "subject"),
        ("kill", {"scope": "planet"}, "scope"),
        ("kill", {"reasons": "x"}, "reasons"),
        ("kill", {"rung": "NORMAL"}, "rung"),
        ("rearm", {}, "operator"),
        ("rearm", {"operator": "ann", "confirm": True}, "reason"),
        ("rearm", {"operator": "ann", "reason": "x"}, "confirm is missing"),
        ("rearm", {"operator": "ann", "reason": "x", "confirm": False}, "confirm is false"),
        ("rearm", {"operator": "ann", "reason": "x", "confirm": "true"}, "confirm"),
        ("rearm", {"operator": " ", "reason": "x"}, "operator"),
        ("rearm", {"operator": "ann", "reason": " "}, "reason"),
        ("rearm", {"operator": "ann", "reason": "x", "force": True}, "force"),
        ("ladder/acknowledge", {"cause": "NOISE", "operator": "ann"}, "cause"),
        ("ladder/acknowledge", {"cause": "DRIFT"}, "operator"),
    ],
)
async def test_what_is_wrong_is_named(
    api: Api, path: str, body: dict[str, Any], named: str
) -> None:
    response = await api.client.post(f"/api/v1/{path}", json=body)
    assert response.status_code == 400
    assert named in " ".join(response.json()["problems"])
    assert api.ladder.calls == []


async def test_a_re_arm_tells_what_it_ended_and_what_stands_on(api: Api) -> None:
    await api.client.post("/api/v1/kill", json={})
    body = {"operator": "ann", "reason": "all is well", "confirm": True}
    answer = (await api.client.post("/api/v1/rearm", json=body)).json()
    assert [reason["cause"] for reason in answer["ended"]] == ["KILL_SWITCH"]
    assert [reason["cause"] for reason in answer["ladder"]["reasons"]] == ["DRIFT"]
    _, (_, said) = api.ladder.calls
    assert said["operator"] == f"{ACTOR} ann", "the token is in the log, beside the name given"


async def test_a_cause_is_acknowledged(api: Api) -> None:
    body = {"cause": "DRIFT", "operator": "ann", "scope": "symbol", "subject": "SPY"}
    answer = (await api.client.post("/api/v1/ladder/acknowledge", json=body)).json()
    assert answer["reasons"][0]["acknowledgedBy"] == f"{ACTOR} ann"


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("the database is away"), 503), (Invalid(["no"]), 400)]
)
async def test_errors_are_problems(api: Api, error: Exception, status: int) -> None:
    api.ladder.error = error
    body = {"operator": "ann", "reason": "x", "confirm": True}
    assert (await api.client.post("/api/v1/rearm", json=body)).status_code == status
