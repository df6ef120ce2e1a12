"""The agents of a node: begun, handed over, begun again, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from tradesaga.domain.account import Account
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Fenced
from tradesaga.domain.fleet import Node
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.spreading import node_for
from tradesaga.engine import hosting as module
from tradesaga.engine.agent_metrics import AgentMetrics
from tradesaga.engine.fleet import Fleet
from tradesaga.engine.hosting import (
    BEGINNING_MAX,
    HANDED_OVER_MAX,
    UNREADY_MAX,
    Hosted,
    Hosting,
)

NOON = datetime(2020, 12, 15, 17, tzinfo=UTC)
WHO, OTHERS = Identity(code="new"), Identity(code="old")
ACCOUNTS = [
    Account(
        id=AgentId(UUID(int=number)),
        agent_id=DEFAULT_AGENT,
        name=f"a{number}",
        trading_engine=f"http://x/{number}",
        created_at=NOON,
        created_by="ann",
    )
    for number in range(100)
]


def node(name: str, *leads: AgentId, who: Identity = WHO, url: str = "http://x") -> Node:
    return Node(id=name, url=url, identity=who, started_at=NOON, leads=leads)


class Register:
    """Implements `ports.nodes.Nodes`: what is there is what the test says."""

    own_id = "own"

    def __init__(self) -> None:
        self.nodes: Sequence[Node] = (node("own"),)

    async def announce(self) -> Sequence[Node]:
        return self.nodes

    def is_dead(self, node_id: str) -> bool:
        return False

    async def leave(self) -> None:
        pass


class Town:
    """A hosting whose agents are ready at once, or when the test says."""

    def __init__(self) -> None:
        self.register = Register()
        self.fleet = Fleet(self.register, WHO)
        self.accounts = ACCOUNTS
        self.at_once = True
        self.begun: list[AgentId] = []
        self.ahead: dict[AgentId, None] = {}
        self.taken: set[AgentId] = set()
        self.fail: Exception | None = None
        self.seconds = 0.0
        self.idle = True
        self.hold = asyncio.Event()
        self.hold.set()
        self.hosting = Hosting(
            driven=lambda: self.accounts,
            fleet=self.fleet,
            drive=self.drive,
            ahead=self,
            monotonic=lambda: self.seconds,
        )

    async def hold_ahead(
        self, wanted: Collection[AgentId], *, keeping: Collection[AgentId]
    ) -> Collection[AgentId]:
        """Implements `ports.lease.LeasesAhead`."""
        kept = [key for key in self.ahead if key in keeping and key not in self.here]
        self.ahead = dict.fromkeys([*kept, *(set(wanted) - self.taken)])
        return self.ahead.keys()

    async def drive(self, hosted: Hosted) -> None:
        self.begun.append(hosted.account.id)
        if self.fail is not None:
            raise self.fail
        recovered, ready = asyncio.Event(), asyncio.Event()
        if self.at_once:
            recovered.set()
            ready.set()
        control: Any = SimpleNamespace(recovered=recovered, ready=ready, is_idle=lambda: self.idle)
        hosted.control = control
        await hosted.stop.wait()
        await self.hold.wait()

    async def step(self, group: asyncio.TaskGroup, times: int = 1) -> None:
        await self.fleet.look()
        for _ in range(times):
            await self.hosting.adjust(group)
            for _ in range(5):
                await asyncio.sleep(0)

    @property
    def here(self) -> set[AgentId]:
        return {hosted.account.id for hosted in self.hosting.all()}


def make_ready(town: Town) -> None:
    for hosted in town.hosting.all():
        control = cast("Any", hosted.control)
        control.recovered.set()
        control.ready.set()


@asynccontextmanager
async def driving(town: Town) -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as group:
        yield group
        town.hold.set()
        for hosted in town.hosting.all():
            hosted.stop.set()


def falls_to(*nodes: str) -> set[AgentId]:
    return {account.id for account in ACCOUNTS if node_for(account.id, nodes) == "own"}


async def test_a_node_takes_all_when_it_is_alone_and_its_share_when_it_is_not() -> None:
    town = Town()
    async with driving(town) as group:
        await town.step(group, 10)
        assert town.here == {account.id for account in ACCOUNTS}
        town.register.nodes = (node("own", *town.here), node("b"))
        await town.step(group, 30)
        assert town.here == falls_to("own", "b")
        assert 0 < len(town.here) < len(ACCOUNTS)


async def test_some_are_begun_and_some_are_handed_over_at_a_time() -> None:
    town = Town()
    town.at_once = False
    async with driving(town) as group:
        await town.step(group, 5)
        assert len(town.here) == BEGINNING_MAX, "the others wait until these are recovered"
        while len(town.here) < UNREADY_MAX:
            before = len(town.here)
            for hosted in town.hosting.all():
                cast("Any", hosted.control).recovered.set()
            await town.step(group, 3)
            assert len(town.here) == min(before + BEGINNING_MAX, UNREADY_MAX)
        for hosted in town.hosting.all():
            cast("Any", hosted.control).recovered.set()
        await town.step(group, 3)
        assert len(town.here) == UNREADY_MAX, "the others wait until these are ready"
        make_ready(town)
        town.at_once = True
        await town.step(group, 10)
        assert len(town.here) == len(ACCOUNTS)
        town.hold.clear()
        town.register.nodes = (node("own", *town.here), node("b"))
        await town.step(group, 5)
        leaving = [hosted for hosted in town.hosting.all() if hosted.stop.is_set()]
        assert len(leaving) == HANDED_OVER_MAX


async def test_they_begin_in_the_order_in_which_their_leases_were_taken() -> None:
    town, later = Town(), ACCOUNTS[0].id
    town.at_once = False
    town.taken = {later}
    async with driving(town) as group:
        await town.step(group)
        assert len(town.begun) == BEGINNING_MAX
        town.taken = set()
        await town.step(group)
        waiting = [*town.ahead]
        assert waiting[-1] == later, "it came last"
        make_ready(town)
        town.begun.clear()
        await town.step(group)
        assert town.begun == waiting[:BEGINNING_MAX]


async def test_one_that_is_being_recovered_is_handed_over_when_it_has_been() -> None:
    town = Town()
    town.accounts, town.at_once = ACCOUNTS[:20], False
    async with driving(town) as group:
        await town.step(group)
        begun = [*town.hosting.all()]
        town.register.nodes = (node("own", *town.here), node("b"))
        await town.step(group, 5)
        assert not any(hosted.stop.is_set() for hosted in begun)
        make_ready(town)
        await town.step(group, 5)
        assert town.here == falls_to("own", "b") & {account.id for account in ACCOUNTS[:20]}


async def test_what_another_living_node_holds_is_left_to_it_until_it_lets_go() -> None:
    town = Town()
    mine = falls_to("own", "b")
    async with driving(town) as group:
        held = tuple(account.id for account in ACCOUNTS)
        town.register.nodes = (node("own"), node("b", *held))
        await town.step(group, 3)
        assert town.here == set()
        town.register.nodes = (node("own"), node("b", *(set(held) - mine)))
        await town.step(group, 5)
        assert town.here == mine
        town.register.nodes = (node("own", *mine),)  # b is gone
        await town.step(group, 9)
        assert town.here == set(held)


async def test_a_node_of_another_identity_takes_nothing_and_gets_nothing() -> None:
    town = Town()
    async with driving(town) as group:
        town.register.nodes = (node("b", DEFAULT_AGENT, who=OTHERS), node("own"))
        await town.step(group, 5)
        assert town.here == set()
        town.register.nodes = (node("own", DEFAULT_AGENT), node("b", who=OTHERS))
        await town.step(group, 9)
        assert len(town.here) == len(ACCOUNTS)


async def test_a_node_whose_api_does_not_answer_yet_gets_nothing() -> None:
    town = Town()
    async with driving(town) as group:
        await town.step(group, 9)
        town.register.nodes = (node("own", *town.here), node("b", url=""))
        await town.step(group, 9)
        assert len(town.here) == len(ACCOUNTS)


async def test_one_that_was_retired_is_driven_until_nothing_of_it_is_open() -> None:
    town = Town()
    async with driving(town) as group:
        await town.step(group, 9)
        town.accounts, town.idle = ACCOUNTS[1:], False
        await town.step(group, 3)
        assert ACCOUNTS[0].id in town.here
        town.idle = True
        await town.step(group, 3)
        assert ACCOUNTS[0].id not in town.here


async def test_one_that_fails_is_begun_again_after_a_pause_and_the_others_live_on() -> None:
    town = Town()
    town.accounts = ACCOUNTS[:2]
    async with driving(town) as group:
        await town.step(group)
        for fail in (Fenced("taken"), ExceptionGroup("parts", [RuntimeError("defect")])):
            town.fail = fail
            town.accounts = ACCOUNTS[:3]
            await town.step(group, 5)
            assert town.begun.count(ACCOUNTS[2].id) == 1, "not again at once"
            assert town.here == {account.id for account in ACCOUNTS[:2]}
            town.begun.clear()
            town.seconds += module.PAUSE_SECONDS_MAX
        town.fail = None
        await town.step(group)
        assert ACCOUNTS[2].id in town.here


async def test_the_end_hands_over_all() -> None:
    town, stop = Town(), asyncio.Event()
    await town.fleet.look()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(town.hosting.run(stop))
        while len(town.here) < len(ACCOUNTS):
            await asyncio.sleep(0)
            await town.hosting.adjust(group)
        stop.set()
        await running
    assert town.here == set()


async def test_a_node_shows_sums_and_the_worst_of_its_agents() -> None:
    town = Town()
    town.accounts = ACCOUNTS[:3]
    async with driving(town) as group:
        await town.step(group, 3)
        for number, hosted in enumerate(town.hosting.all()):
            hosted.metrics = AgentMetrics(cast("Any", None))
            hosted.metrics.ladder_rung(number)
            hosted.metrics.invariants_broken(1)
            cast("Any", hosted.control).vitals = lambda: dict.fromkeys(module.SUMMED, lambda: 2)
        own = {name: lambda: 1.0 for name in (*module.SUMMED, "leading")}
        shown = {name: read() for name, read in town.hosting.vitals(own).items()}
    assert {shown[name] for name in module.SUMMED} == {7}
    assert (shown["leading"], shown["agents_driven"], shown["agents_ready"]) == (1, 3, 3)
    assert (shown["agents_worst_rung"], shown["agents_invariants_broken"]) == (2, 3)
