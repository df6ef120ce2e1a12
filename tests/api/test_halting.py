"""One command halts all agents on all nodes, and names what it cannot be certain of."""

from __future__ import annotations

import json
from typing import Any

from tests.api.fake_access import ADMIN_HEADER
from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_halting import DEFAULT, OTHER
from tests.api.fakes import Api
from tradesaga.api.forwarding import MARK
from tradesaga.ports.nodes import PeerAnswer

PATH = "/api/v1/agents/kill"


def names(answer: Any) -> list[str]:
    return [one["name"] for one in answer["agents"]]


async def test_all_agents_of_the_node_are_halted_by_an_empty_body(api: Api) -> None:
    answer = await api.client.post(PATH)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert names(told) == ["default", "second"]
    assert (told["silent"], told["unheard"]) == ([], [])
    assert told["agents"][0]["killed"]["marked"] is True
    [(reason, who)] = api.halting.calls
    assert reason == ""
    assert who.startswith("api:"), "who asked is in the log of each agent"


async def test_every_other_node_is_asked_once_with_the_callers_token(api: Api) -> None:
    api.halting.here, api.halting.urls = [DEFAULT], ["http://b", "http://c"]
    there = {
        "agents": [
            {
                "agentId": str(OTHER_ID),
                "name": "second",
                "killed": (await api.client.post(PATH)).json()["agents"][0]["killed"],
            }
        ],
        "silent": [],
        "unheard": [],
    }
    api.peers.asked.clear()
    api.peers.answers["http://b"] = PeerAnswer(
        status=200, headers={}, body=json.dumps(there).encode()
    )
    told = (await api.client.post(PATH, json={"reason": "now", "who": "ann"})).json()
    assert names(told) == ["default", "second"]
    assert told["silent"] == ["http://c"], "nobody takes silence for a halt"
    assert told["unheard"] == []
    assert [url for url, _ in api.peers.asked] == ["http://b", "http://c"]
    for _, request in api.peers.asked:
        assert request.headers["authorization"] == ADMIN_HEADER["Authorization"]
        assert MARK in request.headers, "it is not passed on"
        assert json.loads(request.body) == {"reason": "now", "who": "ann", "everywhere": False}
        assert request.target == PATH


async def test_what_nobody_answered_for_is_named(api: Api) -> None:
    api.halting.here, api.halting.urls = [DEFAULT], ["http://b"]
    api.peers.answers["http://b"] = PeerAnswer(status=503, headers={}, body=b"{}")
    told = (await api.client.post(PATH)).json()
    assert told["silent"] == ["http://b"]
    assert told["unheard"] == [{"agentId": str(OTHER.id), "name": "second"}]


async def test_a_node_that_is_asked_for_its_own_asks_nobody(api: Api) -> None:
    api.halting.here, api.halting.urls = [OTHER], ["http://b"]
    told = (await api.client.post(PATH, json={"everywhere": False})).json()
    assert names(told) == ["second"]
    assert (told["silent"], told["unheard"]) == ([], [])
    assert api.peers.asked == []


async def test_a_body_that_says_something_else_is_refused(api: Api) -> None:
    for body, named in (({"scope": "symbol"}, "scope"), ({"everywhere": 1}, "everywhere")):
        answer = await api.client.post(PATH, json=body)
        assert answer.status_code == 400
        assert named in answer.text
    assert api.halting.calls == []


async def test_a_key_that_cannot_be_looked_up_does_not_stop_a_halt(api: Api) -> None:
    api.store.away = True
    answer = await api.client.post(PATH, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 200, answer.text
    assert api.halting.calls
