"""Our positions against the venue's: a difference is reported, never copied over our own.

What cannot be compared at this moment is left out, not taken for equal: a symbol on which an order
of ours works may move between the two looks, and after a fill in between they show different
moments altogether. What a comparison means for the agent is for `LadderWatch` to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
class Look:
    """What the venue holds, and what was under way when it was asked."""

    theirs: Mapping[str, Decimal]
    moving: Collection[str]
    booked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """Compares signed quantities, and tells `causes` what was found."""

    venue: TradingEngine
    desk: TradeDesk
    causes: LadderWatch

    async def run(self, also: Mapping[str, str] = NOTHING) -> tuple[Drift, ...]:
        """Look and compare. Raises as `look`."""
        return self.compare(await self.look(), also)

    async def look(self) -> Look:
        """Ask the venue.

        Raises:
            Transient: no answer; that is not a venue without positions.
        """
        moving, booked = self.desk.trades.working(), self.desk.holdings.bookings
        theirs = {p.symbol: p.quantity for p in await self.venue.positions()}
        return Look(theirs=theirs, moving=moving, booked=booked)

    def compare(self, look: Look, also: Mapping[str, str] = NOTHING) -> tuple[Drift, ...]:
        """The differences; `also` says by symbol what else differs, besides the positions."""
        if self.desk.holdings.bookings != look.booked:
            return ()
        theirs, ours = look.theirs, self.desk.holdings.positions
        left_out = {*look.moving, *self.desk.trades.working()}
        drifts = tuple(
            Drift(symbol=s, ours=ours.get(s, ZERO), venue=theirs.get(s, ZERO))
            for s in sorted({*theirs, *ours} - left_out)
            if ours.get(s, ZERO) != theirs.get(s, ZERO)
        )
        differing = {d.symbol: f"we hold {d.ours:f}, the venue {d.venue:f}" for d in drifts}
        self.causes.positions({**also, **differing}, left_out=left_out - {*also})
        return drifts
