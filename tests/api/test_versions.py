"""ETag and If-Match on control: taken when the state is as it was read, else 412 and nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.api.fake_schedules import DAILY_ID
from tests.api.fakes import Api
from tests.api.test_limits import BODY
from tests.api.test_problems import is_problem
from tradesaga.api.app import document

AGENT, STRATEGY = "/api/v1/agent", "/api/v1/strategies/sample"
SCHEDULE, LIMITS = f"/api/v1/schedules/{DAILY_ID}", "/api/v1/risk/limits"
COMMANDS: list[tuple[str, str, str, dict[str, Any] | None]] = [
    (f"{AGENT}/status", "POST", f"{AGENT}/start", {}),
    (f"{AGENT}/status", "POST", f"{AGENT}/stop", {}),
    (f"{AGENT}/status", "POST", f"{AGENT}/pause", {}),
    (f"{AGENT}/status", "POST", f"{AGENT}/resume", {}),
    (STRATEGY, "PATCH", STRATEGY, {"priority": 3}),
    (STRATEGY, "POST", f"{STRATEGY}/activate", {}),
    (STRATEGY, "POST", f"{STRATEGY}/deactivate", {}),
    (STRATEGY, "DELETE", STRATEGY, None),
    (SCHEDULE, "PATCH", SCHEDULE, {"priority": 1}),
    (SCHEDULE, "POST", f"{SCHEDULE}/enable", None),
    (SCHEDULE, "POST", f"{SCHEDULE}/disable", None),
    (SCHEDULE, "DELETE", SCHEDULE, None),
    (LIMITS, "PUT", LIMITS, BODY),
]


@pytest.mark.parametrize(("read", "method", "path", "body"), COMMANDS)
async def test_a_command_is_bound_to_what_was_read(
    api: Api, read: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    tag = (await api.client.get(read)).headers["ETag"]
    number = int(tag.strip('"'))
    told = api.operations.calls + api.strategies.actors + api.risk.calls
    for stale in (f'"{number + 1}"', '"x"', f"W/{tag}", '""', f'"{number + 1}", "{number + 2}"'):
        headers = {"If-Match": stale}
        response = await api.client.request(method, path, json=body, headers=headers)
        problem = is_problem(response, 412, "precondition-failed")
        assert f"at version {number}" in problem["detail"]
    assert (await api.client.get(read)).headers["ETag"] == tag
    assert api.risk.calls == [], told
    headers = {"If-Match": f'"{number + 7}", {tag}'}
    done = await api.client.request(method, path, json=body, headers=headers)
    assert done.status_code == 200, done.text


@pytest.mark.parametrize(("read", "method", "path", "body"), COMMANDS)
@pytest.mark.parametrize("any_of", [None, "*"])
async def test_without_a_tag_a_command_is_taken_as_it_is(
    api: Api, read: str, method: str, path: str, body: dict[str, Any] | None, any_of: str | None
) -> None:
    headers = {} if any_of is None else {"If-Match": any_of}
    response = await api.client.request(method, path, json=body, headers=headers)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("wrong", ["", "7", '"7', '"7";"8"', '* , "7"', "x" * 1001])
async def test_what_is_no_list_of_tags_is_refused(api: Api, wrong: str) -> None:
    response = await api.client.post(f"{AGENT}/stop", headers={"If-Match": wrong})
    is_problem(response, 400, "invalid-request")
    assert api.operations.calls == []


async def test_a_command_answers_with_the_new_version(api: Api) -> None:
    before = (await api.client.get(STRATEGY)).headers["ETag"]
    headers = {"If-Match": before}
    changed = await api.client.patch(STRATEGY, json={"priority": 4}, headers=headers)
    assert changed.headers["ETag"] != before
    again = await api.client.patch(STRATEGY, json={"priority": 5}, headers=headers)
    is_problem(again, 412, "precondition-failed")
    assert (await api.client.get(STRATEGY)).json()["priority"] == 4


def test_the_document_tells_of_tags_and_conditions() -> None:
    paths = msgspec.json.decode(document())["paths"]
    for read, method, path, _ in COMMANDS:
        described = path.replace("/sample", "/{strategyId}").replace(str(DAILY_ID), "{scheduleId}")
        operation = paths[described][method.lower()]
        assert "If-Match" in [one["name"] for one in operation["parameters"]]
        assert "412" in operation["responses"]
        reading = read.replace("/sample", "/{strategyId}").replace(str(DAILY_ID), "{scheduleId}")
        assert "ETag" in paths[reading]["get"]["responses"]["200"]["headers"]
