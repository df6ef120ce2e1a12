"""`tradesaga dead-letters` as people use it, and the endpoints behind it."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace

import pytest

from tests.api.fake_letters import OPEN
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode

WHO = ("--by", "ann", "--reason", "looked")
BODY = {"by": "ann", "reason": "looked"}


async def test_the_list_and_one(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("dead-letters", "ls", "--state", "open", url=url)
        none = await terminal.types("dead-letters", "ls", "--state", "discarded", url=url)
        one = await terminal.types("dead-letters", "show", "7", url=url)
    head, row = said.out.splitlines()
    assert head.split() == ["ID", "STATE", "RECEIVED", "SUBJECT", "BYTES", "PROBLEM"]
    assert row.split()[:2] == ["7", "open"]
    assert none.out == "no dead letters\n"
    assert one.out.splitlines()[1:] == ["no envelope", "\N{REPLACEMENT CHARACTER}{not json"]


async def test_replay_and_a_second_end(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("dead-letters", "replay", "7", *WHO, url=url)
        again = await terminal.types("dead-letters", "discard", "7", *WHO, url=url)
    assert said.out == "dead letter 7 is replayed\n"
    assert again.code == ExitCode.WRONG_STATE
    assert "dead letter 7 is replayed since" in again.err
    state, words = api.dead_letters.calls[0]
    assert (state, words["by"], words["reason"]) == ("replayed", "ann", "looked")
    assert str(words["actor"]).startswith("api:")


async def test_the_body_comes_whole(api: Api) -> None:
    answer = (await api.client.get("/api/v1/dead-letters/7")).json()
    assert b64decode(answer["body"]) == OPEN.body
    assert (answer["bytes"], answer["by"], answer["endedAt"]) == (10, None, None)
    after = await api.client.post("/api/v1/dead-letters/7/discard", json=BODY)
    assert (after.json()["state"], after.json()["reason"]) == ("discarded", "looked")


async def test_a_page_says_where_the_next_begins(api: Api) -> None:
    api.dead_letters.more = [replace(OPEN, id=6)]
    first = (await api.client.get("/api/v1/dead-letters?limit=1")).json()
    assert [one["id"] for one in first["deadLetters"]] == [7]
    rest = await api.client.get(f"/api/v1/dead-letters?cursor={first['nextCursor']}&limit=5")
    assert api.dead_letters.calls[-1] == ("list", {"limit": 6, "state": None, "before": 7})
    assert rest.json()["nextCursor"] is None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("x/replay", BODY, 400),
        ("0/replay", BODY, 400),
        ("99999999999999999999/discard", BODY, 400),
        ("8/replay", BODY, 404),
        ("7/replay", {"by": "ann"}, 400),
        ("7/discard", {"reason": "looked"}, 400),
        ("7/discard", {**BODY, "force": True}, 400),
    ],
)
async def test_what_is_refused(api: Api, path: str, body: dict[str, object], status: int) -> None:
    response = await api.client.post(f"/api/v1/dead-letters/{path}", json=body)
    assert response.status_code == status
    assert api.dead_letters.one.end is None


async def test_a_letter_that_has_ended_says_what_it_is(api: Api) -> None:
    await api.client.post("/api/v1/dead-letters/7/discard", json=BODY)
    refused = await api.client.post("/api/v1/dead-letters/7/replay", json=BODY)
    assert (refused.status_code, refused.json()["currentState"]) == (409, "discarded")
    assert refused.json()["allowedActions"] == []
