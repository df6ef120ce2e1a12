"""What is the same in every simulated hour: the agent, its strategies, its limits, the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from tradesaga.domain.agent import Mode
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId
from tradesaga.domain.market import Calendar, Session
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.risk import Limits
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.settings import EngineSettings, Tolerances
from tradesaga.testing.sim_venue import VISIBILITY_LAG

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
HOURS_MAX = 5.0
"""Until shortly before the day's close."""
SYMBOLS = ("ACME", "BOLT", "CRUX", "DYNE")
CALENDAR = Calendar(
    sessions=(
        Session(
            day=date(2026, 11, 23),
            pre_open=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
            open=datetime(2026, 11, 23, 14, 30, tzinfo=UTC),
            close=datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
            post_close=datetime(2026, 11, 24, 1, 0, tzinfo=UTC),
            half_day=False,
        ),
    ),
    first=date.min,
    last=date.max,
)
LIMITS = Limits(
    order_notional_percent=Decimal(10),
    position_percent=Decimal(40),
    exposure_percent=Decimal(95),
    positions_max=len(SYMBOLS),
    decision_age_max=timedelta(seconds=60),
    quote_age_max=timedelta(seconds=10),
    price_drift_percent=Decimal(5),
    confidence_min=Decimal("0.6"),
    orders_per_minute=100,
    orders_per_day=10_000,
    active_orders_max=100,
    allow_short=False,
    entry_cutoff=timedelta(minutes=15),
    buying_power_reserve_percent=Decimal(5),
    basket_percent=Decimal(100),
    price_collar_percent=Decimal(100),
    strategy_orders_per_minute=100,
    strategy_orders_per_day=10_000,
    entries_per_cycle=100,
    entries_per_hour=10_000,
    restarts_per_day=10_000,  # the weather kills more in an hour than a day may see
    duplicate_window=timedelta(),
    reentry_delay=timedelta(),
    reentry_delay_after_stop=timedelta(),
    canary_percent=Decimal(100),
    repeats_max=10_000,
)
SETTINGS = EngineSettings(
    agent_id=DEFAULT_AGENT,
    agent_name="default",
    analysis_interval=timedelta(minutes=1),
    analysis_concurrent_max=1,
    analysis_time_max=timedelta(seconds=55),
    decision_time_max=timedelta(seconds=8),
    heartbeat_interval=timedelta(seconds=30),
    reconcile_every=timedelta(seconds=10),
    market_hours_only=True,
    limits=dict.fromkeys(Mode, LIMITS),
    quote_cadence=timedelta(minutes=1),
    start_time_max=timedelta(minutes=10),
    tolerances=Tolerances(  # the weather is so bad that nothing would be traded with the usual ones
        bus_lost_max=timedelta(minutes=1),
        commit_time_slow=timedelta(seconds=30),
        commit_time_max=timedelta(minutes=1),
        lease_stall_max=timedelta(minutes=1),
    ),
    lease_renew_every=timedelta(seconds=1.25),
)
STRATEGIES = tuple(
    Strategy(
        id=StrategyId(UUID(int=number)),
        agent_id=DEFAULT_AGENT,
        external_id=f"s{number}",
        name=f"Strategy {number}",
        type="sma_crossover",
        symbols=symbols,
        created_at=START,
        updated_at=START,
        priority=number,
    )
    for number, symbols in ((1, SYMBOLS[:2]), (2, SYMBOLS[1:3]), (3, SYMBOLS[2:]))
)


def policy_of(*, dedupes: bool) -> Policy:
    """The saga's times, and what the venue can do."""
    return Policy(
        saga_time_max=timedelta(seconds=60),
        fill_time_max=timedelta(seconds=30),
        retry=RetryPolicy(retries_max=3, delay_first=timedelta(seconds=1)),
        visibility_lag=VISIBILITY_LAG,
        dedupes=dedupes,
    )
