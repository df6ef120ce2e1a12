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
from tradesaga.config.secret import Secret
from tradesaga.config.section import (
    AGE,
    COUNT,
    DELAY,
    PERCENT,
    Section,
    key,
    secret_key,
    section,
)
from tradesaga.config.values import Unfit
from tradesaga.domain.risk import Margin

_SECTOR = values.matching(
    r"[A-Za-z0-9./_-]{1,32}=\S(?:.{0,61}\S)?",
    "a symbol with its sector",
    'write SYMBOL=sector, as in "AAPL=technology"',
)


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
    price_collar_percent: Decimal = key(PERCENT, 5)
    basket_percent: Decimal = key(PERCENT, 10)
    daily_loss_percent: Decimal = key(PERCENT, 3)
    daily_loss_halt_percent: Decimal = key(PERCENT, 5)
    confidence_min: Decimal = key(values.decimal_upto(1), Decimal("0.7"))

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.order_notional_percent > self.position_percent:
            what = f"{self.order_notional_percent} is above positionPercent"
            yield Unfit(what, f"write at most {self.position_percent}", "orderNotionalPercent")
        if self.position_percent > self.exposure_percent:
            what = f"{self.position_percent} is above exposurePercent"
            yield Unfit(what, f"write at most {self.exposure_percent}", "positionPercent")
        if self.daily_loss_percent > self.daily_loss_halt_percent:
            what = f"{self.daily_loss_percent} is above dailyLossHaltPercent"
            yield Unfit(what, f"write at most {self.daily_loss_halt_percent}", "dailyLossPercent")


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
        price_collar_percent=2,
        basket_percent=4,
        daily_loss_percent=2,
        daily_loss_halt_percent=3,
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
        price_collar_percent=10,
        basket_percent=20,
        daily_loss_percent=4,
        daily_loss_halt_percent=6,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk(Section):
    """The profiles, and what holds for the account in every mode."""

    profiles: RiskProfiles = section(RiskProfiles)
    order_notional_max: Decimal = key(values.decimal_upto(999_999_999), 1_000_000)
    leverage_max: Decimal = key(values.decimal_upto(1), 1)
    sectors: tuple[str, ...] = key(values.distinct(_SECTOR), [])
    sector_percent: Decimal = key(PERCENT, 20)
    orders_per_minute: int = key(COUNT, 30)
    orders_per_day: int = key(COUNT, 200)
    strategy_orders_per_minute: int = key(COUNT, 5)
    strategy_orders_per_day: int = key(COUNT, 30)
    entries_per_cycle: int = key(COUNT, 2)
    entries_per_hour: int = key(COUNT, 6)
    active_orders_max: int = key(COUNT, 50)
    duplicate_window: timedelta = key(DELAY, 60_000)
    reentry_delay: timedelta = key(DELAY, 300_000)
    reentry_delay_after_stop: timedelta = key(DELAY, 1_800_000)
    stops_per_day: int = key(COUNT, 4)
    drawdown_percent: Decimal = key(PERCENT, Decimal("7.5"))
    drawdown_orange_percent: Decimal = key(PERCENT, Decimal("11.25"))
    drawdown_red_percent: Decimal = key(PERCENT, 15)
    decision_failures_max: int = key(COUNT, 3)
    decision_budget: Decimal = key(values.decimal_upto(999_999_999), 10)
    repeats_max: int = key(COUNT, 15)
    restarts_per_day: int = key(COUNT, 10)
    clock_skew_max: timedelta = key(DELAY, 10_000)
    canary_percent: Decimal = key(PERCENT, 10)
    margin: Margin = key(values.choice(Margin), "intraday_margin")
    allow_short: bool = key(values.truth, False)
    entry_cutoff: timedelta = key(DELAY, 600_000)
    buying_power_reserve_percent: Decimal = key(PERCENT, 1)
    admin_token: Secret = secret_key("${RISK_ADMIN_TOKEN:-}")

    @override
    def conflicts(self) -> Iterator[Unfit]:
        rates = (
            (self.orders_per_minute, self.orders_per_day, "ordersPerMinute", "ordersPerDay"),
            (self.strategy_orders_per_minute, self.strategy_orders_per_day,
             "strategyOrdersPerMinute", "strategyOrdersPerDay"),
        )  # fmt: skip
        for minute, day, name, other in rates:
            if minute > day:
                yield Unfit(f"{minute} is above {other}", f"write at most {day}", name)
        tiers = (
            (self.drawdown_percent, self.drawdown_orange_percent,
             "drawdownPercent", "drawdownOrangePercent"),
            (self.drawdown_orange_percent, self.drawdown_red_percent,
             "drawdownOrangePercent", "drawdownRedPercent"),
        )  # fmt: skip
        for tier, worse, name, other in tiers:
            if tier > worse:
                yield Unfit(f"{tier} is above {other}", f"write at most {worse}", name)
