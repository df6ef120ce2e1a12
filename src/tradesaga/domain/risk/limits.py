"""The limits of risk: what each may be, which of two is the stricter, and how one is changed.

Percentages are of equity. Nothing above 100 % is a limit, so nothing above it is taken. The
defaults are those of the mode `normal`; the profiles of all three modes are in the configuration,
and what is changed while the agent runs is a layer over them (`engine/limit_book.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from tradesaga.domain.errors import Invalid
from tradesaga.domain.money import HUNDRED, PRICE_MAX

MILLISECOND: Final = timedelta(milliseconds=1)
DAY: Final = timedelta(days=1)
COUNT_MAX: Final = 100_000
Changes = Mapping[str, int | Decimal | bool]
"""Limits by their names on the wire; durations in whole milliseconds."""


class Margin(StrEnum):
    """Which rule on margin holds: the one in force, the one it replaced, none."""

    INTRADAY = "intraday_margin"
    PDT_LEGACY = "pdt_legacy"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force for one decision."""

    order_notional_percent: Decimal = Decimal(5)
    order_notional_max: Decimal = Decimal(1_000_000)
    position_percent: Decimal = Decimal(10)
    exposure_percent: Decimal = Decimal(80)
    leverage_max: Decimal = Decimal(1)
    sector_percent: Decimal = Decimal(20)
    basket_percent: Decimal = Decimal(10)
    positions_max: int = 50
    buying_power_reserve_percent: Decimal = Decimal(1)
    decision_age_max: timedelta = timedelta(seconds=60)
    quote_age_max: timedelta = timedelta(seconds=15)
    price_drift_percent: Decimal = Decimal(1)
    price_collar_percent: Decimal = Decimal(5)
    confidence_min: Decimal = Decimal("0.7")
    orders_per_minute: int = 30
    orders_per_day: int = 200
    strategy_orders_per_minute: int = 5
    strategy_orders_per_day: int = 30
    entries_per_cycle: int = 2
    entries_per_hour: int = 6
    active_orders_max: int = 50
    duplicate_window: timedelta = timedelta(seconds=60)
    reentry_delay: timedelta = timedelta(minutes=5)
    reentry_delay_after_stop: timedelta = timedelta(minutes=30)
    stops_per_day: int = 4
    daily_loss_percent: Decimal = Decimal(3)
    daily_loss_halt_percent: Decimal = Decimal(5)
    drawdown_percent: Decimal = Decimal("7.5")
    drawdown_orange_percent: Decimal = Decimal("11.25")
    drawdown_red_percent: Decimal = Decimal(15)
    decision_failures_max: int = 3
    decision_budget: Decimal = Decimal(10)
    repeats_max: int = 15
    restarts_per_day: int = 10
    clock_skew_max: timedelta = timedelta(seconds=10)
    canary_percent: Decimal = Decimal(10)
    entry_cutoff: timedelta = timedelta(minutes=10)
    allow_short: bool = False
    margin: Margin = Margin.INTRADAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one limit may be. `floor` says that a greater value is the stricter one."""

    wire: str
    least: int | Decimal
    most: int | Decimal
    kind: type[Decimal] | type[int] | type[timedelta] | type[bool]
    floor: bool = False

    def read(self, value: object) -> Decimal | int | timedelta | bool:
        """The limit that `value`, as it came over the wire, stands for. Raises Invalid."""
        if self.kind is bool:
            if isinstance(value, bool):
                return value
            raise Invalid([f"{self.wire} is {value!r}: it takes true or false"])
        number = _number(value)
        whole = number is not None and number == number.to_integral_value()
        if number is None or not self.least <= number <= self.most:
            raise Invalid([f"{self.wire} is {value}: it takes {self.least} to {self.most}"])
        if self.kind is Decimal:
            return number
        if not whole:
            raise Invalid([f"{self.wire} is {value}: it takes a whole number"])
        return int(number) * MILLISECOND if self.kind is timedelta else int(number)


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def _percent(wire: str) -> Bounds:
    return Bounds(wire=wire, least=Decimal("0.001"), most=HUNDRED, kind=Decimal)


def _count(wire: str, least: int = 0) -> Bounds:
    return Bounds(wire=wire, least=least, most=COUNT_MAX, kind=int)


def _time(wire: str, *, floor: bool = False) -> Bounds:
    return Bounds(wire=wire, least=0, most=DAY // MILLISECOND, kind=timedelta, floor=floor)


BOUNDS: Final[Mapping[str, Bounds]] = MappingProxyType(
    {
        "order_notional_percent": _percent("orderNotionalPercent"),
        "order_notional_max": Bounds(
            wire="orderNotionalMax", least=1, most=PRICE_MAX, kind=Decimal
        ),
        "position_percent": _percent("positionPercent"),
        "exposure_percent": _percent("exposurePercent"),
        "leverage_max": Bounds(
            wire="leverageMax", least=Decimal("0.001"), most=Decimal(1), kind=Decimal
        ),
        "sector_percent": _percent("sectorPercent"),
        "basket_percent": _percent("basketPercent"),
        "positions_max": _count("positionsMax"),
        "buying_power_reserve_percent": Bounds(
            wire="buyingPowerReservePercent", least=0, most=HUNDRED, kind=Decimal, floor=True
        ),
        "decision_age_max": _time("decisionMaxAge"),
        "quote_age_max": _time("quoteMaxAge"),
        "price_drift_percent": _percent("priceDriftPercent"),
        "price_collar_percent": _percent("priceCollarPercent"),
        "confidence_min": Bounds(wire="confidenceMin", least=0, most=1, kind=Decimal, floor=True),
        "orders_per_minute": _count("ordersPerMinute"),
        "orders_per_day": _count("ordersPerDay"),
        "strategy_orders_per_minute": _count("strategyOrdersPerMinute"),
        "strategy_orders_per_day": _count("strategyOrdersPerDay"),
        "entries_per_cycle": _count("entriesPerCycle"),
        "entries_per_hour": _count("entriesPerHour"),
        "active_orders_max": _count("activeOrdersMax"),
        "duplicate_window": _time("duplicateWindow", floor=True),
        "reentry_delay": _time("reentryDelay", floor=True),
        "reentry_delay_after_stop": _time("reentryDelayAfterStop", floor=True),
        "stops_per_day": _count("stopsPerDay", 1),
        "daily_loss_percent": _percent("dailyLossPercent"),
        "daily_loss_halt_percent": _percent("dailyLossHaltPercent"),
        "drawdown_percent": _percent("drawdownPercent"),
        "drawdown_orange_percent": _percent("drawdownOrangePercent"),
        "drawdown_red_percent": _percent("drawdownRedPercent"),
        "decision_failures_max": _count("decisionFailuresMax", 1),
        "decision_budget": Bounds(
            wire="decisionBudget", least=Decimal("0.01"), most=PRICE_MAX, kind=Decimal
        ),
        "repeats_max": _count("repeatsMax", 1),
        "restarts_per_day": _count("restartsPerDay", 1),
        "clock_skew_max": _time("clockSkewMax"),
        "canary_percent": _percent("canaryPercent"),
        "entry_cutoff": _time("entryCutoff", floor=True),
        "allow_short": Bounds(wire="allowShort", least=0, most=1, kind=bool),
    }
)
"""Every limit that can be changed while the agent runs, by its field; `margin` cannot."""
NAMES: Final[Mapping[str, str]] = MappingProxyType({b.wire: n for n, b in BOUNDS.items()})
"""Field by name on the wire."""


def with_changes(limits: Limits, changes: Mapping[str, object]) -> Limits:
    """`limits` with what `changes` names.

    Raises:
        Invalid: unknown names, values out of bounds, limits that contradict each other; all named.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for wire, value in changes.items():
        name = NAMES.get(wire)
        if name is None:
            problems.append(f"{wire} is no limit; the limits are: {', '.join(sorted(NAMES))}")
            continue
        try:
            values[name] = BOUNDS[name].read(value)
        except Invalid as error:
            problems += error.problems
    changed = replace(limits, **values)
    problems += contradictions(changed)
    if problems:
        raise Invalid(problems)
    return changed


def contradictions(limits: Limits) -> Iterator[str]:
    """A smaller limit that is above the greater one that contains it."""
    ladders = (
        ("order_notional_percent", "position_percent", "exposure_percent"),
        ("orders_per_minute", "orders_per_day"),
        ("strategy_orders_per_minute", "strategy_orders_per_day"),
        ("daily_loss_percent", "daily_loss_halt_percent"),
        ("drawdown_percent", "drawdown_orange_percent", "drawdown_red_percent"),
    )
    for ladder in ladders:
        for inner, outer in pairwise(ladder):
            small, great = getattr(limits, inner), getattr(limits, outer)
            if not small <= great:
                yield f"{BOUNDS[inner].wire} {small} is above {BOUNDS[outer].wire} {great}"


def stricter(limits: Limits, other: Limits) -> Limits:
    """The stricter of both, limit by limit; the rule on margin is that of `limits`."""
    chosen: dict[str, Any] = {}
    for name, bounds in BOUNDS.items():
        pick = max if bounds.floor else min
        chosen[name] = pick(getattr(limits, name), getattr(other, name))
    return replace(limits, **chosen)


def raised(before: Limits, after: Limits) -> tuple[str, ...]:
    """The limits, by their names on the wire, that `after` has looser than `before`."""
    kept = stricter(before, after)
    return tuple(
        bounds.wire
        for name, bounds in BOUNDS.items()
        if getattr(kept, name) != getattr(after, name)
    )


def on_the_wire(limits: Limits) -> dict[str, int | Decimal | bool]:
    """Every limit by its name on the wire, durations in whole milliseconds."""
    found: dict[str, int | Decimal | bool] = {}
    for name, bounds in BOUNDS.items():
        value = getattr(limits, name)
        found[bounds.wire] = value // MILLISECOND if isinstance(value, timedelta) else value
    return found


assert {*BOUNDS, "margin"} == {field.name for field in fields(Limits)}, "each limit has its bounds"
