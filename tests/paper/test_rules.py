from __future__ import annotations

from math import isclose

import pytest

from tradesaga.paper.recordings import load
from tradesaga.paper.rules import (
    Breakout,
    RsiMeanReversion,
    Rule,
    Signal,
    SmaCrossover,
    rule_of,
)
from tradesaga.paper.strategies import PARAMETERS, RuleType


def fed(rule: Rule, *closes: float) -> list[Signal | None]:
    return [rule.update(close) for close in closes]


def test_sma_crossover_by_hand() -> None:
    # Averages of 2 and 3: after 10, 9, 8 they are 8.5 and 9; after 12: 10 and 9 2/3; after 4: 8, 8.
    first, second, below, crossed, level, out = fed(SmaCrossover(2, 3, 0.0), 10, 9, 8, 12, 4, 3)
    assert first is second is None
    assert below is not None
    assert (below.entry, below.exit) == (False, True)
    assert crossed is not None
    assert (crossed.entry, crossed.exit) == (True, False)
    assert dict(crossed.facts)["sma_fast"] == 10
    assert isclose(dict(crossed.facts)["sma_slow"], 29 / 3)
    assert level is not None
    assert (level.entry, level.exit) == (False, False)
    # After 3: 3.5 against 19/3.
    assert out is not None
    assert out.exit


def test_a_crossing_smaller_than_the_gap_waits_until_it_is_wide_enough() -> None:
    # 10 against 9 2/3 are 3.4 per cent; a gap of 5 is reached only by the next close.
    signals = fed(SmaCrossover(2, 3, 5.0), 10, 9, 8, 12, 14)
    assert [signal.entry for signal in signals if signal] == [False, False, True]


def test_rsi_by_hand() -> None:
    # Period 2. 10, 11, 10: gains 1, 0, losses 0, 1, so 50. Then 12: (0.5 + 2) / 2 = 1.25 against
    # 0.25, RS 5: 83.33. Then 6: 0.625 against (0.25 + 6) / 2 = 3.125, RS 0.2: 16.67.
    # Then 7: (0.625 + 1) / 2 = 0.8125 against 1.5625, RS 0.52: 34.21.
    rule = RsiMeanReversion(2, oversold=30, recovered=60)
    signals = fed(rule, 10, 11, 10, 12, 6, 7)
    values = [round(dict(signal.facts)["rsi"], 2) for signal in signals if signal]
    assert values == [50, 83.33, 16.67, 34.21]
    assert [signal.entry for signal in signals if signal] == [False, False, False, True]
    assert [signal.exit for signal in signals if signal] == [False, True, False, False]


def test_breakout_by_hand() -> None:
    # The channel of the two closes before: 12 leaves 10..11, 13 is out already, 11 is below 12..13.
    signals = fed(Breakout(2, 2), 10, 11, 12, 13, 11)
    assert signals[:2] == [None, None]
    found = [(signal.entry, signal.exit) for signal in signals if signal]
    assert found == [(True, False), (False, False), (False, True)]


@pytest.mark.parametrize("kind", RuleType)
def test_forgetting_old_input_changes_no_signal(
    kind: RuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {name: bound.default for name, bound in PARAMETERS[kind].items()}
    closes = [float(bar.close) for bar in load().bars["SPY"].rows]
    forgetful = fed(rule_of(kind, parameters), *closes)
    monkeypatch.setattr("tradesaga.paper.rules.KEPT_VALUES", 1_000_000)
    assert forgetful == fed(rule_of(kind, parameters), *closes)
    assert any(signal is not None and signal.entry for signal in forgetful)
