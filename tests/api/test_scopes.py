"""Every route against every scope: who may, who may not, and that nothing was done then.

The routes come from the application; tests/architecture/test_access.py has those without a scope.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.api.fake_access import secret_of
from tests.api.fakes import Api
from tests.api.test_problems import is_problem
from tradesaga.api.app import document
from tradesaga.api.scopes import SAFE_METHODS, is_open, needed
from tradesaga.domain.access import AccessScope, with_reading

PLACES = ("operations", "sagas", "strategies", "schedules", "risk", "approvals", "ladder")
ROUTES = [
    (method.upper(), path, operation["operationId"])
    for path, item in msgspec.json.decode(document())["paths"].items()
    for method, operation in item.items()
]


def asked_of(api: Api) -> list[Any]:
    """All that any fake was asked to do."""
    return [call for place in PLACES for call in getattr(getattr(api, place), "calls", [])]


def with_token(scope: AccessScope) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret_of(scope)}"}


@pytest.mark.parametrize(("method", "path", "operation_id"), ROUTES)
async def test_a_scope_opens_its_own_routes_and_no_others(
    api: Api, method: str, path: str, operation_id: str
) -> None:
    if is_open(path):
        return
    where = re.sub(r"\{\w+\}", "x", path)
    wanted = needed(operation_id, frozenset({method}))
    for scope in AccessScope:
        response = await api.client.request(method, where, headers=with_token(scope))
        if scope is AccessScope.ADMIN or with_reading([scope]) & set(wanted):
            assert response.status_code not in (401, 403), (scope, response.text)
        else:
            is_problem(response, 403, "forbidden")
            assert asked_of(api) == []
        api.fresh()


@pytest.mark.parametrize(("method", "path", "operation_id"), ROUTES)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer " + "x" * 9000]
)
async def test_without_a_token_nothing_but_probes_is_answered(
    api: Api, method: str, path: str, operation_id: str, header: str | None
) -> None:
    del api.client.headers["Authorization"]
    headers = {} if header is None else {"Authorization": header}
    response = await api.client.request(method, re.sub(r"\{\w+\}", "x", path), headers=headers)
    if is_open(path):
        assert (method in SAFE_METHODS, response.status_code) == (True, 200)
        return
    is_problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert asked_of(api) == []


async def test_a_path_that_is_not_there_needs_a_token_too(api: Api) -> None:
    assert (await api.client.get("/api/v1/nothing")).status_code == 404
    del api.client.headers["Authorization"]
    assert (await api.client.get("/api/v1/nothing")).status_code == 401
    assert (await api.client.get("/")).status_code == 401


async def test_the_scheme_is_not_case_sensitive(api: Api) -> None:
    headers = {"Authorization": f"bearer  {secret_of(AccessScope.READ)}"}
    assert (await api.client.get("/api/v1/agent/status", headers=headers)).status_code == 200


async def test_an_operation_that_nobody_has_thought_about_is_closed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradesaga.api.scopes.NEEDED", {})
    response = await api.client.post("/api/v1/agent/stop", json={})
    assert is_problem(response, 403, "forbidden")["detail"].startswith("no scope is set")
    assert asked_of(api) == []
