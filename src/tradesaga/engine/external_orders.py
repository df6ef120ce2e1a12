"""Orders of others on our account: stored, told, never touched.

Seen in the venue's list of open orders, or heard of by an event. In a symbol that we trade one is
FOREIGN_ORDER on the ladder, once, until a person knows of it; a stray, which bears an id of our
shape, is STRAY_ORDER on any symbol, with an alert; a forgotten one, which was ours before the books
were set back, is BOOKS_IN_DOUBT, too. The ladder is told before the row says so: who
dies between the two tells it again. While an order of ours waits for its id and the venue keeps
none of ours, one without an id is left for later: it may be ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from structlog import get_logger

from tradesaga.domain import external
from tradesaga.domain.errors import Conflict, Fenced
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Cause, Scope, ScopeKind
from tradesaga.domain.orders import ENDED, VenueReport
from tradesaga.engine.former_books import FormerBooks
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, InboxEntry, Insert, Row, Update
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.records import Records
from tradesaga.ports.services import OpenOrder

log = get_logger()
KNOWN_MAX: Final = 1000
"""Orders remembered; older ones are read again when they are met."""
NEW_AT_ONCE_MAX: Final = 50
"""Rows written in one comparison; the rest is for the next."""


@dataclass(slots=True, kw_only=True)
class ExternalOrders:
    """The book of them. `traded` are the symbols that matter to the agent now."""

    agent_id: AgentId
    scribe: Scribe
    records: Records
    desk: TradeDesk
    ladder: LadderState
    former: FormerBooks
    clock: Clock
    metrics: Metrics
    traded: Callable[[], Collection[str]]
    _known: dict[str, ExternalOrder] = field(default_factory=dict)
    _loaded: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def knows(self, venue_order_id: str) -> bool:
        """Whether it is one of those that are remembered."""
        return venue_order_id in self._known

    @property
    def open(self) -> int:
        """How many of those that are remembered may still fill."""
        return sum(order.state is ExternalState.OPEN for order in self._known.values())

    async def saw(self, strangers: Sequence[OpenOrder], listed: Iterable[OpenOrder]) -> None:
        """The venue lists `listed` as open, of which nobody here knows `strangers`.

        Raises:
            Unavailable: the journal takes no more, or the database is away. Fenced.
        """
        async with self._turn:
            await self._load()
            for each in strangers[:NEW_AT_ONCE_MAX]:
                if self.desk.trades.find(each.venue_order_id, each.client_order_id) is not None:
                    continue  # its reply has come since the list was compared
                if not self._may_be_ours(each.symbol, each.client_order_id):
                    await self._saw_one(each)
            names = {each.venue_order_id for each in listed}
            unknown = {each.venue_order_id for each in strangers}
            for order in self._open():
                await self._look_after(order, names, unknown)

    async def import_ended(self, each: OpenOrder) -> bool:
        """Keep one that has ended and that the books have forgotten; False for one that is kept.

        Raises:
            Unavailable, Fenced: as `saw`.
        """
        async with self._turn:
            await self._load()
            if await self._remembered(each.venue_order_id) is not None:
                return False
            order = self._of_listed(each, ExternalState.GONE)
            # The ladder stands already: that is why it was looked for.
            order = replace(order, kind=ExternalKind.FORGOTTEN, warned_at=order.seen_at)
            return await self._write(order, is_new=True)

    async def heard(self, report: VenueReport, inbox: InboxEntry) -> None:
        """An event tells of an order that nobody here knows.

        Raises:
            Conflict: the event was taken before.
            Unavailable, Fenced: as `saw`.
        """
        async with self._turn:
            await self._load()
            if self._may_be_ours(report.symbol, report.client_order_id) or not report.symbol:
                await self._note(inbox, report.venue_order_id)
                return
            known = await self._remembered(report.venue_order_id)
            state = ExternalState.GONE if report.status in ENDED else ExternalState.OPEN
            if known is not None and known.state is not ExternalState.OPEN:
                state = known.state  # an event may be older than what was seen
            before = known or self._of_report(report, state)
            after = external.seen_again(
                before,
                state=state,
                filled=report.filled_quantity,
                now=self.clock.now(),
                decision_id=report.decision_id,
            )
            if known is None or after is not known:
                await self._write(after, is_new=known is None, also=(Insert(inbox),))
            else:
                await self._note(inbox, report.venue_order_id)
            await self._warn(after)

    # ---- one order ------------------------------------------------------------------------------

    async def _saw_one(self, each: OpenOrder) -> None:
        known = await self._remembered(each.venue_order_id)
        if known is None:
            order = self._of_listed(each, ExternalState.OPEN)
            if not await self._write(order, is_new=True):
                return
            known = order
        after = external.seen_again(
            known,
            state=ExternalState.OPEN,
            filled=each.filled_quantity,
            now=self.clock.now(),
            decision_id=each.decision_id,
        )
        if after is not known and not await self._write(after):
            return
        await self._warn(after)

    async def _look_after(
        self, order: ExternalOrder, listed: Collection[str], unknown: Collection[str]
    ) -> None:
        """It is listed no more, or an order of ours has its id."""
        if order.venue_order_id in unknown:
            return
        ours = self.desk.trades.find(order.venue_order_id, None) is not None
        if order.venue_order_id in listed and not ours:
            return
        state = ExternalState.OURS if ours else ExternalState.GONE
        now, filled = self.clock.now(), order.filled_quantity
        await self._write(external.seen_again(order, state=state, filled=filled, now=now))

    async def _warn(self, order: ExternalOrder) -> None:
        """Tell the ladder, once; of one under our id always, else when we trade the symbol."""
        bears_our_id = order.kind is not ExternalKind.EXTERNAL
        if order.warned_at is not None or not order.matters:
            return
        if not bears_our_id and order.symbol not in self.traded():
            return
        cause = Cause.STRAY_ORDER if bears_our_id else Cause.FOREIGN_ORDER
        what = "an order with an id of our shape" if bears_our_id else "an order that is not ours"
        self.ladder.enter(
            cause, f"{what}: {order.venue_order_id}", scope=Scope(ScopeKind.SYMBOL, order.symbol)
        )
        await self.ladder.write()
        if order.kind is ExternalKind.FORGOTTEN:
            await self.former.in_doubt(
                f"the venue has {order.venue_order_id}, sent under our id {order.client_order_id}, "
                "and the books here do not have it: they were set back"
            )
        await self._write(external.warned(order, self.clock.now()))

    # ---- the rows -------------------------------------------------------------------------------

    async def _write(
        self, order: ExternalOrder, *, is_new: bool = False, also: Sequence[Row] = ()
    ) -> bool:
        """Commit the row; False when another hand was first and it has been read again."""
        row = Insert(order) if is_new else Update(order)
        try:
            await self.scribe.fact((row, *also), self._said(order, is_new=is_new))
        except Fenced:
            raise
        except Conflict:
            self._known.pop(order.venue_order_id, None)
            if also:
                raise
            return False
        self._remember(order)
        if is_new:
            self.metrics.error_occurred(ErrorType(f"{order.kind}_order"))
            log.error(
                "an order that is not ours", kind=order.kind, venue_order_id=order.venue_order_id,
                symbol=order.symbol, client_order_id=order.client_order_id,
            )  # fmt: skip
        return True

    def _said(self, order: ExternalOrder, *, is_new: bool) -> tuple[Entry, ...]:
        body = {
            "venueOrderId": order.venue_order_id,
            "clientOrderId": order.client_order_id,
            "symbol": order.symbol,
            "side": order.side,
            "quantity": order.quantity,
            "filled": order.filled_quantity,
            "kind": order.kind,
            "state": order.state,
        }
        subject = str(order.id)
        is_told = order.warned_at is not None
        kind = "order.external.told" if is_told and not is_new else "order.external"
        said = [Entry(kind=kind, subject=subject, actor="reconciliation", body=body)]
        if is_new and order.kind is not ExternalKind.EXTERNAL and not is_told:
            alert = {"alert": "an order with an id of our shape that we do not know", **body}
            said.append(Entry(kind="alert", subject=subject, actor="reconciliation", body=alert))
        return tuple(said)

    async def _note(self, inbox: InboxEntry, venue_order_id: str) -> None:
        body = {"venueOrderId": venue_order_id}
        entry = Entry(kind="order.external", subject=inbox.event_id, actor="engine", body=body)
        await self.scribe.fact((Insert(inbox),), (entry,))

    async def _load(self) -> None:
        if self._loaded:
            return
        found = await self.records.external_orders(self.agent_id, limit=KNOWN_MAX)
        for order in reversed(found):
            self._remember(order)
        self._loaded = True

    async def _remembered(self, venue_order_id: str) -> ExternalOrder | None:
        known = self._known.get(venue_order_id)
        if known is None:
            found = await self.records.external_orders(
                self.agent_id, limit=1, venue_order_id=venue_order_id
            )
            known = found[0] if found else None
        if known is not None:
            self._remember(known)
        return known

    def _remember(self, order: ExternalOrder) -> None:
        self._known.pop(order.venue_order_id, None)
        self._known[order.venue_order_id] = order
        if len(self._known) > KNOWN_MAX:
            settled = (o for o in self._known.values() if o.state is not ExternalState.OPEN)
            oldest = next(settled, next(iter(self._known.values())))
            self._known.pop(oldest.venue_order_id)

    def _open(self) -> Sequence[ExternalOrder]:
        return [o for o in self._known.values() if o.state is ExternalState.OPEN]

    def _may_be_ours(self, symbol: str, client_order_id: str | None) -> bool:
        if client_order_id is not None:
            return False
        absent = (trade.state.order.symbol for trade in self.desk.absent.values())
        return self.desk.trades.expects_id_for(symbol) or symbol in absent

    def _of_listed(self, each: OpenOrder, state: ExternalState) -> ExternalOrder:
        now = self.clock.now()
        return ExternalOrder(
            id=external.identity(self.agent_id, each.venue_order_id),
            agent_id=self.agent_id,
            venue_order_id=each.venue_order_id,
            client_order_id=each.client_order_id,
            symbol=each.symbol,
            side=each.side,
            quantity=each.quantity,
            filled_quantity=each.filled_quantity,
            type=each.type or None,
            limit_price=each.limit_price,
            decision_id=each.decision_id,
            kind=external.kind_of(each.client_order_id, since=self.former.since),
            state=state,
            placed_at=each.created_at,
            seen_at=now,
            updated_at=now,
            ended_at=None if state is ExternalState.OPEN else now,
        )

    def _of_report(self, report: VenueReport, state: ExternalState) -> ExternalOrder:
        now = self.clock.now()
        return ExternalOrder(
            id=external.identity(self.agent_id, report.venue_order_id),
            agent_id=self.agent_id,
            venue_order_id=report.venue_order_id,
            client_order_id=report.client_order_id,
            symbol=report.symbol,
            side=None,
            quantity=None,
            filled_quantity=report.filled_quantity,
            type=None,
            limit_price=None,
            decision_id=report.decision_id,
            kind=external.kind_of(report.client_order_id, since=self.former.since),
            state=state,
            placed_at=None,
            seen_at=now,
            updated_at=now,
            ended_at=now if state is not ExternalState.OPEN else None,
        )
