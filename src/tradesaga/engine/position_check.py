"""Our positions against the venue's: a difference is reported, never copied over our own.

What cannot be compared at this moment is left out, not taken for equal: a symbol on which an order
of ours works may move between the two looks, and after a fill in between they show different
moments altogether. What a comparison means for the agent is for `LadderWatch` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tradesaga.domain.money import ZERO
from tradesaga.engine.ladder_watch import LadderWatch
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.services import TradingEngine

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One symbol on which the books differ."""

    symbol: str
    ours: Decimal
    venue: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """Compares signed quantities, and tells `causes` what was found."""

    venue: TradingEngine
    desk: TradeDesk
    causes: LadderWatch

    async def run(self, also: Mapping[str, str] = NOTHING) -> tuple[Drift, ...]:
        """The differences; `also` says by symbol what else differs, besides the positions.

        Raises:
            Transient: no answer; that is not a venue without positions.
        """
        moving = self.desk.trades.working()
        booked = self.desk.holdings.bookings
        theirs = {p.symbol: p.quantity for p in await self.venue.positions()}
        if self.desk.holdings.bookings != booked:
            return ()
        ours = self.desk.holdings.positions
        left_out = {*moving, *self.desk.trades.working()}
        drifts = tuple(
            Drift(symbol=s, ours=ours.get(s, ZERO), venue=theirs.get(s, ZERO))
            for s in sorted({*theirs, *ours} - left_out)
            if ours.get(s, ZERO) != theirs.get(s, ZERO)
        )
        differing = {d.symbol: f"we hold {d.ours:f}, the venue {d.venue:f}" for d in drifts}
        self.causes.positions({**also, **differing}, left_out=left_out - {*also})
        return drifts
