"""The trade-execution saga: one decision, one order, every outcome decided here.

`command` says what to ask of the world, derived from the state, so that a crash cannot lose it;
`advance` takes what happened and returns the new state with all that must be committed with it.
Steps that ask nothing of the world (0, 3, 4, compensations with nothing live) are taken in the
same commit as the fact that allows them: a fill, its position and its trade are one commit.
No answer is UNKNOWN, never failed. A repeat carries the same client order id. Nothing is
released while the order may live. The first fill is the pivot; the steps are in `trade_plan`.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from tradesaga.domain import saga as machine
from tradesaga.domain import trade_intervention
from tradesaga.domain import trade_plan as plan
from tradesaga.domain.busts import new_voids, void_fill, voided
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import (
    ENDED,
    LIVE,
    Fill,
    Order,
    OrderStatus,
    ReservationState,
    Side,
    Trade,
    VenueReport,
    Void,
    new_fills,
    trade_of,
    with_report,
)
from tradesaga.domain.saga import ENDS, Input, SagaStatus, Transition
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Command,
    Follow,
    Happening,
    Intervention,
    LookUp,
    NoAnswer,
    NotFound,
    Outcome,
    Policy,
    Recovered,
    Reported,
    RequestCancel,
    Submit,
    SubmitRefused,
    TimeUp,
    TradeState,
)
from tradesaga.domain.values import written

ABSENT_READS_MIN = 2


def begin(state: TradeState, now: datetime) -> Outcome:
    """Start: the reservation and the order's intent are local facts, so step 0 is done at once."""
    work = _Work(state, now)
    work.feed(Input.BEGIN)
    work.feed(Input.DONE)
    return work.outcome(bump=False)


def command(state: TradeState, now: datetime, policy: Policy) -> Command | None:
    """What must be asked of the world now; None when the saga rests or has ended."""
    saga, order = state.saga, state.order
    if saga.status not in (SagaStatus.RUNNING, SagaStatus.COMPENSATING):
        return None
    if order.status is OrderStatus.INTENT:
        too_late = now >= min(order.expires_at, saga.deadline_at)
        unwanted = too_late or order.cancel_wanted_at is not None
        return Follow(poll_at=now, until=now) if unwanted else Submit()
    if order.status is OrderStatus.UNKNOWN:
        return LookUp(at=saga.due or now)
    assert order.status in LIVE, (saga, order)
    if order.cancel_wanted_at is not None and order.cancel_requested_at is None:
        return RequestCancel(at=saga.due or now)
    return Follow(poll_at=saga.due or now + policy.poll_every, until=_until(state, policy))


def advance(  # noqa: C901 -- one flat match over all that can happen
    state: TradeState, happened: Happening, now: datetime, policy: Policy
) -> Outcome:
    """The state after `happened`, settled as far as no answer of the world is needed.

    Once the saga has ended only the venue's word about its order still counts.

    Raises:
        IllegalTransition: a person's word where none is asked for.
    """
    if isinstance(happened, Intervention):
        return _intervened(state, happened, now)
    if state.saga.status in ENDS and not isinstance(happened, Reported):
        return Outcome(state=state)
    work = _Work(state, now)
    match happened:
        case Reported(report=report):
            work.report(report)
        case SubmitRefused(evidence=evidence):
            work.refused(evidence)
        case NoAnswer(reason=reason, to_cancel=to_cancel):
            work.no_answer(reason, to_cancel=to_cancel)
        case NotFound():
            work.not_found(policy)
        case Ambiguous(reason=reason):
            work.park(reason)
        case CancelAsked():
            work.set_order(cancel_requested_at=now)
            work.set_saga(due=None)
        case TimeUp():
            work.time_up(policy)
        case Recovered():
            work.recovered()
        case CancelWanted(reason=reason):
            work.want_cancel(reason)
        case _:
            assert_never(happened)
    work.heed(policy)
    work.settle()
    return work.outcome(bump=True)


def _intervened(state: TradeState, happened: Intervention, now: datetime) -> Outcome:
    work = _Work(state, now)
    work.order = trade_intervention.order_after(state, happened, now)
    work.feed(Input.RESUME, happened.reason)
    work.settle()
    return work.outcome(bump=True)


def _until(state: TradeState, policy: Policy) -> datetime:
    order = state.order
    if order.cancel_requested_at is not None:
        return order.cancel_requested_at + policy.fill_time_max
    fill_end = (order.acked_at or state.saga.created_at) + policy.fill_time_max
    return fill_end if state.saga.pivoted else min(fill_end, state.saga.deadline_at)


class _Work:
    """One call of `advance` in progress: collects its changes, on one copy of each value."""

    def __init__(self, state: TradeState, now: datetime) -> None:
        self.before = state
        self.saga, self.order, self.reservation = state.saga, state.order, state.reservation
        self.voids = state.voids
        self.now = now
        self.transitions: list[Transition] = []
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []

    # -- small moves --

    def feed(self, happened: Input, reason: str = "") -> None:
        self.saga, transition = machine.advance(
            self.saga, plan.PLAN, happened, self.now, reason, original=self.before.saga
        )
        self.transitions.append(transition)

    def set_order(self, **changes: object) -> None:
        self.order = written(self.order, self.before.order, **changes)

    def set_saga(self, **changes: object) -> None:
        self.saga = written(self.saga, self.before.saga, **changes)

    def set_held(self, **changes: object) -> None:
        self.reservation = written(self.reservation, self.before.reservation, **changes)

    def end_order(self, status: OrderStatus, evidence: str) -> None:
        self.set_order(
            status=status,
            evidence=evidence,
            ended_at=self.now,
            unknown_since=None,
            submitted_at=self.order.submitted_at
            or (self.now if status is OrderStatus.REJECTED else None),
            sends=self.order.sends + (1 if status is OrderStatus.REJECTED else 0),
        )

    # -- what happened --

    def report(self, report: VenueReport) -> None:
        if self.order.status is OrderStatus.NOT_PLACED:
            self.revive(report)
        fills = new_fills(self.order, report, self.now, self.voids)
        sent = self.order.status in (OrderStatus.INTENT, OrderStatus.UNKNOWN)
        self.order = with_report(self.order, report, fills, voided(self.voids))
        self.set_order(lookups=0, sends=max(self.order.sends, 1 if sent else 0))
        self.book(fills)
        for void in new_voids(self.order, report, self.voids, self.now):
            self.take_back(void)
        if self.saga.status not in ENDS:
            self.set_saga(attempt=0, due=None)

    def revive(self, report: VenueReport) -> None:
        """Adopt an order that was taken for not placed, if it lives or has filled; cancel it."""
        if report.status in ENDED and report.filled_of(self.order.quantity) <= ZERO:
            return
        self.set_order(
            status=OrderStatus.UNKNOWN,
            evidence=None,
            cancel_wanted_at=self.now,
            cancel_requested_at=None,
        )
        if self.saga.status is SagaStatus.COMPENSATED:
            self.feed(Input.REVIVED, "an order that was taken for not placed is at the venue")
            self.set_held(state=ReservationState.OPEN, released=ZERO, closed_at=None)

    def book(self, fills: tuple[Fill, ...], reason: str | None = None) -> None:
        for fill in fills:
            self.fills.append(fill)
            self.trades.append(trade_of(self.order, fill, correction_reason=reason))
            if fill.side is Side.BUY:
                spent = fill.quantity * fill.price + fill.fee
                self.set_held(consumed=self.reservation.consumed + spent)

    def refused(self, evidence: str) -> None:
        if self.order.status is OrderStatus.INTENT:  # else it has evidently been placed
            self.end_order(OrderStatus.REJECTED, evidence)

    def no_answer(self, reason: str, *, to_cancel: bool) -> None:
        order = self.order
        if order.status is OrderStatus.INTENT:
            self.set_order(
                status=OrderStatus.UNKNOWN,
                unknown_since=self.now,
                submitted_at=order.submitted_at or self.now,
                sends=order.sends + 1,
                lookups=0,
            )
            self.set_saga(attempt=0, due=self.now + plan.LOOKUP_DELAYS[0], reason=reason)
        elif to_cancel:  # it may have been taken: the verdict tells
            self.set_order(cancel_requested_at=order.cancel_requested_at or self.now)
            self.set_saga(due=None, reason=reason)
        elif self.saga.status not in ENDS:
            attempt = self.saga.attempt + 1
            self.set_saga(attempt=attempt, due=self.now + plan.lookup_delay(attempt), reason=reason)

    def not_found(self, policy: Policy) -> None:
        order = self.order
        if order.status is not OrderStatus.UNKNOWN or order.venue_order_id is not None:
            lookups = order.lookups + 1
            self.set_order(lookups=lookups)
            self.set_saga(due=self.now + plan.lookup_delay(lookups))
            if lookups > policy.retry.retries_max:
                self.park(f"the venue no longer knows order {order.venue_order_id}")
            return
        lookups = order.lookups + 1
        self.set_order(lookups=lookups)
        since = order.unknown_since or self.now
        if lookups < ABSENT_READS_MIN or self.now - since < policy.visibility_lag:
            self.set_saga(due=self.now + plan.lookup_delay(lookups))
        elif self.may_resend(policy):
            self.set_order(status=OrderStatus.INTENT, unknown_since=None, lookups=0)
            self.set_saga(due=None, attempt=0)
        else:
            proof = f"absent in {lookups} reads since {since.isoformat()}"
            self.end_order(OrderStatus.NOT_PLACED, proof)

    def may_resend(self, policy: Policy) -> bool:
        in_time = self.now < min(self.order.expires_at, self.saga.deadline_at)
        wanted = self.saga.status is SagaStatus.RUNNING and self.order.cancel_wanted_at is None
        few = self.order.sends <= policy.retry.retries_max
        first_sent = self.order.submitted_at or self.order.created_at
        known = policy.dedupe_ttl is None or self.now - first_sent < policy.dedupe_ttl
        return policy.dedupes and known and in_time and wanted and few

    def heed(self, policy: Policy) -> None:
        """What the venue cannot do, a person does; what it does by itself is looked for at once."""
        order, due = self.order, self.saga.due
        if order.status is OrderStatus.UNKNOWN and not (order.venue_order_id or policy.looks_up):
            self.park("the venue cannot be asked about an order of unknown outcome")
        elif policy.cancel_on_disconnect and self.saga.attempt and due is not None:
            self.set_saga(due=min(due, self.now + plan.LOOKUP_DELAYS[0]))

    def time_up(self, policy: Policy) -> None:
        order = self.order
        if order.status is OrderStatus.INTENT:
            why = "the decision has expired" if order.cancel_wanted_at is None else self.saga.reason
            self.end_order(OrderStatus.NOT_PLACED, f"not sent: {why}")
        elif order.status is OrderStatus.UNKNOWN or order.status in ENDED:
            return  # a look-up or the end is on its way; time alone decides nothing
        elif order.cancel_requested_at is None:
            self.want_cancel("fill wait is over")
        elif self.now < (order.cancel_wanted_at or self.now) + policy.cancel_time_max:
            self.set_order(cancel_requested_at=None)  # ask again
            self.set_saga(due=self.now + policy.retry.delay_first)
        else:
            self.park("no verdict on the cancel request")

    def recovered(self) -> None:
        if self.order.status is OrderStatus.INTENT:
            self.set_order(status=OrderStatus.UNKNOWN, unknown_since=self.now, lookups=0)
        if self.order.status in LIVE and self.order.cancel_wanted_at is not None:
            self.set_order(cancel_wanted_at=self.now)  # nobody has waited while nobody was there
        if self.saga.status not in ENDS:
            self.set_saga(due=self.now, reason=self.saga.reason)

    def want_cancel(self, reason: str) -> None:
        # An intent may be on its way at this moment. Only the saga's runner, who tells TimeUp when
        # it has nothing under way, can say that it was never sent.
        self.set_order(cancel_wanted_at=self.order.cancel_wanted_at or self.now)
        if self.saga.status is SagaStatus.RUNNING and not self.saga.pivoted:
            self.feed(Input.FAILED, reason)

    def park(self, reason: str) -> None:
        while self.saga.status in (SagaStatus.RUNNING, SagaStatus.COMPENSATING):
            self.feed(Input.FAILED, reason)

    def take_back(self, void: Void) -> None:
        """`rollback_position` and `void_trade`: rows with the opposite sign, nothing deleted."""
        self.voids = (*self.voids, void)
        self.set_order(
            filled_quantity=self.order.filled_quantity - void.quantity,
            filled_value=self.order.filled_value - void.quantity * void.price,
            fees=self.order.fees - void.fee,
        )
        self.book((void_fill(self.order, void),), void.reason or "busted by the venue")

    # -- local steps --

    def settle(self) -> None:
        """Take every step that needs no answer of the world."""
        if self.order.filled_quantity > ZERO and not self.saga.pivoted:
            if self.saga.status is SagaStatus.RUNNING and self.saga.cursor == plan.SUBMIT:
                self.feed(Input.DONE)
            if self.saga.status not in ENDS:
                self.feed(Input.PIVOTED, "first fill")
        while (happened := self._local()) is not None:
            self.feed(happened, self.order.evidence or "" if happened is Input.FAILED else "")
        waiting_to_cancel = (
            self.saga.status is SagaStatus.COMPENSATING and self.order.status in LIVE
        )
        if waiting_to_cancel and self.order.cancel_wanted_at is None:
            self.set_order(cancel_wanted_at=self.now)
        if self.saga.status in ENDS and self.reservation.state is ReservationState.OPEN:
            self._release()

    def _local(self) -> Input | None:
        if self.saga.status is SagaStatus.RUNNING:
            return self._local_forward()
        if self.saga.status is SagaStatus.COMPENSATING:
            return self._local_backward()
        return None

    def _local_forward(self) -> Input | None:
        order = self.order
        if self.saga.cursor in (plan.RESERVE, plan.UPDATE, plan.RECORD):
            return Input.DONE
        if order.status in (OrderStatus.INTENT, OrderStatus.UNKNOWN):
            return None
        if self.saga.cursor == plan.SUBMIT:
            return Input.FAILED if _ended_empty(order) else Input.DONE
        if order.status not in ENDED:
            return None
        if _ended_empty(order) and not self.saga.pivoted:
            return Input.FAILED
        if _ended_empty(order):  # all that had filled was taken back: there is no way back
            return Input.DONE_PARTLY
        return Input.DONE if order.status is OrderStatus.FILLED else Input.DONE_PARTLY

    def _local_backward(self) -> Input | None:
        nothing_lives = self.saga.cursor == plan.RESERVE or self.order.status in ENDED
        return Input.DONE if nothing_lives else None

    def _release(self) -> None:
        held = self.reservation
        self.set_held(
            state=ReservationState.CLOSED,
            released=max(ZERO, held.amount - held.consumed),
            closed_at=self.now,
        )

    def outcome(self, *, bump: bool) -> Outcome:
        """Versions move by one for everything that changed, whatever happened to it."""
        before, saga, order, held = self.before, self.saga, self.order, self.reservation
        if bump:
            if saga is not before.saga and saga != before.saga:
                written(saga, None, version=saga.version + 1, updated_at=self.now)
            if order is not before.order and order != before.order:
                written(order, None, version=order.version + 1)
            if held is not before.reservation and held != before.reservation:
                written(held, None, version=held.version + 1)
        return Outcome(
            state=TradeState(saga=saga, order=order, reservation=held, voids=self.voids),
            transitions=tuple(self.transitions),
            fills=tuple(self.fills),
            trades=tuple(self.trades),
            voids=self.voids[len(self.before.voids) :],
        )


def _ended_empty(order: Order) -> bool:
    return order.status in ENDED and order.filled_quantity == ZERO
