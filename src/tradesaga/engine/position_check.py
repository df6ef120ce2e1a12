"""Our books against the venue's: a difference is reported, never copied over our own.

A symbol whose difference does not heal in three checks in a row is quarantined: nothing opens on it
until a check finds it equal. The count begins anew with each process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from structlog import get_logger

from tradesaga.domain.money import ZERO
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.saga_operations import LockReason, SymbolLock
from tradesaga.ports.services import TradingEngine

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One symbol on which the books differ."""

    symbol: str
    ours: Decimal
    venue: Decimal


CHECKS_TO_HEAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """Compares signed quantities; symbols that move at this moment are left for the next time."""

    venue: TradingEngine
    desk: TradeDesk
    clock: Clock
    _unhealed: dict[str, int] = field(default_factory=dict)

    async def run(self) -> tuple[Drift, ...]:
        """The differences. Raises Transient: no answer is not a venue without positions."""
        before = self._moving()
        booked = self.desk.holdings.bookings
        theirs = {p.symbol: p.quantity for p in await self.venue.positions()}
        if self.desk.holdings.bookings != booked:
            return ()  # a fill came in between the two looks: they show different moments
        ours = self.desk.holdings.positions
        still = {*theirs, *ours} - {*before, *self._moving()}
        drifts = tuple(
            Drift(symbol=s, ours=ours.get(s, ZERO), venue=theirs.get(s, ZERO))
            for s in sorted(still)
            if ours.get(s, ZERO) != theirs.get(s, ZERO)
        )
        self._quarantine(still, drifts)
        return drifts

    @property
    def unhealed(self) -> Mapping[str, int]:
        """By symbol: how many looks in a row found another position at the venue."""
        return dict(self._unhealed)

    def _quarantine(self, looked_at: set[str], drifts: tuple[Drift, ...]) -> None:
        """Lock what does not heal; let go of what was found equal, not of what moves."""
        differs = {drift.symbol for drift in drifts}
        for symbol in looked_at - differs:
            self._unhealed.pop(symbol, None)
            if self.desk.quarantined.pop(symbol, None) is not None:
                log.info("quarantine ends: the books agree", symbol=symbol)
        for drift in drifts:
            count = self._unhealed[drift.symbol] = self._unhealed.get(drift.symbol, 0) + 1
            if count >= CHECKS_TO_HEAL and drift.symbol not in self.desk.quarantined:
                detail = f"we hold {drift.ours}, the venue {drift.venue}"
                self.desk.quarantined[drift.symbol] = SymbolLock(
                    symbol=drift.symbol,
                    reason=LockReason.QUARANTINE,
                    detail=detail,
                    since=self.clock.now(),
                )
                log.error("symbol is quarantined", symbol=drift.symbol, detail=detail)

    def _moving(self) -> Mapping[str, Decimal]:
        return self.desk.trades.working()
