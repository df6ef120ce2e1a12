"""From the configuration's values to the engine's: names change, nothing is decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from tradesaga.adapters.calendar import (
    ALWAYS_OPEN,
    CHECKED_UNTIL,
    Hours,
    Override,
    build_calendar,
)
from tradesaga.config import (
    ClientOrderIds,
    Dialect,
    RiskProfile,
    SecondSource,
    SelfTrading,
    Settings,
    Weekday,
    split_override,
)
from tradesaga.config.rate_limit import RateLimit
from tradesaga.config.services import BreakerFigures, DecisionPrice
from tradesaga.domain.agent import Mode
from tradesaga.domain.circuit import CircuitFigures
from tradesaga.domain.decision_cost import Price
from tradesaga.domain.ids import AgentId, StrategyId, derived
from tradesaga.domain.market import Calendar
from tradesaga.domain.money import HUNDRED
from tradesaga.domain.rebalance import RebalancePolicy
from tradesaga.domain.retention import RetentionPolicy
from tradesaga.domain.retry import RetryPolicy
from tradesaga.domain.risk import BOUNDS, Limits
from tradesaga.domain.strategies import Strategy, StrategyMode
from tradesaga.domain.token_bucket import Rate
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.market_gate import CRYPTO
from tradesaga.engine.settings import EngineSettings, Tolerances
from tradesaga.engine.settings import SelfTrading as EngineSelfTrading
from tradesaga.ports.services import Capabilities

US_EQUITY = "US_EQUITY"
BAR_CADENCE = timedelta(minutes=1)
"""Quotes of a minute-bar feed are up to a minute old before they are stale."""
CALENDAR_BEFORE = timedelta(days=30)
CALENDAR_AHEAD = timedelta(days=400)


def dsn_of(settings: Settings) -> str:
    """How to reach the database; a host that is a directory holds the server's socket."""
    database = settings.database
    secret = database.password.reveal()
    user = quote(database.user, safe="") + (f":{quote(secret, safe='')}" if secret else "")
    if database.host.startswith("/"):
        place = f"?host={quote(database.host, safe='')}&port={database.port}"
        return f"postgresql://{user}@/{quote(database.name)}{place}"
    host = f"[{database.host}]" if ":" in database.host else database.host
    return f"postgresql://{user}@{host}:{database.port}/{quote(database.name)}"


def engine_settings(settings: Settings) -> EngineSettings:
    """What one agent's engine is told."""
    analysis = settings.cycles.analysis
    profiles = settings.risk.profiles
    return EngineSettings(
        agent_id=AgentId(settings.agent.id),
        agent_name=settings.agent.name,
        analysis_interval=analysis.interval,
        analysis_concurrent_max=analysis.max_concurrent,
        analysis_time_max=analysis.timeout,
        decision_time_max=min(analysis.decision_timeout, analysis.timeout),
        heartbeat_interval=settings.cycles.heartbeat.interval,
        heartbeat_time_max=settings.cycles.heartbeat.timeout,
        start_time_max=settings.agent.start_timeout,
        settle_time_max=settings.agent.settle_timeout,
        stop_time_max=settings.agent.stop_timeout,
        failed_cycles_max=settings.agent.failed_cycles_max,
        reconcile_every=settings.reconciliation.interval,
        cash_tolerance=settings.reconciliation.cash_tolerance or None,
        market_hours_only=settings.trading.market_hours_only,
        execution_mode=settings.trading.execution_mode,
        second_source=settings.trading.second_source is SecondSource.MARKET_DATA,
        zone=settings.trading.timezone.key,
        rebalance_schedule=settings.cycles.rebalance.schedule,
        market=CRYPTO if settings.trading.exchange == ALWAYS_OPEN else US_EQUITY,
        limits={
            Mode.CONSERVATIVE: _limits(settings, profiles.conservative),
            Mode.NORMAL: _limits(settings, profiles.normal),
            Mode.AGGRESSIVE: _limits(settings, profiles.aggressive),
        },
        decision_rate=rate_of(settings.services.ai_decision.rate_limit),
        decision_price=_price_of(settings.services.ai_decision.price),
        sectors=sectors_of(settings),
        quote_cadence=BAR_CADENCE,
        lease_renew_every=settings.lease.renew,
        retention=_retention_policy(settings),
        rebalance=_rebalance_policy(settings),
        rebalance_time_max=settings.cycles.rebalance.timeout,
        self_trading=EngineSelfTrading(str(self_trading(settings))),
        tolerances=Tolerances(
            bus_lost_max=settings.event_bus.lost_after,
            commit_time_slow=settings.database.commit_slow,
            commit_time_max=settings.database.commit_wait,
            host_clock_error_max=settings.database.clock_error,
        ),
    )


def _rebalance_policy(settings: Settings) -> RebalancePolicy | None:
    wanted = settings.rebalance
    if not wanted.targets:
        return None
    return RebalancePolicy(
        method=wanted.method,
        targets={symbol: weight / HUNDRED for symbol, weight in wanted.weights().items()},
        threshold=wanted.drift_threshold_percent / HUNDRED,
        closes=wanted.volatility_days,
    )


def _retention_policy(settings: Settings) -> RetentionPolicy:
    kept = settings.retention
    return RetentionPolicy(
        interval=kept.interval,
        sagas=kept.sagas,
        cycles=kept.cycles,
        inbox=kept.inbox,
        dead_letters=kept.dead_letters,
        relay_marks=kept.relay_marks,
        repeats=kept.repeats,
    )


def calendar_of(settings: Settings, first: date, last: date) -> Calendar:
    """The market's sessions from `first` to `last`, both included, at the configured hours.

    Raises:
        Invalid: no calendar of the configured exchange is known.
    """
    trading = settings.trading
    known = [split_override(text) for text in trading.overrides]
    hours = Hours(
        timezone=trading.timezone.key,
        pre_market_start=trading.pre_market_start,
        regular_start=trading.regular_start,
        regular_end=trading.regular_end,
        after_hours_end=trading.after_hours_end,
        half_day_close=trading.half_day_close,
        half_day_post_close=trading.half_day_after_hours_end,
        exchange=trading.exchange,
        weekend=frozenset(list(Weekday).index(Weekday(day)) for day in trading.weekend),
    )
    overrides = {day: Override(close=close, reason=why) for day, close, why in known}
    return build_calendar(first, last, hours, overrides=overrides)


def calendar_around(settings: Settings, first: datetime, last: datetime) -> Calendar:
    """The sessions that an agent must know which runs from `first` to `last`."""
    until = (last + CALENDAR_AHEAD).date()
    return calendar_of(settings, (first - CALENDAR_BEFORE).date(), max(until, CHECKED_UNTIL))


def subject_prefix(settings: Settings) -> str:
    """What stands before the domain word in our own subjects, as the neighbours use it too."""
    return settings.event_bus.publish_prefix.rpartition(".")[0]


def saga_policy(settings: Settings, capabilities: Capabilities) -> Policy:
    """Times of the trade saga, and what the venue can do."""
    saga = settings.sagas.trade_execution
    return Policy(
        saga_time_max=saga.timeout,
        fill_time_max=min(saga.fill_timeout, saga.timeout),
        retry=RetryPolicy(retries_max=saga.retries, delay_first=saga.retry_delay),
        visibility_lag=capabilities.visibility_lag,
        dedupes=capabilities.dedupes,
        dedupe_ttl=capabilities.dedupe_ttl,
        looks_up=capabilities.looks_up,
        cancel_on_disconnect=capabilities.cancel_on_disconnect,
    )


def venue_capabilities(settings: Settings) -> Capabilities:
    """As configured: the platform's engine neither deduplicates nor looks up by client id."""
    venue = settings.services.trading_engine
    honours = venue.client_order_id is ClientOrderIds.HONOURED
    is_platform = venue.dialect is Dialect.PLATFORM
    return Capabilities(
        dedupes=honours,
        query_by_client_id=honours,
        visibility_lag=venue.visibility_lag,
        dedupe_ttl=venue.dedupe_ttl or None,
        looks_up=venue.looks_up,
        cancel_on_disconnect=venue.cancel_on_disconnect,
        closes_in_part=not is_platform,
        has_account=not is_platform,
    )


def self_trading(settings: Settings) -> SelfTrading:
    """What is done about an engine that trades by itself, `auto` resolved."""
    venue = settings.services.trading_engine
    if venue.self_trading is not SelfTrading.AUTO:
        return venue.self_trading
    return SelfTrading.PARK if venue.dialect is Dialect.PLATFORM else SelfTrading.OFF


def rate_of(limit: RateLimit) -> Rate | None:
    """How often a neighbour is asked at most; None without a limit."""
    if not limit.per_minute:
        return None
    return Rate(per_minute=limit.per_minute, burst=limit.burst, reserve=limit.reserve)


def circuit_of(figures: BreakerFigures) -> CircuitFigures:
    """When a service that fails is left alone."""
    return CircuitFigures(
        failures_max=figures.failures,
        window_seconds=figures.window.total_seconds(),
        open_seconds=figures.open.total_seconds(),
    )


def strategies_of(
    definitions: Iterable[Mapping[str, Any]], *, agent_id: AgentId, now: datetime
) -> tuple[Strategy, ...]:
    """Strategies of plain definitions; their ids are functions of agent and name."""
    return tuple(
        Strategy(
            id=StrategyId(derived(agent_id, "strategy", definition["name"])),
            agent_id=agent_id,
            external_id=definition["name"],
            name=definition["name"],
            type=str(definition["type"]),
            symbols=tuple(definition["symbols"]),
            created_at=now,
            updated_at=now,
            mode=StrategyMode(definition.get("mode", "live")),
            parameters={k: _exact(v) for k, v in definition.get("parameters", {}).items()},
            live_at=None if definition.get("mode") == StrategyMode.SHADOW else now,
        )
        for definition in definitions
    )


def sectors_of(settings: Settings) -> Mapping[str, str]:
    """Sector by symbol, as configured."""
    return dict(pair.split("=", 1) for pair in settings.risk.sectors)


def _price_of(price: DecisionPrice) -> Price:
    return Price(
        decision=price.per_decision,
        prompt_million=price.per_million_prompt_tokens,
        completion_million=price.per_million_completion_tokens,
    )


def _limits(settings: Settings, profile: RiskProfile) -> Limits:
    """The mode's limits and the account's; the keys are the names on the wire, in Python's case."""
    found: dict[str, Any] = {"margin": settings.risk.margin}
    for name, bounds in BOUNDS.items():
        key = re.sub(r"[A-Z]", lambda capital: f"_{capital[0].lower()}", bounds.wire)
        found[name] = getattr(profile if hasattr(profile, key) else settings.risk, key)
    return Limits(**found)


def _exact(value: Any) -> Any:
    """Numbers without binary fractions: the text of the number is what was meant."""
    return Decimal(str(value)) if isinstance(value, float) else value
