"""Two replays of the same data and seed under different limits: what came out differently.

A decision is the same one if the same strategy was asked about the same symbol at the same moment;
an order, if it was made then for it. What the second run did after its first difference follows
from it: other positions make other decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from tradesaga.replay.figures import Counts, DecisionLine, Figures, OrderLine, Shown

_Line = TypeVar("_Line", DecisionLine, OrderLine)
_Key = tuple[datetime, str, str, int]
HOLD = "hold"


class NumberChange(Shown, frozen=True, kw_only=True):
    """A figure before and after; `group` says what is counted, as `orders` or `blocks`."""

    group: str
    name: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """After less before."""
        return self.after - self.before


class LineChange(Shown, frozen=True, kw_only=True):
    """A decision or an order before and after, in words; empty where there was none."""

    at: datetime
    strategy: str
    symbol: str
    before: str
    after: str


class LimitChange(Shown, frozen=True, kw_only=True):
    """A key of the configuration that differs."""

    key: str
    before: str
    after: str


class Comparison(Shown, frozen=True, kw_only=True):
    """Everything that differs."""

    limits: Sequence[LimitChange]
    numbers: Sequence[NumberChange]
    decisions: Sequence[LineChange]
    orders: Sequence[LineChange]


def compare(
    before: Figures,
    after: Figures,
    *,
    limits_before: Mapping[str, object],
    limits_after: Mapping[str, object],
) -> Comparison:
    """What the second run did differently; `limits_*` are the settings by path."""
    assert (before.seed, before.data) == (after.seed, after.data), "not the same replay"
    return Comparison(
        limits=[
            LimitChange(key=key, before=str(value), after=str(limits_after[key]))
            for key, value in limits_before.items()
            if limits_after[key] != value
        ],
        numbers=list(_numbers(before, after)),
        decisions=_changes(
            _said(before.decision_list, _decided), _said(after.decision_list, _decided), HOLD
        ),
        orders=_changes(_said(before.order_list, _ordered), _said(after.order_list, _ordered), ""),
    )


def _numbers(before: Figures, after: Figures) -> Iterator[NumberChange]:
    for name in ("profit", "equity"):
        yield NumberChange(
            group="account", name=name, before=getattr(before, name), after=getattr(after, name)
        )
    yield NumberChange(
        group="account",
        name="drawdown",
        before=before.drawdown.amount,
        after=after.drawdown.amount,
    )
    for group in ("cycles", "decisions", "blocks", "orders", "fills", "sagas"):
        yield from _counts(group, getattr(before, group), getattr(after, group))


def _counts(group: str, before: Counts, after: Counts) -> Iterator[NumberChange]:
    for name in sorted({*before, *after}):
        first, second = Decimal(before.get(name, 0)), Decimal(after.get(name, 0))
        if first != second:
            yield NumberChange(group=group, name=name, before=first, after=second)


def _changes(
    before: Mapping[_Key, str], after: Mapping[_Key, str], nothing: str
) -> list[LineChange]:
    pairs = {
        key: (before.get(key, nothing), after.get(key, nothing))
        for key in sorted({*before, *after})
    }
    return [
        LineChange(at=at, strategy=strategy, symbol=symbol, before=was, after=became)
        for (at, strategy, symbol, _), (was, became) in pairs.items()
        if was != became
    ]


def _said(lines: Sequence[_Line], say: Callable[[_Line], str]) -> dict[_Key, str]:
    """The lines in words, by what they are about; a repeat at one moment has its number."""
    found: dict[_Key, str] = {}
    for line in lines:
        number = 0
        while (key := (line.at, line.strategy, line.symbol, number)) in found:
            number += 1
        found[key] = say(line)
    return found


def _decided(line: DecisionLine) -> str:
    codes = f" {', '.join(line.codes)}" if line.codes else ""
    return f"{line.action} {line.quantity:f} {line.verdict}{codes}"


def _ordered(line: OrderLine) -> str:
    price = "" if line.price is None else f" at {line.price.normalize():f}"
    return f"{line.side} {line.filled:f}/{line.quantity:f}{price} {line.status}"
