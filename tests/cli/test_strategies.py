"""The commands on strategies against a real server on loopback."""

from __future__ import annotations

import pytest

from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode

CREATE = (
    "strategies", "create", "slow", "--type", "sma", "--symbols", "SPY,IBM",
    "--parameter", "fast=5", "--parameter", "gap=0.25", "--parameter", "on=true",
)  # fmt: skip


async def test_a_strategy_lives_and_goes(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types(*CREATE, url=url)
        assert (said.code, said.err) == (0, "")
        assert said.out.splitlines()[-1] == "parameters  fast 5, gap 0.25, on True"
        assert (await terminal.types("strategies", "activate", "slow", url=url)).out == (
            "slow is active\n"
        )
        refused = await terminal.types("strategies", "delete", "slow", url=url)
        assert refused.code == ExitCode.WRONG_STATE
        stopped = await terminal.types(
            "strategies", "deactivate", "slow", "--close-positions", url=url
        )
        assert stopped.out.startswith("slow is stopped\nstopping: closing its positions")
        changed = await terminal.types(
            "strategies", "update", "slow", "--symbols", "SPY", "--priority", "7", url=url
        )
        assert " SPY " in changed.out
        assert (await terminal.types("strategies", "delete", "slow", url=url)).code == 0
        gone = await terminal.types("strategies", "show", "slow", url=url)
        assert gone.code == ExitCode.NOT_FOUND


async def test_the_list_has_all(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("strategies", "ls", url=url)
    header, *rows = said.out.splitlines()
    assert header.split()[:4] == ["STRATEGY", "STATUS", "MODE", "TYPE"]
    assert len(rows) == 2
    assert any(" active " in row for row in rows)
    assert any(" stopped " in row for row in rows)


@pytest.mark.parametrize("pair", ["fast", "=5", ""])
async def test_what_is_no_parameter_is_refused(api: Api, terminal: Terminal, pair: str) -> None:
    async with served(api.app) as url:
        said = await terminal.types("strategies", "update", "slow", "--parameter", pair, url=url)
    assert said.code == ExitCode.USAGE
    assert "NAME=VALUE" in said.err
