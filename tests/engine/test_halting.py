"""All agents of a node halted by one call, with the database away too; each re-armed by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.domain.trades import START
from tests.engine.place import PATIENCE, Place
from tests.engine.test_kill_switch import armed, open_entries
from tradesaga.domain.account import Account
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung
from tradesaga.engine.assembly import Parts, assemble
from tradesaga.engine.halting import BEGINNING_SECONDS, Halting
from tradesaga.testing.clock import VirtualClock

IDS = [AgentId(UUID(int=0x4A17 + number)) for number in range(3)]
ACCOUNTS = [
    Account(
        id=agent_id,
        agent_id=DEFAULT_AGENT,
        name=f"a{number}",
        trading_engine=f"http://x/{number}",
        created_at=datetime(2020, 12, 15, 17, tzinfo=UTC),
        created_by="ann",
    )
    for number, agent_id in enumerate(IDS)
]
FLEET: Any = SimpleNamespace(
    own_id="a",
    nodes=[SimpleNamespace(id=name, url=url) for name, url in (("a", "x"), ("b", "y"), ("c", ""))],
)


class Node:
    """Two agents that are driven here; the third is known and driven nowhere."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.parts: list[Parts] = []
        self.places = [Place(clock=VirtualClock(START)) for _ in IDS]
        self.halting = Halting(
            driven=lambda: {key: one.kill for key, one in zip(IDS, self.parts, strict=False)},
            known=lambda: ACCOUNTS,
            fleet=FLEET,
            monotonic=lambda: self.seconds,
        )


@asynccontextmanager
async def two_agents() -> AsyncIterator[Node]:
    node = Node()
    async with AsyncExitStack() as stack:
        for place in node.places[:2]:
            node.parts.append(await stack.enter_async_context(armed(place)))
        yield node


def rungs(parts: Sequence[Parts]) -> list[Rung]:
    return [one.ladder.rung() for one in parts]


async def test_all_that_are_driven_here_are_halted_and_their_entries_taken_in() -> None:
    async with two_agents() as node:
        trades = [
            trade
            for place, parts in zip(node.places, node.parts, strict=False)
            for trade in await open_entries(place, parts, 2)
        ]
        halted = await node.halting.halt(reason="odd", who="ann")
        assert [(one.agent.name, one.killed.orders) for one in halted] == [("a0", 2), ("a1", 2)]
        assert rungs(node.parts) == [Rung.HALTED, Rung.HALTED]
        for parts in node.parts:
            assert (await parts.kill.ladder()).halted == [EVERYWHERE]
        assert [one.name for one in node.halting.unheard(IDS[:2])] == ["a2"]
        assert node.halting.others() == ["y"], "one that does not answer yet is not asked"
        for trade in trades:
            await trade.ended.wait()


async def test_each_is_re_armed_by_itself() -> None:
    async with two_agents() as node:
        await node.halting.halt(reason="odd", who="ann")
        await node.parts[0].kill.rearm(EVERYWHERE, operator="bob", reason="looked at it")
        assert rungs(node.parts) == [Rung.NORMAL, Rung.HALTED]


async def begun(place: Place, halting: Halting) -> tuple[Rung, bool, str]:
    """An agent begins: its rung after recovery, whether its gate is closed, and who is named."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        parts = assemble(place.world(), place.settings, place.policy, group)
        halting.begun(parts.kill)
        is_closed = bool((await parts.kill.ladder()).halted)
        await parts.leadership.take()
        await parts.recovery.run()
        reason = parts.ladder.ladder.standing(Cause.KILL_SWITCH, EVERYWHERE)
        return parts.ladder.rung(), is_closed, "" if reason is None else reason.who


async def test_one_that_is_taken_up_a_moment_later_begins_halted() -> None:
    node = Node()
    assert await begun(node.places[0], node.halting) == (Rung.NORMAL, False, "")
    assert await node.halting.halt(reason="", who="ann") == []
    node.seconds = BEGINNING_SECONDS - 1
    assert await begun(node.places[1], node.halting) == (Rung.HALTED, True, "ann")
    node.seconds = BEGINNING_SECONDS
    assert await begun(node.places[2], node.halting) == (Rung.NORMAL, False, "")


async def test_the_database_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the kill switch of one: nothing is sent, and nobody says that it is stored."""
    async with two_agents() as node:
        back = asyncio.Event()
        for parts in node.parts:
            fact = parts.book._scribe.fact

            async def never(*arguments: Any, fact: Any = fact) -> None:
                await back.wait()
                await fact(*arguments)

            monkeypatch.setattr(parts.book._scribe, "fact", never)
        async with asyncio.timeout(3):
            halted = await node.halting.halt(reason="odd", who="ann")
        assert [one.killed.recorded for one in halted] == [False, False]
        for parts in node.parts:
            assert (await parts.kill.ladder()).halted == [EVERYWHERE]
        back.set()
        async with asyncio.timeout(5):
            for parts in node.parts:
                await parts.ladder.settled.wait()
