"""The three neighbours that are called over HTTP: where, how often, in which dialect."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.rate_limit import RateLimit
from tradesaga.config.section import CALL_DEADLINE, DEADLINE, DELAY, HTTP_URL, Section, key, section
from tradesaga.config.values import Unfit


class Dialect(StrEnum):
    """How a neighbour speaks: as specified, or as the platform's real service does."""

    SPECIFICATION = "specification"
    PLATFORM = "platform"


class ClientOrderIds(StrEnum):
    """Whether a trading engine keeps our order id and refuses to take it twice."""

    HONOURED = "honoured"
    IGNORED = "ignored"


class SelfTrading(StrEnum):
    """What is done about an engine that executes decisions by itself.

    AUTO parks the platform's, and leaves one that speaks as specified alone.
    """

    AUTO = "auto"
    PARK = "park"
    ADOPT = "adopt"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerFigures(Section):
    """When a service that fails is left alone, and for how long."""

    failures: int = key(values.whole(1, 1000), 5)
    window: timedelta = key(DEADLINE, 60_000)
    open: timedelta = key(DEADLINE, 30_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Section):
    """A neighbour that is called over HTTP; its default address is that of the AI decisions."""

    url: str = key(HTTP_URL, "http://127.0.0.1:3002")
    timeout: timedelta = key(CALL_DEADLINE, 10_000)
    dialect: Dialect = key(values.choice(Dialect), "specification")
    rate_limit: RateLimit = section(RateLimit)
    breaker: BreakerFigures = section(BreakerFigures)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPrice(Section):
    """What the decision makers cost, in the account's currency; all 0: nothing."""

    per_decision: Decimal = key(values.decimal_from_zero(1_000_000), 0)
    per_million_prompt_tokens: Decimal = key(values.decimal_from_zero(1_000_000), 0)
    per_million_completion_tokens: Decimal = key(values.decimal_from_zero(1_000_000), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionService(Service):
    """The service that decides, and its price."""

    price: DecisionPrice = section(DecisionPrice)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingEngine(Section):
    """The service that takes orders, and what it promises about them."""

    url: str = key(HTTP_URL, "http://127.0.0.1:3001")
    timeout: timedelta = key(CALL_DEADLINE, 10_000)
    dialect: Dialect = key(values.choice(Dialect), "specification")
    start_capital: Decimal = key(values.decimal_upto(1_000_000_000_000), 100_000)
    self_trading: SelfTrading = key(values.choice(SelfTrading), "auto")
    client_order_id: ClientOrderIds = key(values.choice(ClientOrderIds), "ignored")
    visibility_lag: timedelta = key(DELAY, 30_000)
    dedupe_ttl: timedelta = key(DELAY, 0)
    looks_up: bool = key(values.truth, True)
    cancel_on_disconnect: bool = key(values.truth, False)
    rate_limit: RateLimit = section(RateLimit)
    breaker: BreakerFigures = section(BreakerFigures)

    @override
    def conflicts(self) -> Iterator[Unfit]:
        honours = self.client_order_id is ClientOrderIds.HONOURED
        if self.dialect is Dialect.PLATFORM and honours:
            what = "the platform's engine keeps no id of ours"
            yield Unfit(what, "write ignored", "clientOrderId")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(Section):
    """All of them."""

    trading_engine: TradingEngine = section(TradingEngine)
    ai_decision: DecisionService = section(DecisionService)
    market_data: Service = section(Service, url="http://127.0.0.1:3003")
