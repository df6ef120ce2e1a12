"""`tradesaga audit ls` and `tradesaga decisions ls` as people use them."""

from __future__ import annotations

import json

from tests.api.fake_accounts import OTHER_ID
from tests.api.fake_history import DECISIONS, NOON
from tests.api.fakes import Api
from tests.api.serving import served
from tests.cli.conftest import Terminal
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.ports.history import DecisionQuery, LogQuery


async def test_the_log_is_listed_by_pages(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("audit", "ls", "--limit", "2", url=url)
        cursor = said.out.split()[-1]
        rest = await terminal.types("audit", "ls", "--cursor", cursor, url=url)
    head, first, _, more = said.out.splitlines()
    assert head.split() == ["NUMBER", "AT", "ACTION", "SUBJECT", "ACTOR"]
    assert first.split()[0] == "7"
    assert first.endswith("api:ann#t1@127.0.0.1")
    assert more == f"more: --cursor {cursor}"
    assert [line.split()[0] for line in rest.out.splitlines()[1:]] == ["2"]


async def test_the_log_is_narrowed(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types(
            "audit", "ls", "--from", "2020-12-15T17:00:00Z", "--actor", "engine",
            "--action", "cycle.", url=url,
        )  # fmt: skip
        none = await terminal.types("audit", "ls", "--actor", "nobody", url=url)
        wrong = await terminal.types("audit", "ls", "--to", "noon", url=url)
    assert said.out.splitlines()[1].split()[0] == "6"
    asked = LogQuery(limit=21, since=NOON, actor="engine", kind="cycle.")
    assert api.history.calls[0] == asked
    assert none.out == "no rows\n"
    assert wrong.code == ExitCode.USAGE
    assert "to is" in wrong.err


async def test_decisions_are_listed_and_narrowed(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("decisions", "ls", "--outcome", "allowed", url=url)
        whole = await terminal.types("decisions", "ls", "-o", "json", url=url)
        none = await terminal.types("decisions", "ls", "--symbol", "NONE", url=url)
    assert [line.split()[-1] for line in said.out.splitlines()[1:]] == [
        str(one.id) for one in DECISIONS
    ]
    assert len(json.loads(whole.out)["decisions"]) == len(DECISIONS)
    assert none.out == "no decisions\n"
    asked = api.history.calls[0]
    assert isinstance(asked, DecisionQuery)
    assert asked.verdict == "allowed"


async def test_they_are_those_of_the_agent_that_is_named(api: Api, terminal: Terminal) -> None:
    async with served(api.app) as url:
        said = await terminal.types("decisions", "ls", "--agent", str(OTHER_ID), url=url)
    assert said.code != ExitCode.OK, "no other agent is served here"
    assert api.history.calls == []
