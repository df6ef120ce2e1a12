"""Every default, against tables typed from the specification and the design."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import tradesaga.config
from tradesaga.config import (
    DEFAULT_AGENT_ID,
    ClientOrderIds,
    Dialect,
    LogFormat,
    LogLevel,
    SecondSource,
    SelfTrading,
    example,
    load,
)
from tradesaga.config.keys import KEYS
from tradesaga.config.secret import Secret
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.rebalance import Method
from tradesaga.domain.risk import Margin
from tradesaga.domain.signed_decisions import SigningMode

SERVERS = {"DB_HOST": "db.example", "DB_PORT": "6543", "NATS_URL": "nats://bus.example:4222"}

SPECIFIED = {
    "server.port": 3005,
    "server.host": "0.0.0.0",
    "server.url": "",
    "cycles.analysis.interval": timedelta(minutes=1),
    "cycles.analysis.max_concurrent": 1,
    "cycles.analysis.timeout": timedelta(minutes=2),
    "cycles.heartbeat.interval": timedelta(seconds=30),
    "cycles.heartbeat.timeout": timedelta(minutes=2),
    "cycles.rebalance.schedule": "0 9 * * 1-5",
    "cycles.rebalance.timeout": timedelta(minutes=5),
    "trading.market_hours_only": True,
    "trading.pre_market_start": time(4),
    "trading.regular_start": time(9, 30),
    "trading.regular_end": time(16),
    "trading.after_hours_end": time(20),
    "trading.timezone": ZoneInfo("America/New_York"),
    "sagas.trade_execution.timeout": timedelta(minutes=1),
    "sagas.trade_execution.retries": 3,
    "sagas.trade_execution.retry_delay": timedelta(seconds=1),
    "database.host": "db.example",
    "database.port": 6543,
    "database.name": "ai_trader",
    "database.schema": "orchestration",
    "event_bus.url": "nats://bus.example:4222",
    "event_bus.publish_prefix": "ai-trader.orchestrator",
    "event_bus.subscriptions": (
        "ai-trader.system.heartbeat",
        "ai-trader.market.session.*",
        "ai-trader.trade.order.*",
        "ai-trader.ai.decision.*",
    ),
}

ADDED = {
    "server.allowed_hosts": (),
    "cycles.analysis.decision_timeout": timedelta(seconds=30),
    "trading.exchange": "NYSE",
    "trading.weekend": ("saturday", "sunday"),
    "trading.half_day_close": time(13),
    "trading.half_day_after_hours_end": time(17),
    "trading.overrides": (),
    "trading.second_source": SecondSource.MARKET_DATA,
    "trading.execution_mode": ExecutionMode.AUTONOMOUS,
    "sagas.trade_execution.fill_timeout": timedelta(seconds=30),
    "sagas.trade_execution.send_timeout": timedelta(seconds=10),
    "database.user": "tradesaga",
    "services.trading_engine.url": "http://127.0.0.1:3001",
    "services.trading_engine.timeout": timedelta(seconds=10),
    "services.trading_engine.dialect": Dialect.SPECIFICATION,
    "services.trading_engine.start_capital": Decimal(100_000),
    "services.trading_engine.self_trading": SelfTrading.AUTO,
    "services.ai_decision.dialect": Dialect.SPECIFICATION,
    "services.market_data.dialect": Dialect.SPECIFICATION,
    **{
        f"services.{name}.breaker.{key}": value
        for name in ("trading_engine", "ai_decision", "market_data")
        for key, value in (
            ("failures", 5),
            ("window", timedelta(minutes=1)),
            ("open", timedelta(seconds=30)),
        )
    },
    "services.trading_engine.client_order_id": ClientOrderIds.IGNORED,
    "services.trading_engine.visibility_lag": timedelta(seconds=30),
    "services.trading_engine.dedupe_ttl": timedelta(0),
    "services.trading_engine.looks_up": True,
    "services.trading_engine.cancel_on_disconnect": False,
    "services.trading_engine.rate_limit.per_minute": 0,
    "services.trading_engine.rate_limit.burst": 10,
    "services.trading_engine.rate_limit.reserve": 2,
    "services.trading_engine.rate_limit.wait_max": timedelta(seconds=2),
    "services.ai_decision.rate_limit.per_minute": 0,
    "services.ai_decision.rate_limit.burst": 10,
    "services.ai_decision.rate_limit.reserve": 2,
    "services.ai_decision.rate_limit.wait_max": timedelta(seconds=2),
    "services.ai_decision.price.per_decision": Decimal(0),
    "services.ai_decision.price.per_million_prompt_tokens": Decimal(0),
    "services.ai_decision.price.per_million_completion_tokens": Decimal(0),
    "services.market_data.rate_limit.per_minute": 0,
    "services.market_data.rate_limit.burst": 10,
    "services.market_data.rate_limit.reserve": 2,
    "services.market_data.rate_limit.wait_max": timedelta(seconds=2),
    "services.ai_decision.url": "http://127.0.0.1:3002",
    "services.ai_decision.timeout": timedelta(seconds=10),
    "services.market_data.url": "http://127.0.0.1:3003",
    "services.market_data.timeout": timedelta(seconds=10),
    "database.commit_slow": timedelta(milliseconds=500),
    "database.commit_wait": timedelta(seconds=2),
    "database.clock_error": timedelta(milliseconds=50),
    "database.statement_timeout": timedelta(seconds=30),
    "database.lock_timeout": timedelta(seconds=10),
    "database.idle_in_transaction_timeout": timedelta(seconds=1),
    "event_bus.user": "",
    "security.decision_signing.mode": SigningMode.OFF,
    "security.decision_signing.keys": (),
    "security.decision_signing.validity_max": timedelta(minutes=5),
    "security.decision_signing.clock_error": timedelta(seconds=5),
    "security.oidc.issuer": "",
    "security.oidc.audience": "",
    "security.oidc.algorithms": ("RS256",),
    "security.oidc.jwks_file": "",
    "security.oidc.jwks_url": "",
    "security.oidc.refresh_interval": timedelta(minutes=5),
    "security.oidc.timeout": timedelta(seconds=5),
    "security.oidc.scopes_claim": "scope",
    "security.oidc.scopes": (),
    "security.oidc.clock_error": timedelta(seconds=30),
    "security.oidc.life_max": timedelta(days=1),
    "security.oidc.sign_in_age_max": timedelta(minutes=5),
    "event_bus.lost_after": timedelta(seconds=5),
    "event_bus.monitor_url": "",
    "event_bus.accept_lazy_sync": False,
    "reconciliation.interval": timedelta(seconds=3),
    "reconciliation.cash_tolerance": Decimal(1),
    "lease.ttl": timedelta(seconds=2),
    "lease.renew": timedelta(milliseconds=500),
    "risk.orders_per_minute": 30,
    "risk.orders_per_day": 200,
    "risk.order_notional_max": Decimal(1_000_000),
    "risk.leverage_max": Decimal(1),
    "risk.sectors": (),
    "risk.sector_percent": Decimal(20),
    "risk.strategy_orders_per_minute": 5,
    "risk.strategy_orders_per_day": 30,
    "risk.entries_per_cycle": 2,
    "risk.entries_per_hour": 6,
    "risk.duplicate_window": timedelta(seconds=60),
    "risk.reentry_delay": timedelta(minutes=5),
    "risk.reentry_delay_after_stop": timedelta(minutes=30),
    "risk.stops_per_day": 4,
    "risk.drawdown_percent": Decimal("7.5"),
    "risk.drawdown_orange_percent": Decimal("11.25"),
    "risk.drawdown_red_percent": Decimal(15),
    "risk.decision_failures_max": 3,
    "risk.decision_budget": Decimal(10),
    "risk.repeats_max": 15,
    "risk.restarts_per_day": 10,
    "risk.clock_skew_max": timedelta(seconds=10),
    "risk.canary_percent": Decimal(10),
    "risk.margin": Margin.INTRADAY,
    "risk.admin_token": Secret(""),
    "risk.active_orders_max": 50,
    "risk.allow_short": False,
    "risk.entry_cutoff": timedelta(minutes=10),
    "risk.buying_power_reserve_percent": Decimal(1),
    "rebalance.method": Method.FIXED,
    "rebalance.targets": (),
    "rebalance.drift_threshold_percent": Decimal(1),
    "rebalance.volatility_days": 60,
    "retention.interval": timedelta(hours=1),
    "retention.sagas": timedelta(days=30),
    "retention.cycles": timedelta(days=30),
    "retention.inbox": timedelta(days=30),
    "retention.dead_letters": timedelta(days=90),
    "retention.relay_marks": timedelta(days=7),
    "retention.repeats": timedelta(days=2),
    "agent.id": DEFAULT_AGENT_ID,
    "agent.name": "default",
    "agent.start_timeout": timedelta(seconds=30),
    "agent.settle_timeout": timedelta(seconds=10),
    "agent.stop_timeout": timedelta(seconds=20),
    "agent.failed_cycles_max": 10,
    "logging.level": LogLevel.INFO,
    "logging.format": LogFormat.JSON,
    "observability.tracing.endpoint": "",
    "observability.tracing.service_name": "orchestrator",
    "observability.tracing.sample_ratio": Decimal(1),
    "observability.tracing.queue_max": 4096,
    "observability.tracing.export_timeout": timedelta(seconds=5),
    "observability.tracing.flush_timeout": timedelta(seconds=2),
}

PROFILES = {  # conservative, normal, aggressive
    "order_notional_percent": (Decimal(2), Decimal(5), Decimal(10)),
    "position_percent": (Decimal(5), Decimal(10), Decimal(20)),
    "exposure_percent": (Decimal(50), Decimal(80), Decimal(100)),
    "positions_max": (10, 50, 100),
    "decision_max_age": (timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)),
    "quote_max_age": (timedelta(seconds=5), timedelta(seconds=15), timedelta(seconds=60)),
    "price_drift_percent": (Decimal("0.5"), Decimal(1), Decimal(2)),
    "price_collar_percent": (Decimal(2), Decimal(5), Decimal(10)),
    "basket_percent": (Decimal(4), Decimal(10), Decimal(20)),
    "daily_loss_percent": (Decimal(2), Decimal(3), Decimal(4)),
    "daily_loss_halt_percent": (Decimal(3), Decimal(5), Decimal(6)),
    "confidence_min": (Decimal("0.7"), Decimal("0.7"), Decimal("0.7")),
}


@pytest.mark.parametrize(("attribute", "value"), [*SPECIFIED.items(), *ADDED.items()])
def test_default(attribute: str, value: object) -> None:
    found = attrgetter(attribute)(load(None, SERVERS).settings)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("limit", "values"), PROFILES.items())
def test_default_of_the_profiles(limit: str, values: tuple[object, ...]) -> None:
    profiles = load(None, SERVERS).settings.risk.profiles
    modes = (profiles.conservative, profiles.normal, profiles.aggressive)
    assert tuple(getattr(mode, limit) for mode in modes) == values


def test_the_tables_name_every_key_but_the_secrets() -> None:
    keys = load(None, SERVERS).origins
    assert len(keys) == len(SPECIFIED) + len(ADDED) + 3 * len(PROFILES) + 3
    assert not load(None, SERVERS).settings.database.password
    assert not load(None, SERVERS).settings.event_bus.token
    assert not load(None, SERVERS).settings.observability.tracing.token


def test_the_example_holds_every_key_at_its_default() -> None:
    path = Path(tradesaga.config.__file__).with_name("example.yaml")
    written, default = load(path, SERVERS), load(None, SERVERS)
    assert written.settings == default.settings
    assert written.hash == default.hash
    from_variables = {"database.host", "database.port", "eventBus.url"}
    for key, origin in written.origins.items():
        source = "environment " if key in from_variables else f"file {path}:"
        assert origin.startswith(source), key


def test_the_example_is_the_packaged_file() -> None:
    assert example().splitlines()[0].startswith("# Settings of the orchestrator")


def test_the_reference_names_every_key_with_its_default() -> None:
    reference = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
    rows = set()
    keys = reference.read_text(encoding="utf-8").partition("\n## Keys\n")[2]
    for line in keys.splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 5:
            modes = zip(("conservative", "normal", "aggressive"), cells[1:4], strict=True)
            rows |= {(f"risk.profiles.{mode}.{cells[0]}", value) for mode, value in modes}
        elif line.startswith("| `"):
            rows.add((cells[0], cells[1]))
    assert rows == {(key.path, _written(key.default)) for key in KEYS.values()}


def _written(default: object) -> str:
    if isinstance(default, list):
        return ", ".join(default)
    if isinstance(default, bool):
        return "true" if default else "false"
    return str(default) or '""'
