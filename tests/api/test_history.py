"""The audit log and the decisions over the API: what is asked of the database, what is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_history import DECISIONS, LATEST, NOON, ROWS
from tests.api.fakes import Api
from tests.api.test_agents import other, second
from tests.api.test_problems import is_problem
from tradesaga.domain.decisions import Verdict
from tradesaga.ports.history import DecisionQuery, LogQuery

__all__ = ["other", "second"]


async def test_a_row_is_told_with_its_body_and_its_place_in_the_chain(api: Api) -> None:
    answer = await api.client.get("/api/v1/audit?limit=1")
    [one] = msgspec.json.Decoder(float_hook=Decimal).decode(answer.content)["entries"]
    assert one == {
        "seq": 7, "at": "2020-12-15T17:00:00.000000Z", "epoch": 3, "action": "agent.stopped",
        "subject": ROWS[0].subject, "actor": "api:ann#t1@127.0.0.1",
        "body": {"reason": "lunch", "equity": Decimal("100000.10")},
        "eventType": None, "eventId": None, "correlationId": "c1", "causationId": None,
        "hash": "0" * 64,
    }  # fmt: skip


async def test_the_log_is_narrowed_as_asked(api: Api) -> None:
    path = "/api/v1/audit?from=2020-12-15T16:30:00Z&to=2020-12-15T20:00:00%2B02:00"
    answer = await api.client.get(f"{path}&actor=api:ann&action=agent.&limit=5")
    assert [row["seq"] for row in answer.json()["entries"]] == [7]
    since, until = NOON - timedelta(minutes=30), datetime(2020, 12, 15, 18, tzinfo=UTC)
    asked = LogQuery(limit=6, since=since, until=until, actor="api:ann", kind="agent.")
    assert api.history.calls == [asked]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=yesterday", "from"), ("to=2020-12-15T17:00:00", "to"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"), ("from=", "from"),
        ("actor=", "actor"), ("actor=a%00b", "actor"), ("action=%C3%A4", "action"),
        (f"actor={'x' * 201}", "actor"), ("agent=x", "agent"), ("limit=0", "limit"),
        ("by=ann", "by"),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_named(api: Api, query: str, named: str) -> None:
    problem = is_problem(await api.client.get(f"/api/v1/audit?{query}"), 400, "invalid-request")
    assert problem["problems"][0].startswith(f"{named} is")
    assert api.history.calls == []


async def test_decisions_are_listed_and_narrowed(api: Api) -> None:
    whole = (await api.client.get("/api/v1/decisions")).json()["decisions"]
    assert [one["id"] for one in whole] == [str(one.id) for one in DECISIONS]
    assert (whole[0]["symbol"], whole[0]["verdict"], whole[0]["denials"]) == (
        LATEST.symbol, str(LATEST.verdict), [denial.code for denial in LATEST.denials]
    )  # fmt: skip
    api.history.calls.clear()
    cycle = "01766713-2a80-7000-8000-000000000001"
    path = f"/api/v1/decisions?symbol=BOLT&cycle={cycle}&outcome=denied"
    assert (await api.client.get(path)).json() == {"decisions": [], "nextCursor": None}
    [asked] = api.history.calls
    assert isinstance(asked, DecisionQuery)
    assert (asked.symbol, str(asked.cycle_id), asked.verdict) == ("BOLT", cycle, Verdict.DENIED)


@pytest.mark.parametrize(
    ("query", "named"), [("cycle=7", "cycle"), ("outcome=maybe", "outcome"), ("symbol=", "symbol")]
)
async def test_a_wrong_filter_of_decisions_is_named(api: Api, query: str, named: str) -> None:
    answer = await api.client.get(f"/api/v1/decisions?{query}")
    assert is_problem(answer, 400, "invalid-request")["problems"][0].startswith(f"{named} is")


async def test_the_log_of_an_agent_is_had_by_its_id_too(api: Api) -> None:
    first = (await api.client.get(f"/api/v1/audit?agent={OTHER_ID}&limit=1")).json()
    assert api.history.calls == [LogQuery(limit=2, agent_id=OTHER_ID)]
    path = f"/api/v1/audit?limit=1&cursor={first['nextCursor']}"
    is_problem(await api.client.get(path), 400, "invalid-request")
    more = await api.client.get(f"{path}&agent={OTHER_ID}")
    assert [row["seq"] for row in more.json()["entries"]] == [6]


async def test_each_agent_has_its_own(api: Api, other: Api) -> None:
    for name in ("audit", "decisions"):
        answer = await api.client.get(f"/api/v1/agents/{OTHER_ID}/{name}")
        assert answer.status_code == 200
    assert (len(other.history.calls), len(api.history.calls)) == (2, 0)
