"""Where trades begin and what happens to them is booked: decide in the domain, commit, remember.

Everything that becomes known about an order of ours comes through `book`: the reply to the
submission, polls, events, cancels, time. Each is one commit with all its rows. When another hand
was first, the stored state is read and the happening is decided anew; booking is idempotent, so
that hearing a thing twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from structlog import get_logger

from tradesaga.domain import trade_saga
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.errors import Conflict, Fenced, Unavailable
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order, OrderStatus
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Happening,
    Intervention,
    NoAnswer,
    NotFound,
    Outcome,
    Policy,
    Recovered,
    Reported,
    SubmitRefused,
    TimeUp,
    TradeState,
)
from tradesaga.engine import saga_audit, trade_rows
from tradesaga.engine.holdings import Holdings
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade, OpenTrades
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Add, Entry, InboxEntry, Insert, Row
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.records import Records
from tradesaga.ports.saga_operations import SymbolLock

log = get_logger()
ABSENT_MAX = 1000
"""Orders on the watch list: more than ever were proven absent in a session."""
CONFLICTS_MAX = 10
"""A Change that conflicts this often in a row is a defect, not a race."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A trade that counts already, and what its beginning writes."""

    trade: OpenTrade
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]


class TradeDesk:
    """Commits trades under the lease's epoch and keeps the open ones in memory."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        metrics: Metrics,
        policy: Policy,
        agent_id: AgentId,
    ) -> None:
        self.trades = OpenTrades()
        self.holdings = Holdings()
        self.absent: dict[SagaId, OpenTrade] = {}
        self.on_revived: Callable[[OpenTrade], None] = lambda _: None
        self.on_booked: Callable[[Order], None] = lambda _: None
        self.quarantines: Callable[[], Sequence[SymbolLock]] = lambda: ()
        self.recovered = False  # until all that was open is in `trades`, nothing may be sized by it
        self.policy = policy
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._agent_id = agent_id

    @property
    def epoch(self) -> int:
        """The epoch under which facts are booked now. Raises Fenced without the lease."""
        return self._scribe.epoch

    async def epoch_settled(self) -> int:
        """The epoch, once a change of it that is under way is done. Raises Fenced as `epoch`."""
        return await self._scribe.epoch_settled()

    def begin(
        self,
        state: TradeState,
        *,
        epoch: int,
        rows: Sequence[Row] = (),
        entries: Sequence[Entry] = (),
    ) -> Coroutine[Any, Any, OpenTrade]:
        """Count a pending trade at once; awaited, commit its intent with `rows` and `entries`.

        Raises:
            Conflict: the decision has its saga already.
            Fenced: `epoch`, under which the decision was made, is over (stop, or a new leader).
        """
        admitted = self.admit(state)
        said = (*entries, *admitted.entries)
        return self._begun(admitted.trade, (*rows, *admitted.rows), said, epoch)

    def admit(self, state: TradeState) -> Admission:
        """Count a pending trade before anybody waits: the next judgement, wherever, counts it.

        Whoever admits it commits its rows and has it run, or withdraws it.

        Raises:
            Conflict: its saga has begun already.
        """
        if state.saga.id in self.trades:
            raise Conflict(f"saga {state.saga.id} has begun already")
        outcome = trade_saga.begin(state, self._clock.now())
        trade = self.trades.add(outcome.state)
        self.holdings.pace.admitted(outcome.state.order)
        return Admission(
            trade=trade,
            rows=trade_rows.first_rows(outcome.state),
            entries=trade_rows.entries(state, outcome, actor="engine", what="begin"),
        )

    def withdraw(self, trade: OpenTrade) -> None:
        """It was admitted, and is not committed."""
        self.trades.drop(trade)
        self.holdings.pace.withdrawn(trade.state.order)

    async def _begun(
        self, trade: OpenTrade, rows: Sequence[Row], entries: Sequence[Entry], epoch: int
    ) -> OpenTrade:
        try:
            await self._scribe.intent(rows, entries, epoch=epoch)
        except BaseException:
            self.withdraw(trade)
            raise
        return trade

    async def book(
        self,
        trade: OpenTrade,
        happened: Happening,
        *,
        actor: str = "engine",
        inbox: Sequence[InboxEntry] = (),
    ) -> None:
        """Commit what `happened` makes of the trade; nothing to commit is fine.

        Raises:
            IllegalTransition: a person's word that the saga does not wait for.
            Fenced: the lease has passed on.
            Unavailable: the journal takes no more; nothing was written.
        """
        async with trade.lock:
            for _ in range(CONFLICTS_MAX):
                outcome = trade_saga.advance(trade.state, happened, self._clock.now(), self.policy)
                if outcome.state.versions == trade.state.versions and not inbox:
                    return
                if await self._commit(trade, outcome, _word(happened), actor, inbox):
                    self._took(trade, outcome)
                    return
                inbox = await self._reload(trade, inbox)
        raise Unavailable(f"saga {trade.state.saga.id} conflicts again and again")

    async def _commit(
        self,
        trade: OpenTrade,
        outcome: Outcome,
        what: str,
        actor: str,
        inbox: Sequence[InboxEntry],
    ) -> bool:
        rows: tuple[Row, ...] = trade_rows.changed_rows(trade.state, outcome)
        rows += tuple(Insert(entry) for entry in inbox)
        if _executed_now(trade.state, outcome.state):
            rows += (Add(AgentCounts(orders_executed=1)),)
        said = trade_rows.entries(trade.state, outcome, actor=actor, what=what)
        said += saga_audit.intervention(trade.state, outcome, actor=actor, what=what)
        try:
            await self._scribe.fact(rows, said)
        except Fenced:
            raise
        except Conflict:
            return False
        return True

    async def _reload(
        self, trade: OpenTrade, inbox: Sequence[InboxEntry]
    ) -> tuple[InboxEntry, ...]:
        """Another hand was first: take its state, and leave out the events that it has taken."""
        order = trade.state.order
        stored = await self._records.trade_of(
            self._agent_id,
            venue_order_id=None,
            client_order_id=order.client_order_id,
        )
        assert stored is not None, f"saga {trade.state.saga.id} has vanished"
        self.trades.became(trade, stored)
        await self.holdings.reload(self._records, self._agent_id)
        return tuple(
            [e for e in inbox if not await self._records.was_received(self._agent_id, e.event_id)]
        )

    def _took(self, trade: OpenTrade, outcome: Outcome) -> None:
        self.holdings.booked(outcome)
        before = trade.state.saga.status
        saga, order = outcome.state.saga, outcome.state.order
        if outcome.fills:
            self.on_booked(order)
        ended_now = before is not saga.status and saga.status in ENDS
        self.trades.became(trade, outcome.state)
        if before in ENDS and saga.status not in ENDS:
            self._revived(trade)
        for void in outcome.voids:
            self._metrics.error_occurred(ErrorType.FILL_BUSTED)
            log.error(
                "the venue took a fill back", **ids_of(order), symbol=saga.symbol,
                quantity=str(void.quantity), price=str(void.price), reason=void.reason,
            )  # fmt: skip
        if ended_now:
            self.trades.drop(trade)
            self.absent.pop(saga.id, None)
            self.watch(trade)
            if order.filled_quantity == ZERO:
                self.holdings.pace.came_to_nothing(order)
            self._metrics.order_ended(order.status)
            log.info(
                "saga ended", **ids_of(order), symbol=saga.symbol, status=saga.status,
                order_status=order.status, filled=str(order.filled_quantity),
            )  # fmt: skip
        elif saga.status is SagaStatus.MANUAL_REQUIRED and outcome.transitions:
            self._metrics.error_occurred(ErrorType.SAGA_MANUAL_REQUIRED)
            log.error(
                "saga needs a person", **ids_of(order), symbol=saga.symbol, reason=saga.reason
            )

    def locks(self) -> list[SymbolLock]:
        """All that locks symbols now."""
        return [*self.trades.locks(), *self.quarantines()]

    def watch(self, trade: OpenTrade) -> None:
        """Look for an order that was proven absent again; the oldest give way beyond a bound."""
        order = trade.state.order
        if order.status is not OrderStatus.NOT_PLACED or not (order.sends or order.lookups):
            return  # an intent that never left us is nowhere
        self.absent[trade.state.saga.id] = trade
        if len(self.absent) > ABSENT_MAX:
            log.error("the watch list is full", bound=ABSENT_MAX)
            self.absent.pop(next(iter(self.absent)))

    def _revived(self, trade: OpenTrade) -> None:
        """The order is at the venue after all: the saga is open again and needs its runner."""
        saga = trade.state.saga
        self.absent.pop(saga.id, None)
        self._metrics.error_occurred(ErrorType.ORDER_REVIVED)
        log.error(
            "an order that was taken for not placed is at the venue",
            **ids_of(trade.state.order), symbol=saga.symbol,
        )  # fmt: skip
        self.trades.put_back(trade)
        self.on_revived(trade)


def _executed_now(before: TradeState, after: TradeState) -> bool:
    """Whether the saga has just ended with something filled: one more executed order."""
    good = (SagaStatus.COMPLETED, SagaStatus.COMPLETED_PARTIAL)
    return before.saga.status not in good and after.saga.status in good


def _word(happened: Happening) -> str:
    if isinstance(happened, Intervention):
        return saga_audit.command_of(happened)
    match happened:
        case Reported(report=report):
            return f"{report.source}: {report.status}"
        case SubmitRefused(evidence=evidence):
            return f"refused: {evidence}"
        case NoAnswer(reason=reason):
            return f"no answer: {reason}"
        case Ambiguous(reason=reason) | CancelWanted(reason=reason):
            return reason
        case NotFound():
            return "looked up: not found"
        case CancelAsked():
            return "cancel requested"
        case TimeUp():
            return "time is up"
        case Recovered():
            return "taken over by a new process"
        case _:
            assert_never(happened)
