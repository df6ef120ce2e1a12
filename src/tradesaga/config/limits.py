"""The risk limits: one profile per mode of the start request, and limits on the whole account.

Percentages are of equity, as Decimal. A limit above 100 % is refused at load.
"""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.section import AGE, COUNT, DELAY, PERCENT, Section, key, section
from tradesaga.config.values import Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskProfile(Section):
    """The limits of one mode; the defaults are those of `normal`."""

    order_notional_percent: Decimal = key(PERCENT, 5)
    position_percent: Decimal = key(PERCENT, 10)
    exposure_percent: Decimal = key(PERCENT, 80)
    positions_max: int = key(COUNT, 50)
    decision_max_age: timedelta = key(AGE, 60_000)
    quote_max_age: timedelta = key(AGE, 15_000)
    price_drift_percent: Decimal = key(PERCENT, 1)
    confidence_min: Decimal = key(values.decimal_upto(1), Decimal("0.7"))

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.order_notional_percent > self.position_percent:
            what = f"{self.order_notional_percent} is above positionPercent"
            yield Unfit(what, f"write at most {self.position_percent}", "orderNotionalPercent")
        if self.position_percent > self.exposure_percent:
            what = f"{self.position_percent} is above exposurePercent"
            yield Unfit(what, f"write at most {self.exposure_percent}", "positionPercent")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskProfiles(Section):
    """One profile per mode of the start request."""

    conservative: RiskProfile = section(
        RiskProfile,
        order_notional_percent=2,
        position_percent=5,
        exposure_percent=50,
        positions_max=10,
        decision_max_age=30_000,
        quote_max_age=5_000,
        price_drift_percent=Decimal("0.5"),
    )
    normal: RiskProfile = section(RiskProfile)
    aggressive: RiskProfile = section(
        RiskProfile,
        order_notional_percent=10,
        position_percent=20,
        exposure_percent=100,
        positions_max=100,
        decision_max_age=120_000,
        quote_max_age=60_000,
        price_drift_percent=2,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(Section):
    """The profiles, and what holds for the account in every mode."""

    profiles: RiskProfiles = section(RiskProfiles)
    orders_per_minute: int = key(COUNT, 30)
    orders_per_day: int = key(COUNT, 200)
    active_orders_max: int = key(COUNT, 50)
    allow_short: bool = key(values.truth, False)
    entry_cutoff: timedelta = key(DELAY, 600_000)
    buying_power_reserve_percent: Decimal = key(PERCENT, 1)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.orders_per_minute > self.orders_per_day:
            what = f"{self.orders_per_minute} is above ordersPerDay"
            yield Unfit(what, f"write at most {self.orders_per_day}", "ordersPerMinute")
