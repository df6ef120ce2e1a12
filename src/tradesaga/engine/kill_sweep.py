"""Taking own working entry orders from the venue at once, without waiting for the journal.

Each order is asked to be cancelled and looked up until the venue gives its verdict, a few at a
time. Nothing is booked here: the order's saga is told to cancel and books what it hears whenever
the database takes it; asking the venue twice for one cancel does no harm. What has no verdict
after `VERDICT_SECONDS_MAX` is escalated and goes on with its saga. Exits are left at the venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from structlog import get_logger
from structlog.contextvars import bind_contextvars

from tradesaga.domain.errors import Refused, Transient
from tradesaga.domain.orders import ENDED, Order, OrderStatus
from tradesaga.domain.trade_messages import CancelWanted, Reported
from tradesaga.domain.values import changed
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import AmbiguousMatch, TradingEngine

log = get_logger()
VERDICT_SECONDS_MAX: Final = 5.0
AT_ONCE_MAX: Final = 16
"""Requests to the venue at a time: within the connections that are kept for cancels."""
SENDING_LOOK_SECONDS: Final = 0.01
LOOK_SECONDS: Final = (0.1, 0.2, 0.4, 0.8)


class Fate(StrEnum):
    """What became of an order under the kill switch."""

    PENDING = "pending"
    ASKED = "asked"
    NEVER_SENT = "never_sent"
    ENDED = "ended"
    UNRESOLVED = "unresolved"


@dataclass(slots=True, kw_only=True)
class Swept:
    """One order; `asked_at` is monotonic, of the moment when its first cancel was out."""

    order: Order
    fate: Fate = Fate.PENDING
    asked_at: float | None = None
    said: str = ""


@dataclass(slots=True, kw_only=True)
class Sweep:
    """One run of the sweep; `asked` is set once every cancel that can be asked for was."""

    why: str
    at: datetime
    began: float
    orders: list[Swept] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    ended: float | None = None

    def count(self, *fates: Fate) -> int:
        """How many orders have one of these fates."""
        return sum(1 for swept in self.orders if swept.fate in fates)

    @property
    def unresolved(self) -> Sequence[Swept]:
        """What was escalated."""
        return [swept for swept in self.orders if swept.fate is Fate.UNRESOLVED]


@dataclass(slots=True, kw_only=True)
class KillSweep:
    """Sweeps; one order is in the hands of one sweep at a time."""

    venue: TradingEngine
    clock: Clock
    _in_hand: set[str] = field(default_factory=set)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_MAX))

    async def run(self, sweep: Sweep, trades: Iterable[OpenTrade]) -> None:
        """Bring all in, at most for `VERDICT_SECONDS_MAX` of real time; never raises."""
        mine = [t for t in trades if t.state.order.client_order_id not in self._in_hand]
        names = {t.state.order.client_order_id for t in mine}
        self._in_hand |= names
        pairs = [(trade, Swept(order=trade.state.order)) for trade in mine]
        sweep.orders.extend(swept for _, swept in pairs)
        try:
            async with asyncio.timeout(VERDICT_SECONDS_MAX), asyncio.TaskGroup() as group:
                group.create_task(self._watch_asking(sweep), name="kill: asked")
                for trade, swept in pairs:
                    group.create_task(self._bring_in(trade, swept), name="kill: order")
        except TimeoutError:
            pass  # what has no verdict is told below
        finally:
            self._in_hand -= names
            sweep.asked.set()
        for trade, swept in pairs:
            if swept.fate in (Fate.PENDING, Fate.ASKED):
                swept.fate = Fate.UNRESOLVED
            if swept.fate is not Fate.NEVER_SENT:
                trade.wish_cancel(sweep.why)
        sweep.ended = self.clock.monotonic()

    async def _watch_asking(self, sweep: Sweep) -> None:
        while sweep.count(Fate.PENDING):
            await _pause(SENDING_LOOK_SECONDS)
        sweep.asked.set()

    async def _bring_in(self, trade: OpenTrade, swept: Swept) -> None:
        bind_contextvars(**ids_of(swept.order))
        while trade.is_sending:  # its answer has the id, or its failure says to look
            await _pause(SENDING_LOOK_SECONDS)
        swept.order = _known(trade)
        if swept.order.status is OrderStatus.INTENT:
            swept.fate = Fate.NEVER_SENT  # the gate is closed: it never will be
            return
        looks = 0
        while True:
            if trade.state.order.status in ENDED:  # an event was faster
                swept.order, swept.fate = trade.state.order, Fate.ENDED
                return
            async with self._room:
                if await self._ask(swept):
                    return
            await _pause(LOOK_SECONDS[min(looks, len(LOOK_SECONDS) - 1)])
            looks += 1

    async def _ask(self, swept: Swept) -> bool:
        """Cancel what was not asked yet, then look; whether the venue gave its verdict."""
        try:
            if swept.asked_at is None and swept.order.venue_order_id is not None:
                # Out, as far as we can tell, even if its answer never comes.
                swept.asked_at, swept.fate = self.clock.monotonic(), Fate.ASKED
                await self.venue.cancel(swept.order.venue_order_id)
                return False
            report = await self.venue.look_up(swept.order)
        except (Transient, Refused, AmbiguousMatch) as error:
            swept.said = str(error)
            return False
        if report is None:
            swept.said = "the venue does not find it"
            return False
        swept.order = changed(
            swept.order, venue_order_id=swept.order.venue_order_id or report.venue_order_id
        )
        swept.said = f"{report.source}: {report.status}"
        if report.status in ENDED:
            swept.fate = Fate.ENDED
            return True
        return False


def _known(trade: OpenTrade) -> Order:
    """The order with the id that the venue's answer gave it, booked or not."""
    order, unbooked = trade.state.order, trade.unbooked
    if order.status is not OrderStatus.INTENT:
        return order
    match unbooked:
        case None | CancelWanted():  # the gate refused it before it was sent
            return order
        case Reported(report=report):
            return changed(
                order, status=OrderStatus.WORKING, venue_order_id=report.venue_order_id or None
            )
        case _:
            return changed(order, status=OrderStatus.UNKNOWN)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)  # noqa: TID251 -- real time: the venue is real
