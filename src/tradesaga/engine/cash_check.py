"""Our ledger of cash against the account's: a difference is reported, never copied over ours.

What an open order may have moved that we have not heard of yet is no difference; a fill that was
booked while the account was read leaves the look for the next time. A difference that
`CASH_CHECKS_MAX` looks in a row find is `CASH_DRIFT` on the ladder, until two looks find none, or a
person acknowledges it: then cash is measured anew from what is there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from structlog import get_logger

from tradesaga.domain import cash as ledger
from tradesaga.domain.cash import CashDrift, CashMark
from tradesaga.domain.errors import Conflict, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Cause
from tradesaga.domain.money import AMOUNT_MAX, ZERO, is_sane
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.open_trades import ACTIVE
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Update
from tradesaga.ports.records import Records
from tradesaga.ports.services import TradingEngine

log = get_logger()
CASH_CHECKS_MAX: Final = 3
"""Looks in a row that find a difference before nothing is entered any more."""
WORSE: Final = Decimal("1.5")
"""An order may fill at a worse price than its reference; beyond that it is a matter to look at."""


class CashCheck:
    """Of one agent; without a tolerance, or where the venue knows no account, none is compared."""

    def __init__(
        self,
        *,
        agent_id: AgentId,
        tolerance: Decimal | None,
        venue: TradingEngine,
        desk: TradeDesk,
        ladder: LadderState,
        scribe: Scribe,
        records: Records,
        clock: Clock,
    ) -> None:
        self._agent_id = agent_id
        self._tolerance = tolerance
        self._venue = venue
        self._desk = desk
        self._ladder = ladder
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._mark: CashMark | None = None
        self._differed = 0

    async def run(self) -> CashDrift | None:
        """One look.

        Raises:
            Transient: no answer, of the venue or the database. Fenced.
        """
        if self._tolerance is None or not self._venue.capabilities.has_account:
            return None
        moving, booked = self._moving(), self._desk.holdings.bookings
        cash = (await self._venue.account()).cash
        if not is_sane(cash, AMOUNT_MAX):
            raise Unavailable(f"the account's cash is {cash}, which cannot be")
        if self._desk.holdings.bookings != booked:
            return None
        moving = max(moving, self._moving())
        if self._is_known() or await self._first() is None:
            if moving == ZERO:
                await self._measure_anew(cash)
            return None
        assert self._mark is not None, "read or written just now"
        flow = self._desk.holdings.cash_flow
        found = ledger.difference(self._mark, cash, flow, tolerance=self._tolerance, moving=moving)
        self._tell(found, is_whole=moving == ZERO)
        return found

    def _tell(self, found: CashDrift | None, *, is_whole: bool) -> None:
        """A look that allowed for open orders proves a difference, never that there is none."""
        if found is None:
            self._differed = 0
            if is_whole:
                self._ladder.absent(Cause.CASH_DRIFT)
            return
        self._differed += 1
        log.warning("cash drift", ours=str(found.ours), venue=str(found.venue))
        stands = self._ladder.ladder.standing(Cause.CASH_DRIFT) is not None
        if stands or self._differed >= CASH_CHECKS_MAX:
            self._ladder.enter(Cause.CASH_DRIFT, found.told())

    def _is_known(self) -> bool:
        """Whether a person has acknowledged the difference that is still measured."""
        reason = self._ladder.ladder.standing(Cause.CASH_DRIFT)
        return reason is not None and bool(reason.acknowledged_by) and self._differed > 0

    async def _first(self) -> CashMark | None:
        if self._mark is None:
            self._mark = await self._records.cash_mark(self._agent_id)
            reason = self._ladder.ladder.standing(Cause.CASH_DRIFT)
            self._differed = int(reason is not None)  # as the process before this one had it
        return self._mark

    async def _measure_anew(self, cash: Decimal) -> None:
        """Store from what cash is measured; it counts once it is stored."""
        now, flow = self._clock.now(), self._desk.holdings.cash_flow
        before = self._mark
        if before is None:
            mark = ledger.first_mark(self._agent_id, cash, flow, now)
        else:
            mark = ledger.marked_anew(before, cash, flow, now)
        reason = self._ladder.ladder.standing(Cause.CASH_DRIFT)
        who = "engine" if reason is None else reason.acknowledged_by
        body = {
            "cash": cash,
            "base": mark.base,
            "before": None if before is None else before.base,
            "reason": "first seen" if reason is None else reason.detail,
        }
        entry = Entry(kind="cash.marked", subject=str(self._agent_id), actor=who, body=body)
        row = Insert(mark) if before is None else Update(mark)
        try:
            await self._scribe.fact((row,), (entry,))
        except Conflict:
            self._mark = None  # read anew the next time
            raise
        self._mark, self._differed = mark, 0

    def _moving(self) -> Decimal:
        """What fills that nobody has told us of yet may have moved, at most."""
        orders = (trade.state.order for trade in self._desk.trades)
        return sum(
            (
                (order.quantity - order.filled_quantity) * order.reference_price * WORSE
                for order in orders
                if order.status in ACTIVE
            ),
            ZERO,
        )
