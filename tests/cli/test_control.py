"""The commands against a real server on loopback: what they print, and their exit codes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog
from litestar import Litestar, get

from tests.api.fake_access import ACTOR
from tests.api.fakes import AGENT, CYCLE_ID, LATER, RUNNING_CYCLE_ID, Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tests.domain.trades import begun
from tradesaga.cli import run
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.agent import AgentStatus, Mode
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.errors import Invalid, Unavailable


async def test_status_as_text(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("status", url=url)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "agent          running, mode normal, up 1h 00m 00s"
    assert "current cycle  analysis, 50 %, since 2020-12-15 17:00:00Z" in said.out
    assert "next cycle     2020-12-15 17:00:01Z" in said.out
    assert "counted        7 cycles, 5 decisions, 3 orders, 1 error" in said.out
    header, row = lines[-2:]
    assert header.split()[:5] == ["STRATEGY", "STATUS", "MODE", "TYPE", "SYMBOLS"]
    assert header.index("TRADES") + len("TRADES") == row.index(" 3 ") + 2  # aligned to the right
    assert "12.3" in row
    assert "67 %" in row


async def test_status_of_an_agent_that_does_nothing(api: Api, terminal: Terminal) -> None:
    api.operations.current_cycle = api.operations.last_cycle = None
    api.operations.next_cycle_at = None
    api.operations.agent = replace(
        AGENT, status=AgentStatus.PAUSED, pause_reasons=frozenset({"loss"}), resume_at=LATER,
        last_error="drift", last_error_at=LATER,
    )  # fmt: skip
    async with served(api.app) as url:
        said = await terminal.types("status", url=url)
    assert "current cycle  -" in said.out
    assert "paused by      loss, until 2020-12-15 17:00:01Z" in said.out
    assert "last error     2020-12-15 17:00:01Z drift" in said.out


@pytest.mark.parametrize(
    ("tokens", "path"),
    [
        (["status"], "/agent/status"),
        (["cycles", "ls"], "/cycles"),
        (["cycles", "show", str(CYCLE_ID)], f"/cycles/{CYCLE_ID}"),
    ],
)
async def test_json_is_the_answer_of_the_api_and_nothing_else(
    api: Api, terminal: Terminal, tokens: Sequence[str], path: str
) -> None:
    async with served(api.app) as url:
        said = await terminal.types(*tokens, "-o", "json", url=url)
    answer = await api.client.get(f"/api/v1{path}")
    assert (said.code, said.err) == (0, "")
    assert said.out == answer.text + "\n"


async def test_the_commands_send_what_they_were_given(api: Api, terminal: Terminal) -> None:
    actor = ACTOR
    async with served(api.app) as url:
        said = [
            await terminal.types("start", "--strategies", "a, b", "--mode", "aggressive", url=url),
            await terminal.types("pause", "--duration", "90", "--reason", "noon", url=url),
            await terminal.types("resume", "--reason", "fed", url=url),
            await terminal.types("stop", "--reason", "why", "--cancel-open-orders", url=url),
            await terminal.types("start", url=url),
            await terminal.types("stop", url=url),
        ]
    assert [one.code for one in said] == [0] * 6
    assert [one.err for one in said] == [""] * 6
    assert api.operations.calls == [
        ("start", {"strategies": ["a", "b"], "mode": Mode.AGGRESSIVE, "actor": actor}),
        ("pause", {"duration": timedelta(minutes=90), "reason": "noon", "actor": actor}),
        ("resume", {"reason": "fed", "actor": actor}),
        ("stop", {"reason": "why", "cancel_open_orders": True, "actor": actor}),
        ("start", {"strategies": None, "mode": None, "actor": actor}),
        ("stop", {"reason": "", "cancel_open_orders": False, "actor": actor}),
    ]
    assert said[0].out.startswith("started 2020-12-15 17:00:00Z, 1 active strategy, agent ")
    assert said[1].out.startswith("paused until 2020-12-15 18:30:00Z")
    assert said[2].out == "running since 2020-12-15 17:00:01Z\n"
    assert said[3].out.splitlines() == [
        "stopped 2020-12-15 17:00:01Z, 2 open positions, 1 pending orders",
        "in flight: buy ACME, order intent, saga running, "
        f"`tradesaga sagas show {begun().saga.id}`",
    ]


async def test_cycles_as_a_table(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("cycles", "ls", "--limit", "7", url=url)
        await terminal.types("cycles", "ls", "--status", "failed", url=url)
    assert [line.split()[-1] for line in said.out.splitlines()] == [
        "ID", str(RUNNING_CYCLE_ID), str(CYCLE_ID),
    ]  # fmt: skip
    assert "1.5 s" in said.out
    assert [arguments for _, arguments in api.operations.calls] == [
        {"limit": 8, "status": None, "after": None},
        {"limit": 21, "status": CycleStatus.FAILED, "after": None},
    ]


async def test_a_cycle_with_all_that_belongs_to_it(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("cycles", "show", str(CYCLE_ID), url=url)
    assert "status   completed (partial), 100 %" in said.out
    assert "error    sma-spy: no quote" in said.out
    assert "exposure_max: 10 % allowed" in said.out
    assert "ts-abc" in said.out
    assert "17:00:00.000  info  step done" in said.out


@pytest.mark.parametrize(
    ("tokens", "code", "told"),
    [
        (
            ["cycles", "show", "01766713-2a80-7000-8000-0000000000ff"],
            ExitCode.NOT_FOUND,
            "no cycle",
        ),
        (["cycles", "show", "../agent/status"], ExitCode.FAILED, "There is nothing at this path"),
        (["cycles", "show", "seven"], ExitCode.USAGE, 'cycleId is "seven"'),
        (["start", "--strategies", ","], ExitCode.USAGE, 'strategies is ["", ""]'),
        (["pause", "--duration", "600000"], ExitCode.USAGE, "at most 525600"),
    ],
)
async def test_problems_go_to_stderr_with_their_remedy(
    api: Api, terminal: Terminal, tokens: Sequence[str], code: ExitCode, told: str
) -> None:
    async with served(api.app) as url:
        said = await terminal.types(*tokens, "-o", "json", url=url)
    assert (said.code, said.out) == (code, "")
    assert told in said.err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (Unavailable("the database is away"), ExitCode.UNREACHABLE, "the database is away"),
        (Invalid(["strategy a is unknown"]), ExitCode.USAGE, "strategy a is unknown"),
        (RuntimeError("secret"), ExitCode.FAILED, "trace id 0176"),
    ],
)
async def test_errors_of_the_server(
    api: Api, terminal: Terminal, error: Exception, code: ExitCode, told: str
) -> None:
    api.operations.error = error
    with structlog.testing.capture_logs():
        async with served(api.app) as url:
            said = await terminal.types("start", url=url)
    assert (said.code, said.out) == (code, "")
    assert told in said.err
    assert "secret" not in said.err


@pytest.mark.parametrize("command", ["pause", "resume"])
async def test_the_wrong_state_says_what_is_allowed(
    api: Api, terminal: Terminal, command: str
) -> None:
    api.operations.agent = replace(AGENT, status=AgentStatus.STOPPED)
    async with served(api.app) as url:
        said = await terminal.types(command, url=url)
    assert said.code == ExitCode.WRONG_STATE
    assert "It is stopped; allowed now: start, stop" in said.err


async def test_nobody_there(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = await terminal.types("status", url=f"http://127.0.0.1:{port}")
    assert (said.code, said.out) == (ExitCode.UNREACHABLE, "")
    assert f"nothing answers at http://127.0.0.1:{port}" in said.err
    assert "tradesaga up" in said.err


async def test_somebody_who_does_not_answer(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tradesaga.cli import client

    monkeypatch.setattr(client.call, "__kwdefaults__", {**_defaults(client), "time_max": 0.2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = await terminal.types("status", url=url)
    assert (said.code, said.out) == (ExitCode.UNREACHABLE, "")
    assert "within 0.2 seconds" in said.err
    assert "not known" in said.err


async def test_somebody_else(terminal: Terminal) -> None:
    @get("/api/v1/agent/status", sync_to_thread=False)
    def other() -> str:
        return "hello"

    app = Litestar([other], logging_config=None, openapi_config=None)
    async with served(app) as url:
        said = await terminal.types("status", url=url)
    assert (said.code, said.out) == (ExitCode.FAILED, "")
    assert "is not Tradesaga" in said.err


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3005", "nats://127.0.0.1", "http://", "http://[::1", "http://a:b"]
)
async def test_an_address_that_is_none(terminal: Terminal, url: str) -> None:
    said = await terminal.types("status", url=url)
    assert (said.code, said.out) == (ExitCode.USAGE, "")
    assert "http://HOST:PORT" in said.err


@pytest.mark.parametrize(
    "tokens",
    [
        ["pause", "--duration", "0"],
        ["pause", "--duration", "soon"],
        ["start", "--mode", "wild"],
        ["cycles", "ls", "--limit", "0"],
        ["cycles", "ls", "--limit", "1001"],
        ["cycles", "ls", "--status", "started"],
        ["cycles", "show"],
        ["status", "--nonsense"],
        ["status", "-o", "xml"],
    ],
)
async def test_usage_is_checked_before_anything_is_sent(
    terminal: Terminal, tokens: Sequence[str]
) -> None:
    said = await terminal.types(*tokens, url="http://127.0.0.1:1")
    assert said.code == ExitCode.USAGE
    assert said.out == ""


async def test_the_address_can_come_from_the_environment(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(api.app) as url:
        monkeypatch.setenv("TRADESAGA_URL", url)
        code = await asyncio.to_thread(run, ["status"])
    assert code == ExitCode.OK
    assert "running" in capsys.readouterr().out


def _defaults(client: object) -> dict[str, object]:
    return dict(client.call.__kwdefaults__)  # type: ignore[attr-defined]  # the module
