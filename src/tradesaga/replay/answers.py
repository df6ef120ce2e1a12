"""The neighbours of a recorded life: they answer what was answered then, in the turn of then.

Nobody is asked anything: no venue, no model. A question that is not on the tape gets Unavailable,
and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradesaga.domain.errors import (
    Conflict,
    DeadlineExceeded,
    Fenced,
    IllegalTransition,
    Invalid,
    NotFound,
    NotSent,
    Refused,
    Rejected,
    Stale,
    Throttled,
    TradesagaError,
    Unavailable,
)
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.ports.clock import Offset
from tradesaga.ports.services import (
    Account,
    AmbiguousMatch,
    Capabilities,
    Health,
    OpenOrder,
    VenuePosition,
)
from tradesaga.replay.tape import Line
from tradesaga.replay.telling import Telling, ToldClock


@dataclass(slots=True)
class Answers:
    """The recorded calls; `missing` names those that were asked and are not on the tape."""

    telling: Telling
    clock: ToldClock
    missing: list[str] = field(default_factory=list)

    async def answer(self, name: str, key: str, form: Any) -> Any:
        """The recorded answer, in its turn. Raises the recorded error."""
        line = await self.telling.line_of(name, key)
        if line is None:
            what = f"{name} {key}".rstrip()
            self.missing.append(f"{self.clock.standing:%Y-%m-%d %H:%M:%S}Z {what}")
            raise Unavailable(f"the recording has no answer to {what}")
        if line.error:
            raise error_of(line)
        return msgspec.json.decode(line.body, type=form)


def error_of(line: Line) -> Exception:
    """The error that was noted, as far as anybody tells errors apart."""
    match line.error:
        case "Refused":
            return Refused(line.text, code=line.code)
        case "AmbiguousMatch":
            return AmbiguousMatch(line.text)
        case "Invalid":
            return Invalid([line.text])
        case _:
            return _KINDS.get(line.error, Unavailable)(line.text)


_KINDS: Final[Mapping[str, Callable[[str], TradesagaError]]] = {
    kind.__name__: kind
    for kind in (
        *(Conflict, DeadlineExceeded, Fenced, IllegalTransition, NotFound, NotSent, Rejected),
        *(Stale, Throttled, Unavailable),
    )
}


@dataclass(frozen=True, slots=True)
class RecordedVenue:
    """Implements `ports.services.TradingEngine`."""

    answers: Answers
    capabilities: Capabilities
    sent: Callable[[str], object]
    """Told of the client order id of each submit."""

    async def submit(self, order: Order) -> VenueReport:
        """As the port."""
        self.sent(order.client_order_id)
        report: VenueReport = await self.answers.answer(
            "submit", order.client_order_id, VenueReport
        )
        return report

    async def look_up(self, order: Order) -> VenueReport | None:
        """As the port."""
        report: VenueReport | None = await self.answers.answer(
            "look_up", order.client_order_id, VenueReport | None
        )
        return report

    async def cancel(self, venue_order_id: str) -> None:
        """As the port."""
        await self.answers.answer("cancel", venue_order_id, None)

    async def account(self) -> Account:
        """As the port."""
        account: Account = await self.answers.answer("account", "", Account)
        return account

    async def positions(self) -> Sequence[VenuePosition]:
        """As the port."""
        held: list[VenuePosition] = await self.answers.answer("positions", "", list[VenuePosition])
        return held

    async def open_orders(self) -> Sequence[OpenOrder]:
        """As the port."""
        found: list[OpenOrder] = await self.answers.answer("open_orders", "", list[OpenOrder])
        return found

    async def health(self) -> Health:
        """As the port."""
        return await _health(self.answers, "trading-engine")


@dataclass(frozen=True, slots=True)
class RecordedMarketData:
    """Implements `ports.services.MarketData`."""

    answers: Answers

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """As the port."""
        found: dict[str, Quote] = await self.answers.answer(
            "quotes", ",".join(symbols), dict[str, Quote]
        )
        return found

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """As the port."""
        found: dict[str, list[Decimal]] = await self.answers.answer(
            "daily_closes", ",".join(symbols), dict[str, list[Decimal]]
        )
        return found

    async def market_status(self) -> MarketStatus:
        """As the port."""
        status: MarketStatus = await self.answers.answer("market_status", "", MarketStatus)
        return status

    async def health(self) -> Health:
        """As the port."""
        return await _health(self.answers, "market-data")


@dataclass(frozen=True, slots=True)
class RecordedDecisions:
    """Implements `ports.services.DecisionService`."""

    answers: Answers

    async def health(self) -> Health:
        """As the port."""
        return await _health(self.answers, "ai-decision")


@dataclass(frozen=True, slots=True)
class RecordedClock:
    """Implements `ports.clock.OtherClock`."""

    answers: Answers
    name: str

    async def offset(self) -> Offset:
        """As the port."""
        found: Offset = await self.answers.answer("clock", self.name, Offset)
        return found


async def _health(answers: Answers, service: str) -> Health:
    try:
        health: Health = await answers.answer("health", service, Health)
    except Unavailable:
        return Health.UNREACHABLE
    return health
