"""Every 409: what to do about it (`hint`), and what would be taken now (`allowedActions`)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tradesaga
from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_approvals import WAITING
from tests.api.fake_letters import OPEN
from tests.api.fake_sagas import PARKED_ID
from tests.api.fake_schedules import CONFIGURED_ID, DAILY_ID
from tests.api.fakes import CYCLE_ID, Api
from tests.api.test_openapi import BODIES, matches
from tests.api.test_problems import is_problem
from tradesaga.api.app import document
from tradesaga.domain.errors import Conflict, Fenced, IllegalTransition

DOCUMENT = msgspec.json.decode(document())
SCHEMAS = DOCUMENT["components"]["schemas"]
PLACES = {
    "{cycleId}": CYCLE_ID, "{sagaId}": PARKED_ID, "{symbol}": "ACME", "{scheduleId}": DAILY_ID,
    "{strategyId}": "sma-spy", "{tokenName}": "read-token", "{agentId}": OTHER_ID,
    "{approvalId}": WAITING.id, "{letterId}": OPEN.id,
}  # fmt: skip
COMMANDS = {
    "startAgent": "operations.start",
    "stopAgent": "operations.stop",
    "pauseAgent": "operations.pause",
    "resumeAgent": "operations.resume",
    "cancelCycle": "operations.cancel_cycle",
    "retrySaga": "sagas.retry",
    "compensateSaga": "sagas.compensate",
    "resolveSaga": "sagas.resolve",
    "closePosition": "sagas.close_position",
    "addSchedule": "schedules.add",
    "changeSchedule": "schedules.change",
    "removeSchedule": "schedules.remove",
    "enableSchedule": "schedules.change",
    "disableSchedule": "schedules.change",
    "triggerSchedule": "schedules.trigger",
    "analyzeStrategy": "schedules.analyse",
    "createStrategy": "strategies.create",
    "updateStrategy": "strategies.update",
    "activateStrategy": "strategies.activate",
    "deactivateStrategy": "strategies.deactivate",
    "deleteStrategy": "strategies.delete",
    "approveOrder": "approvals.approve",
    "denyOrder": "approvals.deny",
    "replayDeadLetter": "dead_letters.replay",
    "discardDeadLetter": "dead_letters.discard",
    "putRiskLimits": "risk.change_limits",
    "runRetention": "retention.run_once",
    "kill": "ladder.kill",
    "killAll": "halting.halt",
    "rearm": "ladder.rearm",
    "acknowledge": "ladder.acknowledge",
    "addAgent": "accounts.add",
    "retireAgent": "accounts.retire",
    "createToken": "access.create",
    "revokeToken": "access.revoke",
    "rotateToken": "access.rotate",
}
"""Every operation that may be answered 409, and the command behind it."""
AGENT_OR_SAGA = ("operations.pause", "operations.resume", "sagas.retry", "sagas.compensate",
                 "sagas.resolve")  # fmt: skip
"""What these allow is asked of the machine, not told by the error."""


def _described() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if "409" in operation["responses"]:
                yield operation["operationId"], method.upper(), path, operation


OPERATIONS = {name: (method, path, operation) for name, method, path, operation in _described()}


def test_the_document_says_it_of_every_409() -> None:
    assert set(OPERATIONS) == set(COMMANDS)
    for _, _, operation in OPERATIONS.values():
        content = operation["responses"]["409"]["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/StateProblem"}
    assert {"hint", "allowedActions"} <= set(SCHEMAS["StateProblem"]["required"])


@pytest.mark.parametrize(
    "error",
    [
        IllegalTransition("it cannot", state="x", allowed=("do", "undo")),
        IllegalTransition("it cannot at all"),
        Conflict("moved on"),
        Conflict("taken", allowed=("rename",)),
        Fenced("another holder"),
    ],
)
async def test_every_409_says_what_to_do(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: IllegalTransition | Conflict
) -> None:
    async def refuses(*_: object, **__: object) -> None:
        raise error

    is_state = isinstance(error, IllegalTransition)
    for operation_id, command in COMMANDS.items():
        door, _, name = command.partition(".")
        with monkeypatch.context() as patch:
            patch.setattr(getattr(api, door), name, refuses)
            answer = await _sent(api, operation_id)
        problem = is_problem(answer, 409, "wrong-state" if is_state else "conflict")
        matches(problem, SCHEMAS["StateProblem"], SCHEMAS, operation_id)
        if not is_state or command not in AGENT_OR_SAGA:
            assert problem["allowedActions"] == list(error.allowed), operation_id


async def test_a_key_that_is_at_work_or_whose_answer_is_lost(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    created = await api.client.post(
        "/api/v1/tokens", json={"name": "ci", "scopes": ["read"]}, headers=headers
    )
    assert created.status_code == 200
    again = await api.client.post(
        "/api/v1/tokens", json={"name": "ci", "scopes": ["read"]}, headers=headers
    )
    assert is_problem(again, 409, "answer-lost")["allowedActions"] == ["read"]


async def test_a_key_that_is_being_worked_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    within: list[Any] = []

    async def slow(**_: object) -> Any:
        within.append(await api.client.post("/api/v1/agent/stop", headers={"Idempotency-Key": "k"}))
        raise Conflict("moved on")

    monkeypatch.setattr(api.operations, "stop", slow)
    await api.client.post("/api/v1/agent/stop", headers={"Idempotency-Key": "k"})
    assert is_problem(within[0], 409, "key-in-use")["allowedActions"] == ["repeat"]


async def test_states_as_they_are(api: Api) -> None:
    """The fakes refuse by the machines of the domain, as the engine does."""
    approve = f"/api/v1/approvals/{WAITING.id}/approve"
    said = {"by": "ann", "reason": "x"}
    assert (await api.client.post(approve, json=said)).status_code == 200
    ended = is_problem(await api.client.post(approve, json=said), 409, "wrong-state")
    assert (ended["currentState"], ended["allowedActions"]) == ("consumed", [])
    stopped = await api.client.post("/api/v1/strategies/stopped/analyze")
    assert is_problem(stopped, 409, "wrong-state")["allowedActions"] == ["activate"]
    nothing = await api.client.post("/api/v1/positions/NONE/close", json={"reason": "x"})
    assert is_problem(nothing, 409, "wrong-state")["allowedActions"] == []
    fixed = await api.client.delete(f"/api/v1/schedules/{CONFIGURED_ID}")
    assert is_problem(fixed, 409, "wrong-state")["allowedActions"] == ["trigger"]


def test_what_is_allowed_is_told_where_the_refusal_is_raised() -> None:
    """Each refusal names the state or the way out, or its machine is asked by the API."""
    asked = {"domain/agent.py", "domain/saga.py", "domain/trade_intervention.py"}
    nothing_helps = [
        "the default agent is the configuration's, not to be retired",
        "that is its end",
        "no open order closes already",
        "configure rebalance.targets",
        "is not begun by hand",
    ]
    root = Path(tradesaga.__file__).parent
    silent = [
        ast.unparse(node)
        for path in [*root.glob("domain/**/*.py"), *root.glob("engine/**/*.py")]
        if str(path.relative_to(root)) not in asked
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and not node.keywords
        if isinstance(node.func, ast.Name) and node.func.id == "IllegalTransition"
    ]
    assert len(silent) == len(nothing_helps)
    for why in nothing_helps:
        assert sum(why in call for call in silent) == 1, (why, silent)


async def _sent(api: Api, operation_id: str) -> Any:
    method, path, _ = OPERATIONS[operation_id]
    body = None if method == "DELETE" else BODIES.get(path.rpartition("/")[2])
    where = re.sub(r"\{\w+\}", lambda found: str(PLACES[found[0]]), path)
    return await api.client.request(method, where, json=body)
