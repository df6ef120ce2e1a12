"""Agents over nodes: all come to the same answer, and few agents move."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.fleet import Node
from tradesaga.domain.ids import AgentId
from tradesaga.domain.spreading import able, node_for, phase

AGENTS = [AgentId(UUID(int=number)) for number in range(1000)]
NEW, OLD = Identity(code="new"), Identity(code="old")
NOON = datetime(2020, 12, 15, 17, tzinfo=UTC)


def spread(*nodes: str) -> dict[AgentId, str]:
    return {agent: node_for(agent, nodes) for agent in AGENTS}


def test_every_node_gets_about_its_share_in_whatever_order_they_are_seen() -> None:
    found = spread("a", "b", "c")
    assert found == spread("c", "a", "b")
    assert all(270 < number < 400 for number in Counter(found.values()).values())


def test_who_joins_takes_from_all_and_nothing_else_moves() -> None:
    before, after = spread("a", "b", "c"), spread("a", "b", "c", "d")
    moved = [agent for agent in AGENTS if before[agent] != after[agent]]
    assert {after[agent] for agent in moved} == {"d"}
    assert {before[agent] for agent in moved} == {"a", "b", "c"}


def test_who_goes_leaves_to_all_and_nothing_else_moves() -> None:
    before, after = spread("a", "b", "c"), spread("a", "c")
    moved = [agent for agent in AGENTS if before[agent] != after[agent]]
    assert {before[agent] for agent in moved} == {"b"}
    assert {after[agent] for agent in moved} == {"a", "c"}


def test_without_nodes_nobody_has_it() -> None:
    assert node_for(AGENTS[0], []) == ""


def node(name: str, identity: Identity, *leads: AgentId) -> Node:
    return Node(id=name, url="http://x", identity=identity, started_at=NOON, leads=leads)


def test_only_nodes_of_the_identity_in_force_are_able() -> None:
    assert able([node("a", OLD, AGENTS[0]), node("b", NEW), node("c", OLD)]) == ("a", "c")
    assert able([node("a", OLD), node("b", NEW, AGENTS[0])]) == ("b",)
    assert able([]) == ()


def test_cycles_of_many_agents_are_spread_evenly_over_an_interval() -> None:
    tenths = Counter(int(phase(agent) * 10) for agent in AGENTS)
    assert set(tenths) == set(range(10))
    assert all(60 < number < 140 for number in tenths.values())
    assert phase(AGENTS[0]) == phase(AGENTS[0])
