"""`tradesaga checkpoints` as people read it, and the endpoint behind it."""

from __future__ import annotations

import json

from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal


async def test_a_recovery_is_told_in_a_few_lines(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("checkpoints", url=url)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "2020-12-15 17:00:00Z  recovered, epoch 3, lineage 2",
        "    release 1.2.3, code c0dec0dec0de, configuration c0f1c0f1c0f1, strategies 57a757a757a7",
        "    changed since the one before: configuration",
        "    found 1 unfinished cycles (cancelled) and 1 open sagas: 1 ended, 0 wait for a person",
        "    01934f0e-0000-7000-8000-0000000000aa SPY 5/5: running, order intent"
        " -> completed, order filled",
    ]
    assert api.operations.calls == [("checkpoints", {"limit": 6, "after": None})]


async def test_as_json_it_is_the_answer_of_the_api(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("checkpoints", "--limit", "1", "-o", "json", url=url)
    [one] = json.loads(said.out)["checkpoints"]
    assert (one["occasion"], one["lineage"], one["changed"]) == ("recovered", 2, ["configuration"])
    assert one["report"]["sagas"][0]["now"] == "completed, order filled"


async def test_the_limit_is_checked(api: Api) -> None:
    response = await api.client.get("/api/v1/checkpoints?limit=0")
    assert response.status_code == 400
    assert "limit" in response.text
