"""Watches two habits that a trading engine may have: to trade by itself, and to forget.

    park     the consumer by which it executes decisions is paused, at the start and with each
             heartbeat; as long as that is not certain nothing is entered (ENGINE_NOT_PARKED)
    adopt    it executes what it hears; nothing is ordered here for those decisions, and its
             orders are kept as foreign ones (`external_orders`)
    off      it is taken at its word that it does not

A younger engine than the one before has forgotten orders and positions: its books are no measure
of ours any more, and what it still does nobody knows. HALTED until a person has looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from structlog import get_logger

from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Transient, Unavailable
from tradesaga.domain.ids import DecisionId
from tradesaga.domain.ladder import Cause
from tradesaga.domain.money import ZERO
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.holdings import Holdings
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.settings import SelfTrading
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import EngineParking, TradingEngine, VenueMemory

log = get_logger()
ENGINE_CONFIDENCE_MIN: Final = Decimal("0.6")
"""From here on the platform's engine executes a decision by itself."""
BIRTH_DOUBT: Final = timedelta(seconds=5)
"""How much later a birth may seem by slow answers; a process needs longer than that to return."""


@dataclass(slots=True, kw_only=True)
class EngineWatch:
    """Of one agent; `parking` and `memory` are None where the venue has no such habit."""

    mode: SelfTrading
    parking: EngineParking | None
    memory: VenueMemory | None
    venue: TradingEngine
    holdings: Holdings
    ladder: LadderState
    board: HealthBoard
    clock: Clock
    _born: float | None = field(default=None, init=False)

    async def check(self) -> None:
        """Both habits; never raises for what the venue or the bus do."""
        await self._park()
        await self._remember()

    async def _park(self) -> None:
        if self.parking is None:
            self.board.self_trading = str(self.mode)
            return
        try:
            await self.parking.park()
        except Unavailable as error:
            self.board.self_trading = "not parked"
            self.ladder.enter(Cause.ENGINE_NOT_PARKED, f"the engine may trade by itself: {error}")
        else:
            self.board.self_trading = "parked"
            self.ladder.absent(Cause.ENGINE_NOT_PARKED)

    async def _remember(self) -> None:
        if self.memory is None:
            return
        try:
            uptime = await self.memory.uptime()
            born, before = self.clock.monotonic() - uptime.total_seconds(), self._born
            if before is None:
                why = await self._nothing_left()
            elif born - before > BIRTH_DOUBT.total_seconds():
                why = f"it began anew {uptime.total_seconds():.0f} s ago"
            else:
                why = ""
            self._born = born
        except Transient as error:  # `health` tells of that
            log.info("the engine's age is not known", error=str(error))
            return
        if why:
            self.ladder.enter(
                Cause.VENUE_FORGOT, f"drift: the engine has lost its memory, {why}", anew=True
            )

    async def _nothing_left(self) -> str:
        """At the first look: whether all that we hold is unknown there."""
        held = [symbol for symbol, q in self.holdings.positions.items() if q != ZERO]
        if not held or await self.venue.positions():
            return ""
        return f"it knows none of the {len(held)} positions"


def left_to_engine(mode: SelfTrading, decisions: Sequence[Decision]) -> set[DecisionId]:
    """Those that the engine executes by itself, so that nobody else may."""
    if mode is not SelfTrading.ADOPT:
        return set()
    return {d.id for d in decisions if (d.confidence or ZERO) >= ENGINE_CONFIDENCE_MIN}
