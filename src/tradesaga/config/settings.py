"""The tree of settings: every key of the file, with its default as the file would write it.

Attributes are snake_case, keys on the wire are their camelCase form below `orchestrator:`.
Durations are `timedelta` here and whole milliseconds on the wire. `${DB_HOST}` and its like are
substituted by `loading` before a value is read. Of two deadlines the outer one wins, so an inner
default that is longer is no conflict; an inner value that somebody wrote is. Keys that the
specification does not have are marked as additions in `example.yaml`.
"""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.limits import Risk
from tradesaga.config.observability import Observability
from tradesaga.config.rebalance import Rebalance
from tradesaga.config.retention import Retention
from tradesaga.config.section import (
    CALL_DEADLINE,
    COUNT,
    DEADLINE,
    DELAY,
    HOST,
    HTTP_URL_OR_NONE,
    INTERVAL,
    MINUTE,
    NAME,
    Section,
    key,
    ms,
    section,
)
from tradesaga.config.security import Security
from tradesaga.config.servers import Database, EventBus
from tradesaga.config.services import Dialect, Services
from tradesaga.config.values import Unfit, milliseconds
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.ids import DEFAULT_AGENT

DEFAULT_AGENT_ID: Final[UUID] = DEFAULT_AGENT
"""The agent that `/api/v1/agent/...` speaks of when `agent.id` is empty."""

_EXCHANGE = values.matching(
    r"24/7|none|[A-Z0-9]{2,10}",
    "an exchange",
    'write a code as NYSE or XLON, "none" for a market without holidays, or "24/7"',
)


class Weekday(StrEnum):
    """A day of the week, in the order of their numbers."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class SecondSource(StrEnum):
    """Who must agree that the market is open, besides our own calendar."""

    MARKET_DATA = "marketData"
    NONE = "none"


class LogLevel(StrEnum):
    """The least severity that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks."""

    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Section):
    """Where the REST API listens; port 0 is any free port. `url`: how other nodes reach it."""

    port: int = key(values.whole(0, 65_535), 3005)
    host: str = key(HOST, "0.0.0.0")  # noqa: S104 -- the specification's default
    allowed_hosts: tuple[str, ...] = key(values.distinct(HOST), [])
    url: str = key(HTTP_URL_OR_NONE, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisCycle(Section):
    """The cycle that asks for decisions and executes them."""

    interval: timedelta = key(INTERVAL, 60_000)
    max_concurrent: int = key(values.whole(1, 64), 1)
    timeout: timedelta = key(DEADLINE, 120_000)
    decision_timeout: timedelta = key(DEADLINE, 30_000)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.decision_timeout > self.timeout:
            what = f"{ms(self.decision_timeout)} is longer than the cycle's timeout"
            remedy = f"write at most {ms(self.timeout)}, or raise timeout"
            yield Unfit(what, remedy, "decisionTimeout", yields=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatCycle(Section):
    """The cycle that looks after health and reconciliation."""

    interval: timedelta = key(INTERVAL, 30_000)
    timeout: timedelta = key(DEADLINE, 120_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation(Section):
    """The comparison of our books with the venue's; a longer interval would find drift late."""

    interval: timedelta = key(milliseconds(1000, 10_000), 3000)
    cash_tolerance: Decimal = key(values.decimal_from_zero(999_999_999), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceCycle(Section):
    """The cycle that brings positions back to their targets, in `trading.timezone`."""

    schedule: str = key(values.cron, "0 9 * * 1-5")
    timeout: timedelta = key(DEADLINE, 300_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles(Section):
    """The three configured cycles."""

    analysis: AnalysisCycle = section(AnalysisCycle)
    heartbeat: HeartbeatCycle = section(HeartbeatCycle)
    rebalance: RebalanceCycle = section(RebalanceCycle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading(Section):
    """The sessions of a full trading day, in `timezone`."""

    market_hours_only: bool = key(values.truth, True)
    pre_market_start: time = key(values.clock_time, "04:00")
    regular_start: time = key(values.clock_time, "09:30")
    regular_end: time = key(values.clock_time, "16:00")
    after_hours_end: time = key(values.clock_time, "20:00")
    timezone: ZoneInfo = key(values.time_zone, "America/New_York")
    execution_mode: ExecutionMode = key(values.choice(ExecutionMode), "AUTONOMOUS")
    exchange: str = key(_EXCHANGE, "NYSE")
    weekend: tuple[str, ...] = key(values.distinct(values.choice(Weekday)), ["saturday", "sunday"])
    half_day_close: time = key(values.clock_time, "13:00")
    half_day_after_hours_end: time = key(values.clock_time, "17:00")
    overrides: tuple[str, ...] = key(values.distinct(values.day_override), [])
    second_source: SecondSource = key(values.choice(SecondSource), "marketData")

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.pre_market_start > self.regular_start:
            what = f'"{self.pre_market_start:%H:%M}" is after regularStart'
            yield Unfit(what, f'write at most "{self.regular_start:%H:%M}"', "preMarketStart")
        if self.regular_start >= self.regular_end:
            what = f'"{self.regular_start:%H:%M}" is not before regularEnd'
            remedy = f'write a time before "{self.regular_end:%H:%M}"'
            yield Unfit(what, remedy, "regularStart")
        if self.after_hours_end < self.regular_end:
            what = f'"{self.after_hours_end:%H:%M}" is before regularEnd'
            yield Unfit(what, f'write at least "{self.regular_end:%H:%M}"', "afterHoursEnd")
        if self.half_day_after_hours_end < self.half_day_close:
            what = f'"{self.half_day_after_hours_end:%H:%M}" is before halfDayClose'
            remedy = f'write at least "{self.half_day_close:%H:%M}"'
            yield Unfit(what, remedy, "halfDayAfterHoursEnd")

    def regular_length(self) -> timedelta:
        """How long the regular session of a full day is, by the wall clock."""
        day = date(2000, 1, 3)
        return datetime.combine(day, self.regular_end) - datetime.combine(day, self.regular_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeExecution(Section):
    """The policy of the trade saga: in all, per attempt, and for the fill."""

    timeout: timedelta = key(DEADLINE, 60_000)
    retries: int = key(values.whole(0, 100), 3)
    retry_delay: timedelta = key(DELAY, 1000)
    fill_timeout: timedelta = key(DEADLINE, 30_000)
    send_timeout: timedelta = key(CALL_DEADLINE, 10_000)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        for name, inner in (("fillTimeout", self.fill_timeout), ("sendTimeout", self.send_timeout)):
            if inner > self.timeout:
                what = f"{ms(inner)} is longer than the saga's timeout"
                remedy = f"write at most {ms(self.timeout)}, or raise timeout"
                yield Unfit(what, remedy, name, yields=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sagas(Section):
    """The sagas by kind."""

    trade_execution: TradeExecution = section(TradeExecution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Section):
    """How long a node owns its agent without renewing, and how often it renews."""

    ttl: timedelta = key(milliseconds(1000, MINUTE), 2000)
    renew: timedelta = key(milliseconds(50, MINUTE), 500)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if 2 * self.renew > self.ttl:
            what = f"{ms(self.renew)} leaves no second try within ttl"
            yield Unfit(what, f"write at most {ms(self.ttl) // 2}", "renew")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Section):
    """The default agent: which it is, what it is called, how long its start and stop may take."""

    id: UUID = key(values.identity(DEFAULT_AGENT_ID), "")
    name: str = key(NAME, "default")
    start_timeout: timedelta = key(DEADLINE, 30_000)
    settle_timeout: timedelta = key(DEADLINE, 10_000)
    stop_timeout: timedelta = key(DEADLINE, 20_000)
    failed_cycles_max: int = key(COUNT, 10)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if self.settle_timeout > self.start_timeout:
            what = f"{ms(self.settle_timeout)} is longer than startTimeout"
            yield Unfit(what, f"write at most {ms(self.start_timeout)}", "settleTimeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging(Section):
    """What is logged, and how a line looks."""

    level: LogLevel = key(values.choice(LogLevel), "info")
    format: LogFormat = key(values.choice(LogFormat), "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Section):
    """Everything below `orchestrator:`."""

    server: Server = section(Server)
    cycles: Cycles = section(Cycles)
    trading: Trading = section(Trading)
    sagas: Sagas = section(Sagas)
    database: Database = section(Database)
    event_bus: EventBus = section(EventBus)
    security: Security = section(Security)
    services: Services = section(Services)
    reconciliation: Reconciliation = section(Reconciliation)
    lease: Lease = section(Lease)
    risk: Risk = section(Risk)
    rebalance: Rebalance = section(Rebalance)
    retention: Retention = section(Retention)
    agent: Agent = section(Agent)
    logging: Logging = section(Logging)
    observability: Observability = section(Observability)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        length = self.trading.regular_length()
        if self.risk.entry_cutoff >= length:
            what = f"{ms(self.risk.entry_cutoff)} leaves no time for entries in a regular session"
            yield Unfit(what, f"write less than {ms(length)}", "risk.entryCutoff")
        speaks = self.services.market_data.dialect
        if speaks is Dialect.PLATFORM and self.trading.second_source is SecondSource.MARKET_DATA:
            what = "the platform's market-data knows no sessions"
            yield Unfit(what, "write none", "trading.secondSource")
