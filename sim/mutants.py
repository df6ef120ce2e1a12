"""Known-bad variants of the product: a simulator that finds nothing in them proves nothing.

Each breaks one safety line while it is applied and puts it back afterwards. `caught` says on which
seed the checks noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from unittest.mock import patch

from sim.extras import Extra
from sim.hour import Result, simulate
from tradesaga.domain import orders, trade_saga
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order, OrderStatus, VenueReport
from tradesaga.domain.saga import Input
from tradesaga.domain.trade_messages import (
    CancelAsked,
    Happening,
    NoAnswer,
    Outcome,
    Policy,
    Recovered,
    Reported,
    SubmitRefused,
    TradeState,
)
from tradesaga.engine import risk_gate
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.event_coordinator import EventCoordinator
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.open_trades import OpenTrade, OpenTrades
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.ports.bus import Delivery
from tradesaga.ports.journal import Change
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.services import AmbiguousMatch
from tradesaga.testing.sim_journal import SimJournal
from tradesaga.testing.sim_venue import VenueLine

ADVANCE = trade_saga.advance
WORK = trade_saga._Work
Patch = AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Caught:
    """The first seed that showed the mutant, and how many were tried."""

    seeds: int
    result: Result


def caught(name: str, *, seeds: int = 40, start: int = 1, hours: float = 0.5) -> Caught | None:
    """Try the mutant on so many seeds; None if nobody noticed."""
    with MUTANTS[name]():
        for number in range(seeds):
            result = simulate(start + number, hours=hours, extras=NEEDS.get(name, frozenset()))
            if result.violations:
                return Caught(number + 1, result)
    return None


# ---- the saga ----------------------------------------------------------------------------------


def _told_otherwise(
    translate: Callable[[TradeState, Happening, datetime], Happening | None],
) -> Patch:
    """What happened is told to the saga as something else, or not at all."""

    def advance(state: TradeState, happened: Happening, now: datetime, policy: Policy) -> Outcome:
        told = translate(state, happened, now)
        return Outcome(state=state) if told is None else ADVANCE(state, told, now, policy)

    return patch.object(trade_saga, "advance", advance)


def _no_answer_is_refusal(state: TradeState, happened: Happening, _: datetime) -> Happening:
    if isinstance(happened, NoAnswer) and state.order.status is OrderStatus.INTENT:
        return SubmitRefused(evidence=happened.reason)
    return happened


def _cancel_request_is_verdict(state: TradeState, happened: Happening, now: datetime) -> Happening:
    if not isinstance(happened, CancelAsked):
        return happened
    order = state.order
    report = VenueReport(
        venue_order_id=order.venue_order_id or "",
        status=OrderStatus.CANCELED,
        source="guess",
        at=now,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
    )
    return Reported(report=report)


def _recovered_is_never_sent(_: TradeState, happened: Happening, now: datetime) -> Happening | None:
    return None if isinstance(happened, Recovered) else happened


def _not_found_is_absence() -> Patch:
    def not_found(self: Any, policy: Policy) -> None:
        if self.order.status is OrderStatus.UNKNOWN:
            self.end_order(OrderStatus.NOT_PLACED, "looked up: not found")

    return patch.object(WORK, "not_found", not_found)


def _release_while_live() -> Patch:
    return patch.object(WORK, "_local_backward", lambda _: Input.DONE)


def _fills_are_added() -> Patch:
    booked = orders.new_fills

    def new_fills(order: Order, *rest: Any) -> object:
        return booked(replace(order, filled_quantity=ZERO, filled_value=ZERO), *rest)

    return patch.object(trade_saga, "new_fills", new_fills)


# ---- the engine --------------------------------------------------------------------------------


def _fresh_id_on_retry() -> Patch:
    submit = VenueLine.submit

    async def fresh(self: VenueLine, order: Order) -> VenueReport:
        name = f"{order.client_order_id}-{order.sends}" if order.sends else order.client_order_id
        return await submit(self, replace(order, client_order_id=name))

    return patch.object(VenueLine, "submit", fresh)


def _ambiguous_is_absent() -> Patch:
    """Several that could be ours: none of them is."""
    look_up = VenueLine.look_up

    async def looked(self: VenueLine, order: Order) -> VenueReport | None:
        try:
            return await look_up(self, order)
        except AmbiguousMatch:
            return None

    return patch.object(VenueLine, "look_up", looked)


def _answer_is_forgotten() -> Patch:
    """What the journal did not take is asked of the venue once more."""
    run = SagaRunner.run

    async def forgetful(self: SagaRunner, trade: OpenTrade) -> object:
        try:
            return await run(self, trade)
        except Unavailable:
            trade.unbooked = None
            raise

    return patch.object(SagaRunner, "run", forgetful)


def _ack_before_commit() -> Patch:
    handle = EventCoordinator.handle

    async def hasty(self: EventCoordinator, delivery: Delivery) -> None:
        await delivery.acknowledge()
        await handle(self, delivery)

    return patch.object(EventCoordinator, "handle", hasty)


def _mark_before_publish() -> Patch:
    def all_of_them(_: OutboxRelay, rows: Sequence[OutboxRow], sent: dict[int, int]) -> int:
        for row in rows:
            sent.setdefault(row.sequence, 0)
        return len(rows)

    return patch.object(OutboxRelay, "_whole_prefix", all_of_them)


def _later_overtakes() -> Patch:
    async def publish(self: Any, rows: Sequence[OutboxRow], sent: dict[int, int]) -> None:
        for row in rows:
            try:
                published = await self._bus.publish(row)
            except Unavailable:
                continue
            sent[row.sequence] = published.stream_sequence

    return patch.object(OutboxRelay, "_publish", publish)


@contextmanager
def _no_fence() -> Iterator[None]:
    """Writes of an epoch that is over are taken."""
    commit = SimJournal._commit

    def unfenced(self: Any, change: Change) -> int:
        epochs, in_force = self.store.epochs, self.store.epochs[change.agent_id]
        epochs[change.agent_id] = self._open[change.agent_id] = change.epoch
        try:
            return commit(self, change)
        finally:
            epochs[change.agent_id] = in_force

    with patch.object(SimJournal, "_commit", unfenced):
        yield


def _foreign_is_cancelled() -> Patch:
    """What the list shows and nobody here knows is taken from the venue."""
    run_once = Reconciliation.run_once

    async def tidy(self: Reconciliation) -> object:
        for each in await self.venue.open_orders():
            name = each.client_order_id
            if name is not None and self.desk.trades.find(each.venue_order_id, name) is None:
                await self.venue.cancel(each.venue_order_id)
        return await run_once(self)

    return patch.object(Reconciliation, "run_once", tidy)


def _foreign_is_ours() -> Patch:
    """An order that no id tells is taken for the open one."""
    find = OpenTrades.find

    def guess(self: OpenTrades, venue_id: str | None, client_id: str | None) -> OpenTrade | None:
        return find(self, venue_id, client_id) or next(iter(self), None)

    return patch.object(OpenTrades, "find", guess)


@contextmanager
def _shadow_is_sent() -> Iterator[None]:
    """A shadow's allowed decision is an order like any other, and nobody asks at the send."""
    with (
        patch.object(risk_gate, "shadowed", lambda decision, _: decision),
        patch.object(StrategyBook, "refusal_to_send", lambda *_: ""),
    ):
        yield


FOREIGN_CANCELLED, FOREIGN_OURS = "foreign order cancelled", "external order booked as ours"
SHADOW_SENT, RECOVERED_SENT = "a shadow's decision is sent", "recovered intent is sent again"
NEEDS: Mapping[str, Set[Extra]] = {
    FOREIGN_CANCELLED: {Extra.STRANGERS},
    FOREIGN_OURS: {Extra.STRANGERS},
    SHADOW_SENT: {Extra.SHADOW},
    RECOVERED_SENT: {Extra.DEATHS_IN_SENDS},
}
"""What a mutant's world must have that a seed does not draw."""
MUTANTS: dict[str, Callable[[], Patch]] = {
    "no answer is a refusal": partial(_told_otherwise, _no_answer_is_refusal),
    "cancel request is the verdict": partial(_told_otherwise, _cancel_request_is_verdict),
    RECOVERED_SENT: partial(_told_otherwise, _recovered_is_never_sent),
    "not found is absence": _not_found_is_absence,
    "release while the order lives": _release_while_live,
    "fills are added, not cumulative": _fills_are_added,
    "fresh client id on retry": _fresh_id_on_retry,
    "answer forgotten when the journal refuses": _answer_is_forgotten,
    "ambiguous is absent": _ambiguous_is_absent,
    FOREIGN_CANCELLED: _foreign_is_cancelled,
    FOREIGN_OURS: _foreign_is_ours,
    SHADOW_SENT: _shadow_is_sent,
    "busts are not booked": lambda: patch.object(trade_saga, "new_voids", lambda *_: ()),
    "acknowledged before the commit": _ack_before_commit,
    "outbox marked before the bus took it": _mark_before_publish,
    "later event overtakes": _later_overtakes,
    "no fence": _no_fence,
    "sent after a stop": lambda: patch.object(AgentState, "refusal_to_send", lambda _: ""),
    "opened in a pause": lambda: patch.object(AgentState, "refusal_of_entries", lambda _: ""),
    "sent without the lease": lambda: patch.object(Leadership, "may_send", lambda _, opening: True),
}
"""By the safety line that each breaks."""
