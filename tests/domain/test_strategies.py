"""A strategy's life: every transition, repeated without effect, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import START
from tests.engine.place import STRATEGY as PLAIN
from tradesaga.domain.errors import IllegalTransition, Invalid
from tradesaga.domain.strategies import (
    CLOSE_ATTEMPTS_MAX,
    Edit,
    Strategy,
    StrategyStatus,
    activated,
    check,
    close_failed,
    closed,
    deactivated,
    deleted,
    edited,
)

STRATEGY = replace(PLAIN, live_at=START)
LATER = START + timedelta(minutes=1)
STOPPED = deactivated(STRATEGY, LATER, close_positions=False)
CLOSING = deactivated(STRATEGY, LATER, close_positions=True)


def test_what_changes_nothing_is_the_same_value() -> None:
    assert activated(STRATEGY, LATER) is STRATEGY
    assert deactivated(STOPPED, LATER, close_positions=False) is STOPPED
    assert deactivated(CLOSING, LATER, close_positions=True) is CLOSING
    assert deactivated(CLOSING, LATER, close_positions=False) is CLOSING
    assert edited(STRATEGY, Edit(), LATER) is STRATEGY
    assert closed(STOPPED, LATER) is STOPPED


def test_every_change_has_a_version_and_a_time() -> None:
    for after in (STOPPED, CLOSING, edited(STRATEGY, Edit(priority=4), LATER)):
        assert (after.version, after.updated_at) == (STRATEGY.version + 1, LATER)


def test_closing_ends_flat_or_with_a_person() -> None:
    assert (CLOSING.status, CLOSING.closing_at) == (StrategyStatus.STOPPED, LATER)
    done = closed(close_failed(CLOSING, "x", LATER), LATER)
    assert (done.closing_at, done.detail) == (None, "")
    tried: Strategy = CLOSING
    for attempt in range(1, CLOSE_ATTEMPTS_MAX):
        tried = close_failed(tried, "no quote", LATER)
        assert (tried.close_attempts, tried.closing_at) == (attempt, LATER)
    given_up = close_failed(tried, "no quote", LATER)
    assert given_up.closing_at is None
    assert "no quote" in given_up.detail
    again = deactivated(given_up, LATER, close_positions=True)
    assert (again.close_attempts, again.close_failure) == (0, "")
    acting = activated(tried, LATER)
    assert (acting.closing_at, acting.status) == (None, StrategyStatus.ACTIVE)


def test_only_a_strategy_at_rest_is_deleted() -> None:
    with pytest.raises(IllegalTransition, match="deactivate it first"):
        deleted(STRATEGY, LATER, holds=())
    with pytest.raises(IllegalTransition, match="ACME"):
        deleted(STOPPED, LATER, holds=("ACME",))
    assert deleted(STOPPED, LATER, holds=()).deleted_at == LATER


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"type": " "}, "type"),
        ({"symbols": ()}, "symbols"),
        ({"symbols": ("A", "A")}, "symbols"),
        ({"symbols": ("A B",)}, "symbols"),
        ({"risk_mode": "wild"}, "riskMode"),
        ({"priority": 2000}, "priority"),
        ({"parameters": {"x": Decimal("NaN")}}, "parameters.x"),
    ],
)
def test_what_no_strategy_can_be_names_the_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(replace(STRATEGY, **wrong))  # type: ignore[arg-type]  # any field
    [problem] = refused.value.problems
    assert problem.startswith(field)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        edited(STRATEGY, Edit(symbols=(), risk_mode="x", priority=9999), LATER)
    assert len(refused.value.problems) == 3
