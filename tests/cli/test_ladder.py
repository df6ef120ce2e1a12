"""The commands of the ladder, and the mark that is left when nobody answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.fake_access import ACTOR
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.ladder import Scope, ScopeKind

NOBODY = "http://127.0.0.1:9"


async def test_halt_look_and_re_arm(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("kill", "--reason", "odd", "--symbol", "SPY", url=url)
        assert said.code == 0
        assert "halted symbol SPY" in said.out
        assert "NO VERDICT about ts-a" in said.out
        said = await terminal.types("ladder", url=url)
        assert "HALTED for symbol SPY by KILL_SWITCH" in said.out
        said = await terminal.types(
            *("rearm", "--symbol", "SPY", "--operator", "ann", "--reason", "well"), url=url
        )
        assert said.code == ExitCode.USAGE
        assert "confirm" in said.err
        said = await terminal.types(
            *("rearm", "--symbol", "SPY", "--operator", "ann", "--reason", "well", "--confirm"),
            url=url,
        )
        assert "re-armed: KILL_SWITCH" in said.out
        said = await terminal.types(
            "acknowledge", "drift", "--symbol", "SPY", "--operator", "ann", url=url
        )
        assert f"acknowledged by {ACTOR} ann" in said.out
    [kill, rearm, _] = api.ladder.calls
    assert kill[1]["scope"] == rearm[1]["scope"] == Scope(ScopeKind.SYMBOL, "SPY")


@pytest.mark.parametrize(
    "tokens", [("rearm", "--reason", "x"), ("rearm", "--operator", "ann"), ("acknowledge",)]
)
async def test_nobody_re_arms_without_a_name_and_a_reason(
    terminal: Terminal, tokens: tuple[str, ...]
) -> None:
    assert (await terminal.types(*tokens, url=NOBODY)).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ((), "HALT"),
        (("--symbol", "BRK/B"), "HALT.symbol.BRK%2FB"),
        (("--strategy", "sma"), "HALT"),  # nobody knows its id: rather everything
        (
            ("--strategy", "0197f3a0-0000-7000-8000-000000000001"),
            "HALT.strategy.0197f3a0-0000-7000-8000-000000000001",
        ),
    ],
)
async def test_without_an_answer_the_mark_is_left(
    terminal: Terminal, tmp_path: Path, flags: tuple[str, ...], name: str
) -> None:
    said = await terminal.types("kill", *flags, "--state-dir", str(tmp_path), url=NOBODY)
    assert said.code == 0
    assert (tmp_path / name).exists()
    assert name in said.out


async def test_all_agents_are_halted_by_one_command(
    api: Api, terminal: Terminal, tmp_path: Path
) -> None:
    async with served(api.app) as url:
        said = await terminal.types("kill", "--all-agents", "--reason", "odd", url=url)
        assert said.code == 0
        assert "agent second" in said.out
        assert "2 agents are halted" in said.out
        api.halting.here, api.halting.urls = (), ["http://gone"]
        said = await terminal.types("kill", "--all-agents", url=url)
        assert said.code == ExitCode.FAILED
        assert "NO ANSWER of the node at http://gone" in said.out
        assert "NOBODY ANSWERED for agent default" in said.out
        said = await terminal.types("kill", "--all-agents", "--symbol", "SPY", url=url)
        assert said.code == ExitCode.USAGE
    flags = ("--all-agents", "--state-dir", str(tmp_path))
    said = await terminal.types("kill", *flags, url=NOBODY)
    assert (said.code, (tmp_path / "HALT").exists()) == (0, True)


async def test_no_answer_and_no_place_for_a_mark_is_a_failure(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    said = await terminal.types("kill", "--state-dir", str(tmp_path / "file"), url=NOBODY)
    assert said.code == ExitCode.FAILED
    assert "NOT HALTED" in said.err


async def test_reduce_only_leaves_no_mark(terminal: Terminal, tmp_path: Path) -> None:
    said = await terminal.types("kill", "--reduce-only", "--state-dir", str(tmp_path), url=NOBODY)
    assert said.code == ExitCode.UNREACHABLE
    assert not (tmp_path / "HALT").exists()
