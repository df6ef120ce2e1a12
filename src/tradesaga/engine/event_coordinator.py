"""What the neighbours tell us, and what it does here.

    ai.decision.generated      answers an open question, else triggers an analysis of its own
    trade.order.*              booked on its trade, open or ended
    market.session.*           may close the market for us, never open it
    system.heartbeat           service health
    system.error.occurred      logged and counted; a critical one makes a neighbour degraded
    anything unreadable        kept as a dead letter

A message is acknowledged after its effect is durable. Its id goes into the inbox in the commit of
that effect, so that it never has a second one. Order events need no order among themselves: what
they say is cumulative. At most `IN_FLIGHT_MAX` are handled at a time; the rest waits on the bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from structlog import get_logger
from structlog.contextvars import bind_contextvars, bound_contextvars

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.errors import Conflict, Fenced, Rejected, Unavailable
from tradesaga.domain.events import (
    DecisionGenerated,
    ErrorOccurred,
    HeartbeatSeen,
    Incoming,
    OrderReported,
    SessionChanged,
    Unhandled,
)
from tradesaga.domain.ids import AgentId, is_client_order_id, uuid_or_none
from tradesaga.domain.orders import VenueReport
from tradesaga.domain.schedule import ORDER_FILLED, SESSION_CHANGED
from tradesaga.domain.signed_decisions import Refusal
from tradesaga.domain.trade_messages import Reported
from tradesaga.engine.decision_requests import (
    Answer,
    DecisionRequests,
    decision_key,
    echoed_by,
)
from tradesaga.engine.event_bounds import REMEMBERED_MAX, TRIES_MAX, Flood, Tries
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.unsolicited import Came, Wanted
from tradesaga.ports.bus import Bus, Delivery
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import DeadLetter, Entry, InboxEntry, Insert, Row
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.records import Records
from tradesaga.ports.tracing import UNTRACED, SpanKind, Tracer

log = get_logger()
IN_FLIGHT_MAX = 64
LETTER_BYTES_MAX = 256 * 1024
"""Of a message that is kept: no readable one is larger."""
LETTER_TEXT_MAX = 500

Unsolicited = Callable[[Answer, Wanted], Awaitable[Came]]
"""Analyses an answer that nobody asked for."""


class EventCoordinator:
    """Takes deliveries for ever and gives each its effect."""

    def __init__(
        self,
        *,
        bus: Bus,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        desk: TradeDesk,
        requests: DecisionRequests,
        market: MarketGate,
        board: HealthBoard,
        metrics: Metrics,
        agent_id: AgentId,
        unsolicited: Unsolicited,
        told: Callable[..., None],
        books: Reconciliation,
        others: Callable[[], bool] = lambda: False,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._bus = bus
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._desk = desk
        self._requests = requests
        self._market = market
        self._board = board
        self._metrics = metrics
        self._agent_id = agent_id
        self._unsolicited = unsolicited
        self._told = told
        self._books = books
        self._others = others
        self._tries = Tries()
        self._flood = Flood()
        self._nonces: dict[str, str] = {}
        self._deciding: set[str] = set()

    async def run(self) -> None:
        """Handle deliveries for ever. Raises Fenced when the lease has passed on."""
        room = asyncio.Semaphore(IN_FLIGHT_MAX)
        async with asyncio.TaskGroup() as group:
            async for delivery in self._bus.deliveries():
                await room.acquire()
                group.create_task(self._handle_one(delivery, room))

    async def _handle_one(self, delivery: Delivery, room: asyncio.Semaphore) -> None:
        bind_contextvars(**_ids_of(delivery))
        try:
            await self.handle(delivery)
        except Unavailable as error:
            log.warning("event handled later", subject=delivery.subject, error=str(error))
            await delivery.retry_later()
        except Rejected as error:  # it can be read, but never be stored: it would come for ever
            await self._bury(delivery, str(error))
        except Fenced:
            raise
        except Conflict as error:
            await self._later_or_never(delivery, error)
        finally:
            room.release()

    async def _later_or_never(self, delivery: Delivery, error: Conflict) -> None:
        """Another hand was first: load again and decide again, but not for ever."""
        incoming = delivery.incoming
        assert incoming is not None, "what cannot be read is not decided"
        if self._tries.tried_enough(incoming.event_id):
            await self._bury(delivery, f"no effect in {TRIES_MAX} tries: {error}")
            return
        log.warning("event handled later", subject=delivery.subject, error=str(error))
        await delivery.retry_later()

    async def handle_again(self, delivery: Delivery) -> None:
        """Handle what was put aside. Raises Rejected, Conflict, Unavailable, Fenced."""
        if delivery.incoming is not None:
            self._tries.forget(delivery.incoming.event_id)
        with bound_contextvars(**_ids_of(delivery)):
            await self.handle(delivery)

    async def handle(self, delivery: Delivery) -> None:
        """Give one delivery its effect and settle it with the bus. Raises Unavailable, Fenced."""
        incoming = delivery.incoming
        if incoming is None:
            await self._bury(delivery, delivery.problem)
            return
        with self._tracer.span(
            "consume",
            kind=SpanKind.CONSUMER,
            parent=incoming.trace,
            about=incoming.correlation_id,
            subject=delivery.subject,
        ):
            await self._take(delivery, incoming)

    async def _take(self, delivery: Delivery, incoming: Incoming) -> None:
        match incoming.content:
            case DecisionGenerated() as decided:
                await self._decision(delivery, incoming, decided)
                return
            case OrderReported(report=report):
                await self._order(delivery, incoming, report)
                return
            case SessionChanged() as changed:
                if self._market.heard(changed):
                    self._told(SESSION_CHANGED, f"{SESSION_CHANGED}={changed.session}")
            case HeartbeatSeen() as seen:
                self._board.heard(seen)
            case ErrorOccurred(service=service, severity=severity, code=code, message=message):
                self._metrics.error_occurred(ErrorType.NEIGHBOUR)
                log.warning(
                    "neighbour error", service=service, severity=severity, code=code, said=message
                )
                if severity.lower() == "critical":
                    self._board.troubled(service)
            case Unhandled(type=event_type):
                log.debug("event without effect", event_type=event_type)
        await delivery.acknowledge()

    async def _believes(
        self, delivery: Delivery, incoming: Incoming, decided: DecisionGenerated
    ) -> bool:
        """Whether its signature allows an effect; else it is settled here.

        A refused message takes no place in the inbox: it may bear the id of a true one.
        """
        refused, nonce = decided.refused, decided.nonce_key
        if refused is None and nonce is not None:
            if await self._records.was_received(self._agent_id, nonce):
                if await self._records.was_received(self._agent_id, incoming.event_id):
                    await delivery.acknowledge()  # the same once more
                    return False
                refused = Refusal.REPLAYED
            elif self._nonces.setdefault(nonce, incoming.event_id) != incoming.event_id:
                refused = Refusal.REPLAYED  # the other one is in hand
            if len(self._nonces) > REMEMBERED_MAX:
                self._nonces.pop(next(iter(self._nonces)))
        if refused is None:
            return True
        self._metrics.error_occurred(ErrorType.DECISION_REFUSED)
        body = {
            "reason": str(refused),
            "source": _plain(incoming.source),
            "eventId": _plain(incoming.event_id),
            "decisionId": _plain(decided.proposal.external_id),
            "symbol": _plain(decided.proposal.symbol),
        }
        log.error("decision refused", **body)
        if self._flood.has_room(self._clock.now()):
            await self._commit((), "decision.refused", body["decisionId"], body)
        await delivery.acknowledge()
        return False

    async def _decision(
        self, delivery: Delivery, incoming: Incoming, decided: DecisionGenerated
    ) -> None:
        if not await self._believes(delivery, incoming, decided):
            return
        said = decided.proposal
        if self._requests.answer(said, delivery):
            return  # the cycle acknowledges it once the decision is committed
        in_hand = self._requests.is_in_hand(said) or decision_key(said) in self._deciding
        if in_hand:  # said twice: the inbox will know it in a moment
            await delivery.retry_later()
            return
        if self._others() and echoed_by(said, delivery) is not None:
            await delivery.acknowledge()  # the answer to a question of another agent, or too late
            return
        self._deciding.add(decision_key(said))
        try:
            await self._decide(delivery, incoming, said)
        finally:
            self._deciding.discard(decision_key(said))

    async def _decide(self, delivery: Delivery, incoming: Incoming, said: Proposal) -> None:
        async def wanted() -> bool:
            known = incoming.event_id, decision_key(said)
            if await self._records.was_received(self._agent_id, *known):
                await delivery.acknowledge()
                return False
            if self._tries.tried_enough(incoming.event_id):
                await self._bury(delivery, f"no effect in {TRIES_MAX} tries")
                return False
            return True

        came = await self._unsolicited(Answer(said, delivery), wanted)
        if came is Came.WHILE_NONE_MAY_RUN:
            await self._note(incoming, "decision.ignored", {"decisionId": said.external_id})
            await delivery.acknowledge()
        elif came is Came.TO_JUDGEMENT and not await self._records.was_received(
            self._agent_id, decision_key(said)
        ):
            await delivery.retry_later()  # the analysis failed before it could judge

    async def _order(self, delivery: Delivery, incoming: Incoming, report: VenueReport) -> None:
        trade = self._desk.trades.find(report.venue_order_id, report.client_order_id)
        # Asked before the store is: while that is read, the reply may come and the saga end.
        may_be_ours = self._desk.trades.expects_id_for(report.symbol)
        if trade is None:
            stored = await self._records.trade_of(
                self._agent_id,
                venue_order_id=report.venue_order_id,
                client_order_id=report.client_order_id,
            )
            if stored is not None:  # it may have become known to us while we looked
                trade = self._desk.trades.of(stored.saga.id) or OpenTrade(stored)
        if trade is None and self._others() and is_client_order_id(report.client_order_id or ""):
            await delivery.acknowledge()  # another agent's: its own account is none of ours
            return
        if trade is None and may_be_ours:
            await delivery.retry_later()  # the reply that names our order may be on its way
            return
        if await self._records.was_received(self._agent_id, incoming.event_id):
            await delivery.acknowledge()
            return
        if trade is None:
            log.warning("order of somebody else", venue_order_id=report.venue_order_id)
            try:
                await self._books.strangers.heard(report, self._inbox(incoming))
            except Fenced:
                raise
            except Conflict:
                pass  # taken before
            self._books.wake.set()
        else:
            actor, ids = f"neighbour:{incoming.source}", ids_of(trade.state.order)
            with (
                bound_contextvars(**ids),
                self._tracer.span("order.reported", about=ids["decision_id"]),
            ):
                await self._desk.book(
                    trade, Reported(report=report), actor=actor, inbox=(self._inbox(incoming),)
                )
            if incoming.type == ORDER_FILLED:
                self._told(ORDER_FILLED)
        await delivery.acknowledge()

    async def _bury(self, delivery: Delivery, problem: str) -> None:
        subject, problem = _plain(delivery.subject), _plain(problem)
        self._metrics.error_occurred(ErrorType.DEAD_LETTER)
        log.error("dead letter", subject=subject, problem=problem)
        now = self._clock.now()
        if delivery.incoming is None and not self._flood.has_room(now):
            # The bus has it for as long as its stream keeps it; our tables do not grow at its pace.
            self._metrics.error_occurred(ErrorType.DEAD_LETTER_DROPPED)
            await delivery.discard()
            return
        letter = DeadLetter(
            subject=subject,
            reason=problem,
            body=delivery.body[:LETTER_BYTES_MAX],
            received_at=now,
        )
        body: dict[str, str | int] = {
            "subject": subject,
            "problem": problem,
            "bytes": len(delivery.body),
        }
        await self._commit((Insert(letter),), "message.dead", subject, body)
        await delivery.discard()

    async def _note(self, incoming: Incoming, kind: str, body: dict[str, str]) -> None:
        try:
            await self._commit((Insert(self._inbox(incoming)),), kind, incoming.event_id, body)
        except Fenced:
            raise
        except Conflict:
            return  # noted before

    async def _commit(
        self, rows: tuple[Row, ...], kind: str, subject: str, body: Mapping[str, str | int]
    ) -> None:
        entry = Entry(kind=kind, subject=subject, actor="engine", body=body)
        await self._scribe.fact(rows, (entry,))

    def _inbox(self, incoming: Incoming) -> InboxEntry:
        return InboxEntry(
            event_id=incoming.event_id,
            event_type=incoming.type,
            source=incoming.source,
            received_at=self._clock.now(),
        )


def _ids_of(delivery: Delivery) -> dict[str, str]:
    """What the log is bound to; a correlation id of theirs, which goes on, only if it is a UUID."""
    if (incoming := delivery.incoming) is None:
        return {}
    name = incoming.correlation_id
    ids = {"event_id": _plain(incoming.event_id)}
    return ids if name is None or uuid_or_none(name) is None else {**ids, "correlation_id": name}


def _plain(text: str) -> str:
    """A foreign text as the database can store it, and a person read it."""
    return "".join(one if one.isprintable() else "?" for one in text[:LETTER_TEXT_MAX])
