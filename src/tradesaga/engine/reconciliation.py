"""The venue's books against ours, in the order in which one explains the other.

    orders      what the venue lists as open, and what we take for open
    fills       an order of ours whose fills differ is looked up; what is missing is booked
    strangers   an order that is not ours is kept and told (`external_orders`), never touched; of
                books in doubt those that ended are fetched, too (`forgotten_orders`)
    positions   what no order explains is drift
    cash        what no fill explains is drift too

Runs with every heartbeat, at each start, and in a loop of its own that is faster than the
heartbeat, or is woken. Only evidence of the venue about an order of ours is booked, the way of
every report: through its saga. A position is never copied. What moved while the lists were read is
left for the next time; a list that could not be read is no list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from structlog import get_logger
from structlog.contextvars import bound_contextvars

from tradesaga.domain.cash import CashDrift
from tradesaga.domain.errors import Refused, Transient
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.orders import ENDED, LIVE, OrderStatus, VenueReport
from tradesaga.domain.schedule import NOT_LATER, next_multiple
from tradesaga.domain.trade_messages import Reported, TradeState
from tradesaga.engine.cash_check import CashCheck
from tradesaga.engine.external_orders import ExternalOrders
from tradesaga.engine.forgotten_orders import ForgottenOrders
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.position_check import Drift, PositionCheck
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.clock import Clock
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.records import Records
from tradesaga.ports.services import AmbiguousMatch, OpenOrder, TradingEngine

log = get_logger()
AT_ONCE_MAX: Final = 20
"""Look-ups in one comparison; the rest is for the next."""
REAL_SECONDS_BETWEEN: Final = 0.5
"""Between two comparisons of the loop, however fast market time goes or news come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one comparison found: open orders at the venue, orders booked anew, drifts."""

    at: datetime
    open_orders: int
    booked: int
    drifts: Sequence[Drift]
    cash: CashDrift | None = None


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """Compares; one comparison at a time. `wake` asks for the next one now."""

    agent_id: AgentId
    venue: TradingEngine
    desk: TradeDesk
    records: Records
    positions: PositionCheck
    strangers: ExternalOrders
    forgotten: ForgottenOrders
    cash: CashCheck
    clock: Clock
    metrics: Metrics
    every: timedelta | None
    every_at_rest: timedelta | None = None
    """While nothing is open or held; None: as ever."""
    later: timedelta = NOT_LATER
    """By how much it falls later than the multiples of `every`."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    last: Comparison | None = None
    began_at: datetime | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def lag(self) -> timedelta:
        """How long ago the last whole comparison was, or the start if there was none."""
        now = self.clock.now()
        since = self.began_at or now if self.last is None else self.last.at
        return now - since

    async def run(self) -> None:
        """Compare for ever. Raises Fenced, Unavailable."""
        if self.every is None:
            return
        while True:
            tick = next_multiple(self.clock.now(), self.every, later=self.later)
            if not await news_or_moment(self.clock, self.wake, tick) and self._rests():
                continue
            self.wake.clear()
            began = self.clock.monotonic()
            await self.try_once()
            left = REAL_SECONDS_BETWEEN - (self.clock.monotonic() - began)
            await asyncio.sleep(max(0.0, left))  # noqa: TID251 -- real time: the venue is real

    def _rests(self) -> bool:
        """Whether there is nothing to compare but strangers, and that was done lately."""
        if self.every_at_rest is None or self.last is None or self.last.drifts:
            return False
        if len(self.desk.trades) or any(self.desk.holdings.positions.values()):
            return False
        return self.clock.now() - self.last.at < self.every_at_rest

    async def try_once(self) -> None:
        """Compare; a venue without an answer is for the next time. Raises Fenced."""
        try:
            await self.run_once()
        except Transient as error:
            self.metrics.error_occurred(ErrorType.RECONCILIATION)
            log.warning("not reconciled", error=str(error), lag=str(self.lag))

    async def run_once(self) -> Comparison:
        """One whole comparison. Raises Transient when a part of it got no answer; Fenced."""
        async with self._turn:
            self.began_at = self.began_at or self.clock.now()
            before = {trade.state.saga.id: trade.state for trade in self.desk.trades}
            listed = await self.venue.open_orders()
            booked = await self._fills(listed, before)
            undead = await self._ended_but_open(listed)
            await self.forgotten.run_once()
            drifts = await self.positions.run(undead)
            for drift in drifts:
                self.metrics.error_occurred(ErrorType.POSITION_DRIFT)
                log.warning(
                    "position drift", symbol=drift.symbol, ours=str(drift.ours),
                    venue=str(drift.venue),
                )  # fmt: skip
            cash = await self.cash.run()
            if cash is not None:
                self.metrics.error_occurred(ErrorType.CASH_DRIFT)
            self.last = Comparison(
                at=self.clock.now(), open_orders=len(listed), booked=booked, drifts=drifts,
                cash=cash,
            )  # fmt: skip
            self.metrics.reconciled(self.last.at, len(drifts) + (cash is not None))
            return self.last

    # ---- orders of ours that are open, or should be -------------------------------------------

    async def _fills(self, listed: Sequence[OpenOrder], before: Mapping[SagaId, TradeState]) -> int:
        """Book what the list says was missed; how many orders it changed."""
        found = {name: each for each in listed for name in _names(each)}
        amiss = [trade for trade in self.desk.trades if _is_amiss(trade, before, found)]
        for trade in amiss[:AT_ONCE_MAX]:
            await self._ask(trade)
        return sum(trade.state is not before[trade.state.saga.id] for trade in amiss[:AT_ONCE_MAX])

    async def _ask(self, trade: OpenTrade) -> VenueReport | None:
        """Look an order up and book the answer, unless something else was booked meanwhile."""
        known = trade.state
        with bound_contextvars(**ids_of(known.order)):
            return await self._looked_up(trade, known)

    async def _looked_up(self, trade: OpenTrade, known: TradeState) -> VenueReport | None:
        try:
            report = await self.venue.look_up(known.order)
        except (Refused, AmbiguousMatch) as error:
            log.info("reconciliation: no answer", error=str(error))
            return None
        if report is None or trade.state is not known:
            return None  # what it means that it is not found is for its saga to say
        await self.desk.book(trade, Reported(report=report), actor="reconciliation")
        if trade.state is not known:
            log.info(
                "reconciliation books what was missed", symbol=known.order.symbol,
                status=report.status, filled=str(report.filled_quantity),
            )  # fmt: skip
        return report

    # ---- orders of ours that have ended, and have not -----------------------------------------

    async def _ended_but_open(self, listed: Sequence[OpenOrder]) -> Mapping[str, str]:
        """Ask about orders that ended for us but are listed; those that live, by symbol.

        What nobody here has ever sent is told to the book of strangers.
        """
        living, strangers = {}, []
        for each in self._not_open_here(listed):
            if self.strangers.knows(each.venue_order_id):
                strangers.append(each)
                continue
            stored = await self.records.trade_of(
                self.agent_id,
                venue_order_id=each.venue_order_id,
                client_order_id=each.client_order_id,
            )
            if stored is None:
                strangers.append(each)
            if stored is None or self.desk.trades.of(stored.saga.id) is not None:
                continue
            trade = self.desk.absent.get(stored.saga.id) or OpenTrade(stored)
            report, order = await self._ask(trade), trade.state.order
            if report is not None and report.status not in ENDED and order.status in ENDED:
                living[each.symbol] = (
                    f"{each.venue_order_id} works there, here it is {order.status}"
                )
        await self.strangers.saw(strangers, listed)
        return living

    def _not_open_here(self, listed: Sequence[OpenOrder]) -> Sequence[OpenOrder]:
        """Those that no open trade knows, now."""
        orders = [trade.state.order for trade in self.desk.trades]
        known = {("client", order.client_order_id) for order in orders}
        known |= {("venue", order.venue_order_id or "") for order in orders}
        return [each for each in listed if known.isdisjoint(_names(each))]


def _names(listed: OpenOrder) -> Iterable[tuple[str, str]]:
    yield "venue", listed.venue_order_id
    if listed.client_order_id is not None:
        yield "client", listed.client_order_id


def _is_amiss(
    trade: OpenTrade,
    before: Mapping[SagaId, TradeState],
    found: Mapping[tuple[str, str], OpenOrder],
) -> bool:
    """Whether the list does not fit the order as it was before and after the list was read."""
    order = trade.state.order
    if order.status not in LIVE or trade.is_sending or before.get(order.saga_id) is not trade.state:
        return False
    listed = found.get(("venue", order.venue_order_id or ""))
    listed = listed or found.get(("client", order.client_order_id))
    if listed is None:
        return order.status is not OrderStatus.UNKNOWN
    return order.status is OrderStatus.UNKNOWN or listed.filled_quantity != order.filled_quantity
