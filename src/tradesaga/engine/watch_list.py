"""Orders that were proven absent, looked for again: to the end of their session, and at a start.

Absence is a proof by reads and time, and a venue may be slower than the time it was given. Such an
order stays on the watch list; when it appears it is adopted: its fills are booked, the rest is
cancelled, its saga is open again. The list is derived from the orders' rows, so a new process has
the same one. Refuses to guess: while another order of ours on the symbol waits for its id, or when
the id found belongs to another order, nothing is adopted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from structlog import get_logger
from structlog.contextvars import bound_contextvars

from tradesaga.domain.errors import Refused, Transient
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market import Calendar
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.domain.trade_messages import Reported
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import Records
from tradesaga.ports.services import AmbiguousMatch, TradingEngine

log = get_logger()
BACK_AT_START = timedelta(days=7)
"""How old an order may be that the next start still looks for."""
WITHOUT_SESSIONS = timedelta(days=1)
"""How long it is looked for where the calendar knows no session."""
AT_ONCE_MAX = 20
"""Look-ups in one check; the rest is for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchList:
    """Looks for what the desk has on its list."""

    agent_id: AgentId
    desk: TradeDesk
    venue: TradingEngine
    records: Records
    calendar: Calendar
    clock: Clock

    async def load(self) -> None:
        """Take up what a former process had, and look for it once, also beyond its session."""
        since = self.clock.now() - BACK_AT_START
        for state in await self.records.absent_trades(self.agent_id, since):
            self.desk.watch(OpenTrade(state))
        await self.check()

    async def check(self) -> None:
        """Look for the longest unseen ones; an answer after their session ends the watch."""
        for trade in tuple(self.desk.absent.values())[:AT_ONCE_MAX]:
            saga_id = trade.state.saga.id
            try:
                with bound_contextvars(**ids_of(trade.state.order)):
                    report = await self._found(trade.state.order)
            except (Transient, Refused) as error:
                ids = ids_of(trade.state.order)
                log.info("watch list: no answer", **ids, error=str(error))
                return
            if self.desk.absent.pop(saga_id, None) is None:
                continue  # it has been heard of meanwhile
            if report is not None:
                await self.desk.book(trade, Reported(report=report), actor="watch")
            if trade.state.order.status is OrderStatus.NOT_PLACED and not self._is_over(trade):
                self.desk.watch(trade)  # to the end of the list

    async def _found(self, order: Order) -> VenueReport | None:
        by_traits = not self.venue.capabilities.query_by_client_id
        if by_traits and self.desk.trades.expects_id_for(order.symbol):
            return None
        try:
            report = await self.venue.look_up(order)
        except AmbiguousMatch as error:
            log.warning("watch list: several orders could be it", error=str(error))
            return None
        if report is None or (by_traits and self.desk.trades.expects_id_for(order.symbol)):
            return None
        owner = await self.records.trade_of(
            self.agent_id, venue_order_id=report.venue_order_id, client_order_id=None
        )
        return report if owner is None or owner.order.id == order.id else None

    def _is_over(self, trade: OpenTrade) -> bool:
        """Whether the session in which the order was made has ended."""
        made, now = trade.state.order.created_at, self.clock.now()
        session = self.calendar.regular_at(made)
        end: datetime = made + WITHOUT_SESSIONS if session is None else session.close
        return now >= end
