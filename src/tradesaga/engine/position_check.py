"""Our books against the venue's: a difference is reported, never copied over our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from tradesaga.domain.money import ZERO
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.services import TradingEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One symbol on which the books differ."""

    symbol: str
    ours: Decimal
    venue: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """Compares signed quantities; symbols that move at this moment are left for the next time."""

    venue: TradingEngine
    desk: TradeDesk

    async def run(self) -> tuple[Drift, ...]:
        """The differences. Raises Transient: no answer is not a venue without positions."""
        before = self._moving()
        booked = self.desk.holdings.bookings
        theirs = {p.symbol: p.quantity for p in await self.venue.positions()}
        if self.desk.holdings.bookings != booked:
            return ()  # a fill came in between the two looks: they show different moments
        ours = self.desk.holdings.positions
        still = {*theirs, *ours} - {*before, *self._moving()}
        return tuple(
            Drift(symbol=s, ours=ours.get(s, ZERO), venue=theirs.get(s, ZERO))
            for s in sorted(still)
            if ours.get(s, ZERO) != theirs.get(s, ZERO)
        )

    def _moving(self) -> Mapping[str, Decimal]:
        return self.desk.trades.working()
