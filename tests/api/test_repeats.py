"""A command sent twice under one key: done once, answered alike; and every way to be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.api.fake_access import FRESH, secret_of
from tests.api.fakes import Api
from tests.api.test_problems import is_problem
from tradesaga.api.app import document
from tradesaga.domain.access import AccessScope
from tradesaga.domain.errors import Unavailable

KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
STOP = "/api/v1/agent/stop"
POSTS = [path for path, item in msgspec.json.decode(document())["paths"].items() if "post" in item]


async def test_a_repeat_is_answered_alike_and_not_done_again(api: Api) -> None:
    first = await api.client.post(STOP, json={"reason": "x"}, headers=KEY)
    again = await api.client.post(STOP, content=b'{ "reason" :"x"}', headers=KEY | JSON)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(api.operations.calls) == 1
    quoted = {"Idempotency-Key": f'"{KEY["Idempotency-Key"]}"'}
    assert (await api.client.post(STOP, json={"reason": "x"}, headers=quoted)).is_success
    assert len(api.operations.calls) == 1


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(("path", "body"), [(STOP, {"reason": "y"}), ("/api/v1/agent/resume", {})])
async def test_a_key_with_another_command_is_refused(
    api: Api, path: str, body: dict[str, str]
) -> None:
    await api.client.post(STOP, json={"reason": "x"}, headers=KEY)
    is_problem(await api.client.post(path, json=body, headers=KEY), 422, "key-reused")
    assert len(api.operations.calls) == 1


async def test_a_key_belongs_to_its_token(api: Api) -> None:
    await api.client.post(STOP, json={}, headers=KEY)
    other = {"Authorization": f"Bearer {secret_of(AccessScope.OPERATE)}"}
    response = await api.client.post(STOP, json={}, headers=KEY | other)
    assert response.status_code == 200
    assert len(api.operations.calls) == 2


async def test_a_refusal_without_effect_leaves_the_key_free(api: Api) -> None:
    wrong = await api.client.post(STOP, json={"reason": 7}, headers=KEY)
    assert wrong.status_code == 400
    right = await api.client.post(STOP, json={"reason": "seven"}, headers=KEY)
    assert right.status_code == 200
    assert len(api.operations.calls) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_what_is_no_key_is_refused(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    response = await api.client.post(STOP, json={}, headers=headers)  # type: ignore[arg-type]  # as bytes
    is_problem(response, 400, "invalid-request")
    assert api.operations.calls == []


async def test_a_repeat_while_the_first_is_at_work_is_put_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    stop = api.operations.stop

    async def slowly(**arguments: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await stop(**arguments)

    monkeypatch.setattr(api.operations, "stop", slowly)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(api.client.post(STOP, json={}, headers=KEY))
        await begun.wait()
        second = await api.client.post(STOP, json={}, headers=KEY)
        is_problem(second, 409, "key-in-use")
        assert second.headers["Retry-After"] == "1"
        go_on.set()
    assert first.result().status_code == 200
    assert len(api.operations.calls) == 1


async def test_a_command_whose_answer_was_lost_is_not_done_again(api: Api) -> None:
    await api.client.post(STOP, json={}, headers=KEY)
    ((row_id, kept),) = api.store.kept.items()
    api.store.kept[row_id] = replace(kept, status=None, body="", media_type="")
    response = await api.client.post(STOP, json={}, headers=KEY)
    assert "was lost" in is_problem(response, 409, "answer-lost")["detail"]
    assert len(api.operations.calls) == 1


async def test_an_answer_with_a_secret_is_kept_nowhere(api: Api) -> None:
    body = {"name": "ci", "scopes": ["read"]}
    made = await api.client.post("/api/v1/tokens", json=body, headers=KEY)
    assert made.json()["secret"] == FRESH
    assert FRESH not in repr(api.store.kept)
    is_problem(await api.client.post("/api/v1/tokens", json=body, headers=KEY), 409, "answer-lost")
    assert [name for name, _ in api.access.calls] == ["create"]


async def test_with_the_database_away_only_a_kill_is_taken(api: Api) -> None:
    api.store.away = True
    is_problem(await api.client.post(STOP, json={}, headers=KEY), 503, "unavailable")
    assert api.operations.calls == []
    killed = await api.client.post("/api/v1/kill", json={}, headers=KEY)
    assert killed.status_code == 200


async def test_an_effect_that_failed_afterwards_is_not_done_again(api: Api) -> None:
    async def commits_then_fails(**_: Any) -> Any:
        await api.store.fact([], [])
        raise Unavailable("the answer to the first half was lost")

    api.operations.stop = commits_then_fails  # type: ignore[method-assign]  # a command of two commits
    first = await api.client.post(STOP, json={}, headers=KEY)
    assert first.status_code == 503
    del api.operations.stop
    again = await api.client.post(STOP, json={}, headers=KEY)
    assert (again.status_code, again.content) == (503, first.content)
    assert api.operations.calls == []


@pytest.mark.parametrize("path", POSTS)
def test_every_post_says_that_it_takes_a_key(path: str) -> None:
    operation = msgspec.json.decode(document())["paths"][path]["post"]
    names: Sequence[str] = [parameter["name"] for parameter in operation["parameters"]]
    assert "Idempotency-Key" in names
    assert {"409", "422"} <= set(operation["responses"])
