"""Every way to be refused: the status, the document, and that nothing was done."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import unquote

import msgspec
import pytest

from tests.api.fake_access import ADMIN
from tests.api.fake_ids import TRACE_ID
from tests.api.fakes import AGENT, Api
from tests.log_lines import lines_of
from tradesaga.api import problems
from tradesaga.api.app import document
from tradesaga.api.problem_kinds import KINDS
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.errors import (
    Conflict,
    DeadlineExceeded,
    Fenced,
    Invalid,
    Refused,
    Unavailable,
)

PATHS = msgspec.json.decode(document())["paths"]
REQUIRED = {"type", "title", "status", "detail", "instance", "code", "hint", "traceId"}


def is_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) >= REQUIRED
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"/problems/{code}"
    assert problem["instance"] == response.request.url.raw_path.decode().partition("?")[0]
    assert all(problem[name] for name in REQUIRED)
    return problem


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        (
            "/api/v1/agent/start",
            {"strategy": "x"},
            ["strategy is not a field of this request; its fields are: strategies, mode"],
        ),
        ("/api/v1/agent/start", {"mode": "wild"}, ['mode is "wild": it takes normal,']),
        ("/api/v1/agent/start", {"strategies": "sma"}, ['strategies is "sma": it takes a list']),
        ("/api/v1/agent/start", {"strategies": [""]}, ["strategies is"]),
        ("/api/v1/agent/start", {"strategies": ["x"] * 1001}, ["strategies is"]),
        ("/api/v1/agent/stop", {"reason": 7}, ["reason is 7: it takes why"]),
        ("/api/v1/agent/stop", {"reason": "x" * 1001}, ["reason is"]),
        ("/api/v1/agent/stop", {"cancelOpenOrders": "true"}, ['cancelOpenOrders is "true":']),
        ("/api/v1/agent/stop", {"cancelOpenOrders": 1}, ["cancelOpenOrders is 1:"]),
        ("/api/v1/agent/pause", {"duration": 0}, ["duration is 0: it takes minutes"]),
        ("/api/v1/agent/pause", {"duration": -5}, ["duration is -5:"]),
        ("/api/v1/agent/pause", {"duration": "5"}, ['duration is "5":']),
        ("/api/v1/agent/pause", {"duration": True}, ["duration is true:"]),
        ("/api/v1/agent/pause", {"duration": 525601}, ["duration is 525601:"]),
        ("/api/v1/agent/resume", {"force": True}, ["force is not a field", ]),
        (
            "/api/v1/agent/stop",
            {"reason": 1, "cancelOpenOrders": 2, "now": 3},
            ["now is not a field", "reason is 1", "cancelOpenOrders is 2"],
        ),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_with_its_remedy(
    api: Api, path: str, body: object, problems: list[str]
) -> None:
    problem = is_problem(await api.client.post(path, json=body), 400, "invalid-request")
    assert len(problem["problems"]) == len(problems)
    for found, expected in zip(problem["problems"], problems, strict=True):
        assert found.startswith(expected)
    assert api.operations.calls == []


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("limit=0", ['limit is "0": it takes a whole number from 1 to 1000']),
        ("limit=1001", ['limit is "1001":']),
        ("limit=ten", ['limit is "ten":']),
        ("limit=", ['limit is "":']),
        ("status=null", ['status is "null": it takes completed, failed or cancelled']),
        ("status=started", ['status is "started": it takes completed, failed or cancelled']),
        (
            "offset=1",
            ["offset is not a parameter of this request; its parameters are: limit, status"],
        ),
        ("limit=1&limit=2", ["limit is given 2 times"]),
        ("limit=x&status=y", ['limit is "x"', 'status is "y"']),
    ],
)
async def test_a_wrong_parameter_is_named_with_its_remedy(
    api: Api, query: str, problems: list[str]
) -> None:
    response = await api.client.get(f"/api/v1/cycles?{query}")
    problem = is_problem(response, 400, "invalid-request")
    assert len(problem["problems"]) == len(problems)
    for found, expected in zip(problem["problems"], problems, strict=True):
        assert found.startswith(expected)
    assert api.operations.calls == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/agent/status"),
        ("POST", "/api/v1/agent/stop"),
        ("GET", "/api/v1/risk/limits"),
    ],
)
async def test_no_operation_takes_a_parameter_that_it_does_not_know(
    api: Api, method: str, path: str
) -> None:
    response = await api.client.request(method, f"{path}?force=1")
    problem = is_problem(response, 400, "invalid-request")
    expected = "force is not a parameter of this request; its parameters are: none"
    assert problem["problems"] == [expected]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"7", b"null", b"\xff", b"[" * 60000, b'{"reason": "\\ud800"}', b" "]
)
async def test_a_body_that_is_no_object(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await api.client.post("/api/v1/agent/stop", content=body, headers=headers)
    is_problem(response, 400, "malformed-body")
    assert api.operations.calls == []


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "", None]
)
async def test_a_body_that_is_not_declared_as_json(api: Api, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    response = await api.client.post("/api/v1/agent/stop", content=b"{}", headers=headers)
    is_problem(response, 415, "unsupported-media-type")
    assert api.operations.calls == []


async def test_json_with_a_charset_is_json(api: Api) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response = await api.client.post("/api/v1/agent/stop", content=b"{}", headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large(api: Api, chunked: bool) -> None:
    async def pieces() -> Any:
        for _ in range(70):
            yield b" " * 1024

    content = pieces() if chunked else b" " * 70 * 1024
    headers = {"Content-Type": "application/json"}
    response = await api.client.post("/api/v1/agent/stop", content=content, headers=headers)
    is_problem(response, 413, "body-too-large")
    assert api.operations.calls == []


async def test_a_client_that_goes_away_in_the_middle_is_no_defect(api: Api) -> None:
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/v1/agent/stop", "raw_path": b"/api/v1/agent/stop", "root_path": "",
        "query_string": b"", "client": ("127.0.0.1", 4000), "server": ("127.0.0.1", 3005),
        "headers": [(b"host", b"localhost"), (b"content-length", b"9"),
                    (b"authorization", f"Bearer {ADMIN}".encode())],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await cast("Any", api.app)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"malformed-body" in sent[1]["body"]
    assert api.metrics.errors == []
    assert api.operations.calls == []


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1", "/api/v1/nothing", "/a%20b"])
async def test_an_unknown_path(api: Api, path: str) -> None:
    problem = is_problem(await api.client.get(path), 404, "no-such-path")
    assert unquote(path) in problem["detail"]


async def test_a_method_that_the_path_does_not_know(api: Api) -> None:
    response = await api.client.get("/api/v1/agent/stop")
    is_problem(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize("path", PATHS)
async def test_options_and_a_refusal_name_every_method_of_a_path(api: Api, path: str) -> None:
    known = ", ".join(sorted({"OPTIONS", *map(str.upper, PATHS[path])}))
    asked = await api.client.options(re.sub(r"\{\w+\}", "x", path))
    assert (asked.status_code, asked.headers["Allow"], asked.content) == (204, known, b"")
    refused = await api.client.request("TRACE", re.sub(r"\{\w+\}", "x", path))
    is_problem(refused, 405, "method-not-allowed")
    assert refused.headers["Allow"] == known


async def test_an_unknown_cycle(api: Api) -> None:
    response = await api.client.get("/api/v1/cycles/01766713-2a80-7000-8000-0000000000ff")
    is_problem(response, 404, "not-found")


async def test_an_id_that_is_no_id(api: Api) -> None:
    problem = is_problem(await api.client.get("/api/v1/cycles/7"), 400, "invalid-request")
    assert problem["problems"] == ['cycleId is "7": it takes the id of a cycle, a UUID']


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_an_illegal_transition_says_what_is_legal(api: Api, action: str) -> None:
    from dataclasses import replace

    api.operations.agent = replace(AGENT, status=AgentStatus.STOPPED)
    problem = is_problem(await api.client.post(f"/api/v1/agent/{action}"), 409, "wrong-state")
    assert problem["currentState"] == "stopped"
    assert problem["allowedActions"] == ["start", "stop"]
    assert "agent default is stopped" in problem["detail"]


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (Unavailable("the database is away"), 503, "unavailable", True),
        (DeadlineExceeded("no answer"), 504, "deadline-exceeded", True),
        (Conflict("moved on"), 409, "conflict", True),
        (Fenced("another holder"), 409, "conflict", True),
        (Refused("no", code="X"), 502, "refused-by-service", False),
        (
            Invalid(["strategy a is unknown", "strategy b is unknown"]),
            400,
            "invalid-request",
            False,
        ),
    ],
)
async def test_errors_of_the_engine(
    api: Api,
    error: Exception,
    status: int,
    code: str,
    retry: bool,
) -> None:
    api.operations.error = error
    response = await api.client.post("/api/v1/agent/start")
    problem = is_problem(response, status, code)
    assert ("Retry-After" in response.headers) is retry
    if isinstance(error, Invalid):
        assert problem["problems"] == list(error.problems)
    assert api.metrics.errors == []


async def test_a_defect_is_logged_and_counted_but_not_shown(api: Api) -> None:
    api.operations.error = RuntimeError("select secret from nowhere")
    with lines_of(problems, "_log") as lines:
        response = await api.client.get("/api/v1/agent/status")
    problem = is_problem(response, 500, "internal-error")
    assert "secret" not in response.text
    assert problem["traceId"] == TRACE_ID
    assert api.metrics.errors == ["api"]
    [line] = lines
    assert line["event"] == "request_failed"
    assert line["exc_info"] is api.operations.error


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        ),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", TRACE_ID),
        ("nonsense", TRACE_ID),
    ],
)
async def test_the_trace_of_the_caller_is_kept(api: Api, traceparent: str, trace_id: str) -> None:
    response = await api.client.get("/nothing", headers={"traceparent": traceparent})
    assert response.json()["traceId"] == trace_id


async def test_every_kind_has_its_page(api: Api) -> None:
    index = (await api.client.get("/problems")).text
    for code, kind in KINDS.items():
        response = await api.client.get(f"/problems/{code}")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert str(kind.status) in response.text
        assert f'href="/problems/{code}"' in index


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("127.0.0.1:3005", 200), ("LOCALHOST:3005", 200), ("[::1]:3005", 200),
        ("evil.example", 421), ("127.0.0.1.evil.example:3005", 421), ("", 421), ("[::1", 421),
        ("localhost@evil.example", 421),
    ],
)  # fmt: skip
async def test_a_name_that_was_rebound_gets_no_answer(api: Api, host: str, status: int) -> None:
    response = await api.client.get("/api/v1/agent/status", headers={"Host": host})
    if status == 421:
        is_problem(response, 421, "misdirected-request")
    assert response.status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:3005", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
async def test_a_page_of_another_site_sends_no_commands(
    api: Api, headers: dict[str, str], status: int
) -> None:
    response = await api.client.post("/api/v1/agent/stop", headers=headers)
    assert response.status_code == status
    assert len(api.operations.calls) == (1 if status == 200 else 0)
