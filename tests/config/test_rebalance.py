"""The targets of a rebalance: each method with its own form, refused by name."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradesaga.config.rebalance import Rebalance
from tradesaga.domain.rebalance import Method


def rebalance(method: Method, *targets: str) -> Rebalance:
    return Rebalance(
        method=method, targets=targets, drift_threshold_percent=Decimal(1), volatility_days=60
    )


def test_fixed_targets_have_weights_and_the_others_none() -> None:
    fixed = rebalance(Method.FIXED, "SPY=40", "QQQ=12.5")
    assert list(fixed.conflicts()) == []
    assert fixed.weights() == {"SPY": Decimal(40), "QQQ": Decimal("12.5")}
    assert list(rebalance(Method.EQUAL, "SPY", "QQQ").conflicts()) == []


@pytest.mark.parametrize(
    ("method", "targets", "what"),
    [
        (Method.FIXED, ("SPY",), '"SPY"'),
        (Method.EQUAL, ("SPY=40",), '"SPY=40"'),
        (Method.FIXED, ("SPY=40", "SPY=10"), "twice"),
        (Method.FIXED, ("SPY=60", "QQQ=41"), "above 100 %"),
    ],
)
def test_what_does_not_go_together_is_named(
    method: Method, targets: tuple[str, ...], what: str
) -> None:
    found = list(rebalance(method, *targets).conflicts())
    assert [what in each.what for each in found] == [True]
