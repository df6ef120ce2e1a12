"""What the portfolio is rebalanced to, and how; nothing while no targets are named."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.section import PERCENT, Section, key
from tradesaga.config.values import Unfit
from tradesaga.domain.rebalance import Method

_TARGET = values.matching(
    r"[A-Za-z0-9./_-]{1,32}(?:=[0-9]{1,3}(?:\.[0-9]{1,4})?)?",
    "a symbol, with its weight where weights are fixed",
    'write "SPY=40" for 40 % of equity (method fixed), else "SPY"',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance(Section):
    """The targets; when is `cycles.rebalance.schedule`."""

    method: Method = key(values.choice(Method), "fixed")
    targets: tuple[str, ...] = key(values.distinct(_TARGET), [])
    drift_threshold_percent: Decimal = key(PERCENT, 1)
    volatility_days: int = key(values.whole(3, 999), 60)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        weights = self.weights()
        if len(weights) < len(self.targets):
            yield Unfit("a symbol stands twice", "write each symbol once", "targets")
        for text in self.targets:
            if (self.method is Method.FIXED) is not ("=" in text):
                remedy = 'write as in "SPY=40"' if self.method is Method.FIXED else "leave it out"
                what = f'"{text}" goes with another method than {self.method}: its weight'
                yield Unfit(what, remedy, "targets")
        if sum(weights.values()) > 100:
            yield Unfit("the weights are above 100 % together", "write 100 or less", "targets")

    def weights(self) -> dict[str, Decimal]:
        """Per cent by symbol, as written; 0 where none is."""
        pairs = (text.partition("=") for text in self.targets)
        return {symbol: Decimal(weight or 0) for symbol, _, weight in pairs}
