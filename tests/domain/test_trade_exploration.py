"""Every sequence of moves up to a depth against every law, and mutants that the laws must catch."""

from __future__ import annotations

import pytest

from tests.domain.trade_laws import LawBroken, explored
from tests.domain.trade_mutants import MUTANTS, Mutant
from tests.domain.trades import FORGETFUL, POLICY
from tests.domain.venue_model import World, first_world, moves, taken
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Policy

DEPTH = 5
PRELUDES = {
    "from the intent": (),
    "a lost answer": ("submit, accepted", "the answer is lost"),
    "a lost order": ("submit, lost on the way", "the answer comes", "looked up, not found"),
    "a part filled, time up": (
        "submit, accepted",
        "the answer comes",
        "fill",
        "event",
        "time is up",
    ),
    "a cancel that is ignored": (
        "submit, accepted",
        "the answer comes",
        "stop",
        "cancel, ignored",
        "the answer comes",
    ),
    "a person is needed": ("submit, accepted", "the answer is lost", "looked up, ambiguous"),
}
"""What has happened before the exploration begins: it reaches this much deeper."""


def played(names: tuple[str, ...], policy: Policy) -> World:
    """The world after the named moves."""
    world = first_world()
    for name in names:
        move = next(move for move in moves(world, policy) if move.name == name)
        world, _ = taken(move, policy)
    return world


@pytest.mark.parametrize("prelude", PRELUDES)
@pytest.mark.parametrize("policy", [POLICY, FORGETFUL], ids=["dedupes", "forgetful"])
def test_no_sequence_breaks_a_law(policy: Policy, prelude: str) -> None:
    world = played(PRELUDES[prelude], policy)
    done = explored(policy, world, DEPTH if not PRELUDES[prelude] else DEPTH - 1)
    assert done.worlds > 50, "it has explored something"


def test_the_exploration_reaches_every_kind_of_state() -> None:
    done = explored(POLICY, first_world(), DEPTH)
    reached = {status for status, _ in done.statuses}
    assert reached == set(SagaStatus) - {SagaStatus.PENDING}
    assert {status for _, status in done.statuses} == set(OrderStatus)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_laws_catch(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.plant(monkeypatch)
    with pytest.raises(LawBroken) as caught:
        explored(mutant.policy, first_world(), DEPTH + 1)
    assert caught.value.law in mutant.laws, str(caught.value)
