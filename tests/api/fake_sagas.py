"""A fake of the second driving port: one trade in each state that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from tests.api.fake_access import ACTOR
from tests.domain.trades import POLICY, pending, report
from tradesaga.domain import trade_saga
from tradesaga.domain.errors import IllegalTransition, Invalid, NotFound
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.ids import DEFAULT_AGENT, ExternalOrderId, SagaId
from tradesaga.domain.orders import Fill, OrderStatus, Side
from tradesaga.domain.trade_messages import (
    Ambiguous,
    Intervention,
    NoAnswer,
    Reported,
    Resolution,
    Resolved,
    Resumed,
    TradeState,
    TurnedBack,
)
from tradesaga.ports.records import PositionSums
from tradesaga.ports.saga_operations import LockReason, SymbolLock
from tradesaga.ports.trade_records import LAST, LoggedStep, Place, TradeQuery, TradeRecord

AT = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
PARKED_ID = SagaId(UUID("01766713-2a80-8000-8000-00000000000a"))
DONE_ID = SagaId(UUID("01766713-2a80-8000-8000-00000000000b"))
STUCK_ID = SagaId(UUID("01766713-2a80-8000-8000-00000000000c"))
FLAT = PositionSums(
    symbol="SPY",
    quantity=Decimal(0),
    bought_quantity=Decimal(3),
    bought_value=Decimal(300),
    sold_quantity=Decimal(3),
    sold_value=Decimal(330),
    fees=Decimal("0.30"),
)
HELD = replace(FLAT, symbol="ACME", quantity=Decimal(3), sold_quantity=Decimal(0))

FOREIGN = ExternalOrder(
    id=ExternalOrderId(UUID(int=77)),
    agent_id=DEFAULT_AGENT,
    venue_order_id="ord_77",
    client_order_id=None,
    symbol="SPY",
    side=Side.BUY,
    quantity=Decimal(3),
    filled_quantity=Decimal(1),
    type="limit",
    limit_price=Decimal("370.1"),
    decision_id=None,
    kind=ExternalKind.EXTERNAL,
    state=ExternalState.OPEN,
    placed_at=None,
    seen_at=AT,
    updated_at=AT,
    warned_at=AT,
)


class FakeSagas:
    """Decides with the real machine, keeps trades in memory; set `error` to make it raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.more_foreign: Sequence[ExternalOrder] = ()
        self.states: dict[SagaId, TradeState] = {}
        self.fills: dict[SagaId, tuple[Fill, ...]] = {}
        self._trade(DONE_ID, 0, Reported(report=report(OrderStatus.FILLED, 2, at=AT)))
        self._trade(PARKED_ID, 1, NoAnswer(reason="timeout"), Ambiguous(reason="two orders"))
        part = report(OrderStatus.PARTIALLY_FILLED, 1, at=AT)
        self._trade(STUCK_ID, 2, Reported(report=part), Ambiguous(reason="lost"))

    async def trades(self, query: TradeQuery) -> Sequence[TradeState]:
        self._asked("trades", query=query)
        found = sorted(self.states.values(), key=lambda t: t.saga.created_at, reverse=True)
        return [trade for trade in found if query.admits(trade)][: query.limit]

    async def trade(self, saga_id: SagaId) -> TradeRecord:
        self._asked("trade", saga_id=saga_id)
        if saga_id not in self.states:
            raise NotFound(f"there is no saga {saga_id}")
        return self._record(saga_id)

    async def positions(self) -> Sequence[PositionSums]:
        self._asked("positions")
        return [HELD, FLAT]

    async def locks(self) -> Sequence[SymbolLock]:
        self._asked("locks")
        lock = SymbolLock(
            symbol="ACME", reason=LockReason.MANUAL_REQUIRED, detail="lost", since=AT,
            saga_id=STUCK_ID,
        )  # fmt: skip
        return [lock, replace(lock, reason=LockReason.QUARANTINE, saga_id=None)]

    async def external_orders(
        self,
        *,
        limit: int,
        state: ExternalState | None,
        symbol: str | None,
        after: Place | None = None,
    ) -> Sequence[ExternalOrder]:
        if self.error is not None:
            raise self.error
        found = [
            one
            for one in (FOREIGN, *self.more_foreign)
            if state in (None, one.state)
            and symbol in (None, one.symbol)
            and (one.seen_at, one.id) < (after or LAST)
        ]
        return found[:limit]

    async def close_position(self, symbol: str, *, reason: str, actor: str) -> Sequence[TradeState]:
        self._asked("close_position", symbol=symbol, reason=reason, actor=actor)
        if symbol != HELD.symbol:
            raise IllegalTransition(f"nothing of {symbol} is held")
        return [self.states[STUCK_ID]]

    async def retry(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        self._asked("retry", saga_id=saga_id, reason=reason, actor=actor)
        return self._told(saga_id, Resumed(reason=reason))

    async def compensate(self, saga_id: SagaId, *, reason: str, actor: str) -> TradeRecord:
        self._asked("compensate", saga_id=saga_id, reason=reason, actor=actor)
        return self._told(saga_id, TurnedBack(reason=reason))

    async def resolve(
        self,
        saga_id: SagaId,
        resolution: Resolution,
        *,
        reason: str,
        actor: str,
        venue_order_id: str | None = None,
    ) -> TradeRecord:
        self._asked(
            "resolve", saga_id=saga_id, resolution=resolution, reason=reason, actor=actor,
            venue_order_id=venue_order_id,
        )  # fmt: skip
        if (resolution is Resolution.ADOPT) is (venue_order_id is None):
            raise Invalid(["venueOrderId belongs to adopt, and to nothing else"])
        told = Resolved(
            resolution=resolution, reason=reason, by=actor, venue_order_id=venue_order_id
        )
        return self._told(saga_id, told)

    def _asked(self, name: str, **arguments: object) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error

    def _told(self, saga_id: SagaId, happened: Intervention) -> TradeRecord:
        if saga_id not in self.states:
            raise NotFound(f"there is no saga {saga_id}")
        state = self.states[saga_id]
        self.states[saga_id] = trade_saga.advance(state, happened, AT, POLICY).state
        return self._record(saga_id)

    def _trade(
        self, saga_id: SagaId, minute: int, *happenings: Reported | NoAnswer | Ambiguous
    ) -> None:
        at = AT + timedelta(minutes=minute)
        first = pending()
        state = replace(
            first,
            saga=replace(first.saga, id=saga_id, created_at=at, deadline_at=at),
            order=replace(first.order, saga_id=saga_id, created_at=at),
            reservation=replace(first.reservation, saga_id=saga_id, created_at=at),
        )
        state = trade_saga.begin(state, at).state
        self.fills[saga_id] = ()
        for happened in happenings:
            outcome = trade_saga.advance(state, happened, at, POLICY)
            state = outcome.state
            self.fills[saga_id] += outcome.fills
        self.states[saga_id] = state

    def _record(self, saga_id: SagaId) -> TradeRecord:
        return TradeRecord(state=self.states[saga_id], fills=self.fills[saga_id], steps=_LOG)


def _entry(sequence: int, kind: str, body: dict[str, object], actor: str = "engine") -> LoggedStep:
    return LoggedStep(sequence=sequence, kind=kind, actor=actor, at=AT, epoch=1, body=body)


_LOG = (
    _entry(
        7,
        "saga.step",
        {"from": "pending", "to": "running", "step": "reserve_buying_power", "input": "begin",
         "reason": "", "orderStatus": "intent", "evidence": None},
    ),
    _entry(9, "saga.fact", {"fact": "no answer: timeout", "orderStatus": "unknown"}),
    _entry(
        11,
        "saga.step",
        {"from": "compensating", "to": "compensating", "step": "cancel_order", "input": "done",
         "reason": "two orders", "orderStatus": "not_placed", "evidence": "operator ann: seen"},
    ),
    _entry(
        12,
        "saga.intervention",
        {"command": "resolve not_placed", "reason": "seen", "before": {"status": "manual_required"},
         "after": {"status": "compensated", "orderStatus": "not_placed", "evidence": "e"}},
        ACTOR,
    ),
)  # fmt: skip
