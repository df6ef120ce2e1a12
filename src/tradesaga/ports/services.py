"""The neighbour services as the engine needs them. Every call is bounded in time by its adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.orders import Order, Side, VenueReport


class Health(StrEnum):
    """What a service says of itself; UNREACHABLE is our word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The venue's account; all amounts in dollars."""

    account_id: str
    equity: Decimal
    cash: Decimal
    buying_power: Decimal
    blocked: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """A position as the venue has it; `quantity` is signed."""

    symbol: str
    quantity: Decimal
    average_entry_price: Decimal
    current_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An order that the venue may still fill, ours or not; `type` is the venue's word.

    `filled_quantity` is what stands of its fills. `client_order_id` is None where the venue keeps
    none, `decision_id` that of the decision for which the venue made it by itself.
    """

    venue_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    type: str
    quantity: Decimal
    filled_quantity: Decimal
    limit_price: Decimal | None
    created_at: datetime | None
    decision_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a venue has been shown to do (contract test), from which the saga chooses its path.

    `dedupe_ttl`: how long it remembers a client order id, None for ever. `looks_up`: an order
    whose venue id is not known can be found, by client id or by its traits. `closes_in_part`: an
    exit may be smaller than its position. `has_account`: equity and cash are told, not reckoned.
    """

    dedupes: bool
    query_by_client_id: bool
    visibility_lag: timedelta
    dedupe_ttl: timedelta | None = None
    looks_up: bool = True
    cancel_on_disconnect: bool = False
    closes_in_part: bool = True
    has_account: bool = True


class AmbiguousMatch(Exception):
    """A look-up found several orders that could be ours; the message names them."""


class OrderHistory(Protocol):
    """What a venue still lists of orders that have ended."""

    async def ended_orders(self) -> Sequence[OpenOrder]:
        """All of the account, as they stood at their end, in no order.

        Raises:
            Transient: no usable answer, or more orders than the bound: never "no orders".
        """
        ...


class TradingEngine(Protocol):
    """The venue. A timeout, a lost connection, a 5xx and a 429 raise Transient: outcome unknown."""

    @property
    def capabilities(self) -> Capabilities:
        """Fixed for the life of the adapter."""
        ...

    async def submit(self, order: Order) -> VenueReport:
        """Send the order under its client order id.

        Raises:
            NotSent: it may not be sent at the instant it would be; nobody heard of it. As
                Throttled: it would be one too many for the venue.
            Refused: refused in so many words; it was not placed.
            Transient: nobody knows (a duplicate client order id too: look it up).
        """
        ...

    async def look_up(self, order: Order) -> VenueReport | None:
        """What the venue knows of the order, by venue id, else client id, else by its traits.

        Raises:
            AmbiguousMatch: several orders could be it.
            Transient: no usable answer; says nothing about the order.
        """
        ...

    async def cancel(self, venue_order_id: str) -> None:
        """Ask for a cancel; also returns when the venue says that nothing is left to cancel.

        Raises:
            Transient: nobody knows.
        """
        ...

    async def account(self) -> Account:
        """Equity, cash, buying power. Raises Transient."""
        ...

    async def positions(self) -> Sequence[VenuePosition]:
        """All open positions. Raises Transient; a failed read is never "flat"."""
        ...

    async def open_orders(self) -> Sequence[OpenOrder]:
        """All orders of the account that may still fill, in no order, at most some thousands.

        An order may miss that was placed, and one be listed that ended, while the list was read.

        Raises:
            Transient: no usable answer, or more orders than the bound: never "no orders".
        """
        ...

    async def health(self) -> Health:
        """UNREACHABLE instead of raising."""
        ...


class VenueMemory(Protocol):
    """A venue that keeps its books in memory alone."""

    async def uptime(self) -> timedelta:
        """How long it has lived: what was before it does not know. Raises Transient."""
        ...


class EngineParking(Protocol):
    """The brake on a trading engine that executes decisions by itself."""

    async def park(self) -> None:
        """Return when it is certain that it executes none, now and until somebody releases it.

        Raises:
            Unavailable: it is not certain; it may be trading.
        """
        ...


class MarketData(Protocol):
    """Prices."""

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """The last known quote of each symbol, missing where there is none. Raises Transient."""
        ...

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """The closes of the last whole days, at most `number`, the first day first.

        A symbol without any is missing. Splits and dividends are as the service has them. Raises
        Transient.
        """
        ...

    async def market_status(self) -> MarketStatus:
        """Whether the market is open, and when that changes. Raises Transient."""
        ...

    async def health(self) -> Health:
        """UNREACHABLE instead of raising."""
        ...


class DecisionService(Protocol):
    """The ai-decision service beside the bus: decisions are asked for by event."""

    async def health(self) -> Health:
        """UNREACHABLE instead of raising."""
        ...
