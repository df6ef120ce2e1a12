"""Old rows over the API: the policy, the last run, the sizes, and a run."""

from __future__ import annotations

from tests.api.fake_access import ACTOR
from tests.api.fake_retention import RUN
from tests.api.fakes import Api

RUN_ANSWER = {
    "beganAt": "2020-12-15T17:00:00.000000Z",
    "endedAt": "2020-12-15T17:00:02.000000Z",
    "rows": {"sagas": 1200, "orders": 1200, "inbox": 0},
    "complete": True,
    "problem": "",
}


async def test_the_report_has_policy_last_run_and_sizes(api: Api) -> None:
    answer = await api.client.get("/api/v1/retention")
    assert answer.status_code == 200
    body = answer.json()
    assert body["intervalMs"] == 3_600_000
    assert body["keptMs"] == {
        "trades": 2_592_000_000, "fills": 2_592_000_000, "decisions": 2_592_000_000,
        "cycles": 0, "inbox": 129_600_000, "dead_letters": 0, "relay_marks": 0, "repeats": 0,
    }  # fmt: skip
    assert body["lastRun"] is None
    [table] = body["tables"]
    assert (table["name"], table["rows"], table["archivedRows"]) == ("orders", 12_000, 1_000_000)
    api.retention.last = RUN
    assert (await api.client.get("/api/v1/retention")).json()["lastRun"] == RUN_ANSWER


async def test_a_run_names_who_asked_for_it(api: Api) -> None:
    answer = await api.client.post("/api/v1/retention/run")
    assert (answer.status_code, answer.json()) == (200, RUN_ANSWER)
    assert api.retention.actors == [ACTOR]
