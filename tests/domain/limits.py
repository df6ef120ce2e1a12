"""The limits and the trading day that risk rules and the engine are tested with."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from tests.domain.trades import SECOND
from tradesaga.domain.market import Session
from tradesaga.domain.risk import Limits

D = Decimal
MINUTE = timedelta(minutes=1)

LIMITS = Limits(
    order_notional_percent=D(10),  # of 10,000: 1,000
    position_percent=D(20),
    exposure_percent=D(50),
    positions_max=3,
    decision_age_max=60 * SECOND,
    quote_age_max=10 * SECOND,
    price_drift_percent=D(1),
    confidence_min=D("0.6"),
    orders_per_minute=5,
    orders_per_day=20,
    active_orders_max=30,
    allow_short=False,
    entry_cutoff=15 * MINUTE,
    buying_power_reserve_percent=D(5),
    basket_percent=D(100),
    strategy_orders_per_minute=5,
    strategy_orders_per_day=20,
    entries_per_cycle=20,
    entries_per_hour=1000,
    duplicate_window=0 * SECOND,  # decisions of these tests look alike
    reentry_delay=0 * SECOND,
    reentry_delay_after_stop=0 * SECOND,
    canary_percent=D(100),
)
SESSION = Session(
    day=date(2026, 11, 23),
    pre_open=datetime.fromisoformat("2026-11-23T09:00Z"),
    open=datetime.fromisoformat("2026-11-23T14:30Z"),
    close=datetime.fromisoformat("2026-11-23T21:00Z"),
    post_close=datetime.fromisoformat("2026-11-24T01:00Z"),
    half_day=False,
)
