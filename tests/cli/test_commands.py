"""The root of the command line: help, exit codes, `config` and `migrate`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tradesaga import __version__, cli
from tradesaga.cli import exit_codes, run
from tradesaga.cli.exit_codes import ExitCode, told
from tradesaga.domain import errors

SERVERS = {"DB_HOST": "db.test", "DB_PORT": "5432", "NATS_URL": "nats://bus.test:4222"}
HEAVY = ("litestar", "uvicorn", "asyncpg", "nats", "httpx2", "holidays", "tradesaga.config", "yaml")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)


def test_help_imports_nothing_that_a_command_needs() -> None:
    code = (
        "import sys, tradesaga.cli as cli\n"
        "assert cli.run(['--help']) == 0\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=15
    )
    for name in cli.COMMANDS:
        assert re.search(rf"^│ {name} ", done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_can_be_asked_for_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"tradesaga {name}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("tokens", [["nonsense"], ["up", "--bogus"], ["serve", "--port", "70000"]])
def test_wrong_usage_is_2(tokens: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tokens) == ExitCode.USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("servers")
def test_config_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "-o", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["orchestrator"]["database"]["host"] == "db.test"
    assert shown["origins"]["database.host"] == "environment DB_HOST"
    assert shown["origins"]["server.port"] == "default"


@pytest.mark.usefixtures("servers")
def test_config_show_as_text_masks_the_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    assert run(["config", "show"]) == 0
    said = capsys.readouterr().out
    assert "hunter2" not in said
    assert re.search(r"orchestrator\.database\.password +\*\*\* +environment DB_PASSWORD", said)


@pytest.mark.usefixtures("servers")
def test_config_validate_names_every_problem_on_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "o.yaml"
    file.write_text("orchestrator:\n  server:\n    port: many\n    hots: here\n")
    assert run(["config", "validate", "--config", str(file)]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("tradesaga: orchestrator.server.") for line in lines)
    assert run(["config", "validate"]) == 0


def test_migrate_up_then_status(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = urlsplit(database_dsn)
    place = parse_qs(parts.query)
    monkeypatch.setenv("DB_HOST", place["host"][0])
    monkeypatch.setenv("DB_PORT", place["port"][0])
    monkeypatch.setenv("NATS_URL", SERVERS["NATS_URL"])
    monkeypatch.setenv("ORCHESTRATOR__DATABASE__NAME", parts.path.strip("/"))
    monkeypatch.setenv("ORCHESTRATOR__DATABASE__SCHEMA", "beside")  # the usual one is there already
    assert run(["migrate", "status"]) == 0
    before = capsys.readouterr().out
    assert run(["migrate", "up"]) == 0
    applied = capsys.readouterr().out
    assert run(["migrate", "status"]) == 0
    after = capsys.readouterr().out
    assert before.count("pending") == len(before.splitlines()) > 0
    assert applied.startswith("applied 0001, 0002")
    assert "pending" not in after
    assert run(["migrate", "up"]) == 0
    assert capsys.readouterr().out == "the schema is up to date\n"
    assert run(["migrate", "roles", "--print"]) == 0
    assert "on all tables in schema beside to tradesaga_app" in capsys.readouterr().out
    monkeypatch.setenv("DB_USER", "tradesaga_app")
    assert run(["migrate", "status"]) == 0
    assert "user tradesaga_app lacks insert on beside.orders" in capsys.readouterr().out
    monkeypatch.delenv("DB_USER")
    assert run(["migrate", "roles"]) == 0
    assert capsys.readouterr().out == "made\n"
    assert run(["migrate", "roles"]) == 0
    assert capsys.readouterr().out == "the roles are as they should be\n"
    monkeypatch.setenv("DB_USER", "tradesaga_app")
    assert run(["migrate", "status"]) == 0
    assert "missing" not in capsys.readouterr().out


def test_an_unreachable_database_is_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DB_HOST", str(tmp_path))  # a directory without a server's socket
    monkeypatch.setenv("DB_PORT", "5432")
    monkeypatch.setenv("NATS_URL", SERVERS["NATS_URL"])
    assert run(["migrate", "status"]) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err.startswith("tradesaga: the database gave no answer")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Invalid(["one", "two"]), 2),
        (errors.NotFound("no such cycle"), 3),
        (errors.IllegalTransition("it is stopped"), 4),
        (errors.Unavailable("nobody there"), 5),
        (errors.DeadlineExceeded("too late"), 5),
        (errors.Rejected("already running"), 1),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("by zero"), 1),
    ],
)
def test_exit_codes_of_errors(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(error, with_traceback=False) == code
    err = capsys.readouterr().err
    assert all(line.startswith("tradesaga: ") for line in err.splitlines())
    assert "Traceback" not in err


def test_of_a_group_our_error_decides_and_each_cause_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    group = ExceptionGroup(
        "unhandled errors in a TaskGroup",
        [
            ValueError("an echo"),
            ExceptionGroup("inner", [errors.Unavailable("gone"), errors.Unavailable("gone")]),
        ],
    )
    assert told(group, with_traceback=False) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err.splitlines() == [
        "tradesaga: gone",
        "tradesaga: unexpected ValueError: an echo",
        f"tradesaga: {exit_codes.TRACEBACK_VARIABLE}=1 shows where it happened",
    ]


def test_a_traceback_is_shown_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in SERVERS.items():
        monkeypatch.setenv(name, value)
    missing = str(tmp_path / "none.yaml")
    assert run(["config", "show", "--config", missing]) == ExitCode.USAGE
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv(exit_codes.TRACEBACK_VARIABLE, "1")
    assert run(["config", "show", "--config", missing]) == ExitCode.USAGE
    assert "Traceback" in capsys.readouterr().err
