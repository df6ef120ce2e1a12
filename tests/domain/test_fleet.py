"""Which of several nodes may lead: one identity at a time, and an upgrade goes node by node."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import START
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.fleet import Node, hindrance, in_force, leader_of
from tradesaga.domain.ids import DEFAULT_AGENT

OLD, NEW = Identity(code="old", configuration="c"), Identity(code="new", configuration="c")


def node(name: str, identity: Identity = OLD, *, age: int = 0, leads: bool = False) -> Node:
    return Node(
        id=name,
        url="",
        identity=identity,
        started_at=START - timedelta(seconds=age),
        leads=(DEFAULT_AGENT,) if leads else (),
    )


@pytest.mark.parametrize(
    ("nodes", "lawful"),
    [
        ([], None),
        ([node("a")], OLD),
        ([node("a", OLD, leads=True), node("b", NEW, age=9)], OLD),  # who leads decides
        ([node("a", OLD), node("b", NEW, age=9)], NEW),  # else who was there first
        ([node("a", OLD), node("b", NEW)], OLD),  # started at once: any rule, the same for all
    ],
)
def test_the_identity_in_force(nodes: list[Node], lawful: Identity | None) -> None:
    assert in_force(nodes) == lawful
    assert in_force(nodes[::-1]) == lawful, "in whatever order they are read"


def test_a_rolling_upgrade() -> None:
    a, b = node("a", age=9, leads=True), node("b", age=8)
    assert not hindrance(OLD, [a, b])
    b = node("b", NEW, age=0)  # upgraded first: it stands by
    assert "code of this node differ" in hindrance(NEW, [a, b])
    assert not hindrance(NEW, [b]), "the last of the old has gone: it takes over"
    a, b = node("a", NEW, age=0), node("b", NEW, age=5, leads=True)
    assert not hindrance(NEW, [a, b])
    assert hindrance(OLD, [a, b]), "an old one that comes back does not trade beside them"


def test_who_leads() -> None:
    a, b = node("a"), node("b", leads=True)
    assert leader_of(DEFAULT_AGENT, [a, b]) is b
    assert leader_of(DEFAULT_AGENT, [a]) is None


NODES = st.lists(
    st.builds(node, st.uuids().map(str), st.sampled_from([OLD, NEW]), age=st.integers(0, 3)),
    min_size=1,
)


@given(NODES)
def test_somebody_may_always_lead_and_never_both_identities(nodes: list[Node]) -> None:
    may = {n.identity for n in nodes if not hindrance(n.identity, nodes)}
    assert len(may) == 1
