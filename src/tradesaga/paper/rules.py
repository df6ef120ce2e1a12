"""Trading rules on real indicators, fed bar by bar: what each says of the last completed close.

Entries are edges (true on the one bar at which the condition comes about), exits are levels (true
as long as it holds), so a missed entry is let go and a missed exit is repeated. While an indicator
warms up there is no signal. Indicators work in binary floating point; nothing here is money.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from talipp.indicators import (  # type: ignore[import-untyped]  # it ships no types
    RSI,
    SMA,
    DonchianChannels,
)
from talipp.ohlcv import OHLCV  # type: ignore[import-untyped]  # it ships no types

from tradesaga.paper.strategies import Parameters, RuleType

KEPT_VALUES = 4
"""Times its period an indicator keeps of its input; talipp never forgets by itself."""


class Signal(NamedTuple):
    """What a rule says at one bar; `strength` is 0 to 1, `facts` are the numbers behind it."""

    entry: bool
    exit: bool
    strength: float
    facts: tuple[tuple[str, float], ...]


class Rule(Protocol):
    """One rule with its indicators; keeps state from bar to bar."""

    def update(self, close: float) -> Signal | None:
        """Take the next close; None while warming up."""
        ...


class SmaCrossover:
    """In when the fast average crosses above the slow one, out while it is below."""

    def __init__(self, fast: int, slow: int, gap_percent: float) -> None:
        self._fast, self._slow = SMA(fast), SMA(slow)
        self._periods = fast, slow
        self._gap_percent = gap_percent
        self._was_above: bool | None = None

    def update(self, close: float) -> Signal | None:
        """Take the next close; None while the slow average is not whole."""
        for average, period in zip((self._fast, self._slow), self._periods, strict=True):
            average.add(close)
            _forget(average, period)
        fast, slow = self._fast[-1], self._slow[-1]
        if fast is None or slow is None:
            return None
        gap = (fast - slow) / slow * 100
        above = gap > self._gap_percent if not self._was_above else gap > 0
        crossed = above and self._was_above is False
        self._was_above = above
        facts = (("sma_fast", fast), ("sma_slow", slow), ("gap_percent", gap))
        return Signal(crossed, gap < 0, min(1.0, abs(gap) * 10), facts)


class RsiMeanReversion:
    """In when the RSI comes back above the oversold level, out at the level of recovery."""

    def __init__(self, period: int, oversold: float, recovered: float) -> None:
        self._rsi = RSI(period)
        self._period = period
        self._oversold, self._recovered = oversold, recovered
        self._lowest: float | None = None

    def update(self, close: float) -> Signal | None:
        """Take the next close; None while the RSI is not defined."""
        self._rsi.add(close)
        _forget(self._rsi, self._period)
        rsi = self._rsi[-1]
        if rsi is None:
            return None
        facts = (("rsi", rsi),)
        if rsi < self._oversold:
            self._lowest = rsi if self._lowest is None else min(self._lowest, rsi)
            return Signal(False, False, 0.0, facts)
        lowest, self._lowest = self._lowest, None
        depth = 0.0 if lowest is None else min(1.0, (self._oversold - lowest) / 20)
        return Signal(lowest is not None, rsi >= self._recovered, depth, facts)


class Breakout:
    """In when a close rises out of the channel of the closes before it, out below the short one."""

    def __init__(self, period: int, exit_period: int) -> None:
        self._channel, self._exit = DonchianChannels(period), DonchianChannels(exit_period)
        self._periods = period, exit_period
        self._was_out = False

    def update(self, close: float) -> Signal | None:
        """Take the next close and compare it with the closes before; None while they are few."""
        channel = self._channel[-1] if len(self._channel) else None
        below = self._exit[-1] if len(self._exit) else None
        bar = OHLCV(close, close, close, close)
        for indicator, period in zip((self._channel, self._exit), self._periods, strict=True):
            indicator.add(bar)
            _forget(indicator, period)
        if channel is None or below is None:
            return None
        out = close > channel.ub
        entered, self._was_out = out and not self._was_out, out
        beyond = (close - channel.ub) / channel.ub * 100
        facts = (("channel_high", channel.ub), ("exit_low", below.lb), ("beyond_percent", beyond))
        return Signal(entered, close < below.lb, min(1.0, max(0.0, beyond) * 10), facts)


def rule_of(kind: RuleType, parameters: Parameters) -> Rule:
    """A fresh rule of that type; `parameters` must have been checked."""
    match kind:
        case RuleType.SMA_CROSSOVER:
            return SmaCrossover(
                int(parameters["fast"]), int(parameters["slow"]), parameters["gap_percent"]
            )
        case RuleType.RSI_MEAN_REVERSION:
            return RsiMeanReversion(
                int(parameters["period"]), parameters["oversold"], parameters["recovered"]
            )
        case RuleType.BREAKOUT:
            return Breakout(int(parameters["period"]), int(parameters["exit_period"]))


def _forget(indicator: SMA | RSI | DonchianChannels, period: int) -> None:
    kept = KEPT_VALUES * period + 2
    if len(indicator.input_values) > 2 * kept:
        indicator.purge_oldest(len(indicator.input_values) - kept)
