"""Who asks too often, is wrong too often, or both; and whom that does not touch."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.fake_access import ADMIN, secret_of
from tests.api.fakes import Api
from tests.api.test_problems import is_problem
from tradesaga.api import gate
from tradesaga.api.doorman import OPEN_IN_ALL, PER_ADDRESS_OPEN, PER_TOKEN, WRONG
from tradesaga.api.rates import Rate
from tradesaga.domain.access import AccessScope


def test_a_rate_gives_a_burst_then_so_many_a_second() -> None:
    rate = Rate(per_second=2, burst=3)
    assert [rate.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b", 0.0) == 0, "another key has its own"
    assert [rate.take("a", 0.5), rate.take("a", 0.5)] == [0, 0.5]
    assert [rate.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 0.5], "never more than a burst"


def test_a_rate_keeps_a_bounded_number_of_keys() -> None:
    rate = Rate(per_second=1, burst=1, keys_max=10)
    for number in range(1000):
        rate.take(str(number), 0.0)
    assert rate.take("999", 0.0) > 0
    assert rate.take("0", 0.0) == 0, "forgotten"


async def test_an_address_with_wrong_tokens_is_put_off_and_a_right_one_is_not(api: Api) -> None:
    statuses = []
    for number in range(int(WRONG[1]) + 5):
        headers = {"Authorization": f"Bearer guess{number}"}
        statuses.append((await api.client.get("/api/v1/cycles", headers=headers)).status_code)
    assert statuses == [401] * int(WRONG[1]) + [429] * 5
    response = await api.client.get("/api/v1/cycles", headers={"Authorization": "Bearer guess"})
    is_problem(response, 429, "too-many-requests")
    assert int(response.headers["Retry-After"]) >= 1
    assert (await api.client.get("/api/v1/cycles")).status_code == 200, "the owner is let in"


async def test_a_stranger_who_asks_too_often_is_kept_waiting_and_nobody_else(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "HELD_SECONDS", 3600.0)
    wrong = {"Authorization": "Bearer guess"}
    for _ in range(int(WRONG[1])):
        response = await api.client.get("/api/v1/cycles", headers=wrong)
        assert response.status_code == 401, "at once"
    async with asyncio.TaskGroup() as group:
        held = [group.create_task(api.client.get("/api/v1/cycles", headers=wrong)) for _ in "ab"]
        for _ in range(3):
            assert (await api.client.get("/api/v1/cycles")).status_code == 200
        assert not any(task.done() for task in held)
        for task in held:
            task.cancel()


async def test_a_wrong_token_is_put_off_from_any_address(api: Api) -> None:
    statuses = []
    for number in range(int(WRONG[1]) + 1):
        api.come_from(f"10.0.0.{number}")
        headers = {"Authorization": "Bearer leaked"}
        statuses.append((await api.client.get("/api/v1/cycles", headers=headers)).status_code)
    assert statuses == [401] * int(WRONG[1]) + [429]


async def test_one_token_that_asks_too_often_does_not_touch_another(api: Api) -> None:
    burst = int(PER_TOKEN[1])
    statuses = [(await api.client.get("/livez/none")).status_code for _ in range(burst + 1)]
    assert statuses[-2:] == [404, 429]
    other = {"Authorization": f"Bearer {secret_of(AccessScope.READ)}"}
    assert (await api.client.get("/api/v1/cycles", headers=other)).status_code == 200
    api.seconds += 1
    assert (await api.client.get("/api/v1/cycles")).status_code == 200


async def test_probes_are_limited_by_address_and_in_all(api: Api) -> None:
    for number in range(int(OPEN_IN_ALL[1] / PER_ADDRESS_OPEN[1])):
        api.come_from(f"10.0.0.{number}")
        for _ in range(int(PER_ADDRESS_OPEN[1])):
            assert (await api.client.get("/livez")).status_code == 200
        assert (await api.client.get("/livez")).status_code == 429
    api.come_from("10.9.9.9")
    assert (await api.client.get("/livez")).status_code == 429
    headers = {"Authorization": f"Bearer {ADMIN}"}
    assert (await api.client.get("/api/v1/cycles", headers=headers)).status_code == 200
