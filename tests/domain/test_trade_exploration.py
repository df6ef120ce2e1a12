"""Every sequence of moves up to a depth against every law, and mutants that the laws must catch.

`python -m sim.explore --depth 12` goes deeper.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim import explore
from tests.domain.trade_laws import LawBroken, explored
from tests.domain.trade_mutants import MUTANTS, Mutant
from tests.domain.trades import QUICK
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
@pytest.mark.parametrize(
    "policy", [QUICK, replace(QUICK, dedupes=False)], ids=["dedupes", "forgetful"]
)
def test_no_sequence_breaks_a_law(policy: Policy, prelude: str) -> None:
    world = played(PRELUDES[prelude], policy)
    done = explored(policy, world, DEPTH if not PRELUDES[prelude] else DEPTH - 1)
    assert done.worlds > 50, "it has explored something"


def test_the_exploration_reaches_every_kind_of_state() -> None:
    done = explored(QUICK, first_world(), DEPTH)
    reached = {status for status, _ in done.statuses}
    assert reached == set(SagaStatus) - {SagaStatus.PENDING}
    assert {status for _, status in done.statuses} == set(OrderStatus)
    assert {"bust", "late fill", "crash", "stop", "old event once more"} < done.names


def test_a_venue_that_is_slower_than_it_promised_breaks_no_law() -> None:
    done = explored(replace(QUICK, dedupes=False), first_world(slow=True), DEPTH)
    absent = (SagaStatus.COMPENSATED, OrderStatus.NOT_PLACED)
    assert absent in done.statuses


def test_the_command_says_what_it_visited(capsys: pytest.CaptureFixture[str]) -> None:
    assert explore.main(["--depth", "2", "--venue", "slow"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["slow", "2"]


def test_the_command_names_the_moves_to_a_broken_law(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTANTS[0].plant(monkeypatch)
    assert explore.main(["--depth", "6"]) == 1
    assert " > " in capsys.readouterr().out


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_laws_catch(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.plant(monkeypatch)
    with pytest.raises(LawBroken) as caught:
        explored(mutant.policy, first_world(), DEPTH + 1)
    assert caught.value.law in mutant.laws, str(caught.value)
