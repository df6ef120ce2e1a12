"""A small venue, and everything that can happen between it and one trade saga.

    World   the committed trade, the venue's truth, and what is under way between them
    moves   all that can happen next; a request is sent in one move and answered in another, so
            that events, a stop or a crash come between
    taken   the world after a move

Time moves only where the saga waits, so that equal worlds compare equal. The venue hides an
accepted order from look-ups for at most `LAG`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tests.domain.trades import LAG, START, VENUE_ID, begun, report
from tradesaga.domain import trade_intervention, trade_saga
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Follow,
    Happening,
    LookUp,
    NoAnswer,
    NotFound,
    Outcome,
    Policy,
    Recovered,
    Reported,
    RequestCancel,
    Resolution,
    Resolved,
    Resumed,
    Submit,
    SubmitRefused,
    TimeUp,
    TradeState,
    TurnedBack,
)

ORDERED = 2
RESTS = ENDS | {SagaStatus.MANUAL_REQUIRED}
LOST = NoAnswer(reason="timeout")
CANCEL_LOST = NoAnswer(reason="timeout", to_cancel=True)


@dataclass(frozen=True, slots=True)
class Placed:
    """An order in the venue's books; `history` has all it ever was, the present last."""

    at: datetime
    history: tuple[tuple[OrderStatus, int], ...]

    @property
    def status(self) -> OrderStatus:
        return self.history[-1][0]

    @property
    def filled(self) -> int:
        return self.history[-1][1]

    @property
    def lives(self) -> bool:
        return self.status in (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)

    def became(self, status: OrderStatus, filled: int) -> Placed:
        return replace(self, history=(*self.history, (status, filled)))

    def filled_to(self, filled: int) -> Placed:
        whole = filled == ORDERED
        late = self.status is OrderStatus.CANCELED
        part = OrderStatus.CANCELED if late else OrderStatus.PARTIALLY_FILLED
        return self.became(OrderStatus.FILLED if whole else part, filled)

    def ended(self, status: OrderStatus) -> Placed:
        return self.became(status, self.filled)


@dataclass(frozen=True, slots=True)
class World:
    """`answer` is what the request under way will be answered with, None when there is none.

    What no part of the system may know but the laws need: `sent` are the client order ids of all
    submissions, `absences` the look-ups since the last one that found nothing, `cancels` the
    cancel requests, `fills` what was booked as (id, quantity, price), `traded` the fills that have
    a trade.
    """

    state: TradeState
    now: datetime
    placed: tuple[Placed, ...] = ()
    answer: Happening | None = None
    sent: tuple[str, ...] = ()
    absences: int = 0
    cancels: int = 0
    fills: tuple[tuple[object, Decimal, Decimal], ...] = ()
    traded: tuple[object, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for worlds that can only have equal futures."""
        saga, order, held = self.state.saga, self.state.order, self.state.reservation
        return (
            (saga.status, saga.cursor, saga.attempt, saga.due, saga.pivoted, saga.partial),
            (order.status, order.filled_value, order.sends, order.lookups, order.unknown_since),
            (order.cancel_wanted_at, order.cancel_requested_at, order.acked_at),
            (order.client_order_id, order.venue_order_id, held.state, held.consumed),
            (self.now, self.placed, self.answer, self.sent, min(self.absences, 2)),
            bool(self.cancels),
        )


@dataclass(frozen=True, slots=True)
class Move:
    """`world` is the world with the venue's part done; `happened` is what the saga is told."""

    name: str
    world: World
    happened: Happening | None = None
    submits: bool = False


def first_world() -> World:
    """The intent is committed, nothing is sent."""
    return World(state=begun(), now=START)


def taken(move: Move, policy: Policy) -> tuple[World, Outcome | None]:
    """The world after `move`, with what the saga committed, if anything."""
    world = move.world
    if move.happened is None:
        return world, None
    outcome = trade_saga.advance(world.state, move.happened, world.now, policy)
    booked = tuple((fill.id, fill.quantity, fill.price) for fill in outcome.fills)
    after = replace(
        world,
        state=outcome.state,
        fills=world.fills + booked,
        traded=world.traded + tuple(trade.fill_id for trade in outcome.trades),
        absences=world.absences + isinstance(move.happened, NotFound),
    )
    return after, outcome


def moves(world: World, policy: Policy) -> Iterator[Move]:
    """All that can happen next."""
    if world.answer is not None:
        idle = replace(world, answer=None)
        yield Move("the answer comes", idle, world.answer)
        lost = CANCEL_LOST if isinstance(world.answer, CancelAsked) else LOST
        if world.answer != lost:
            yield Move("the answer is lost", idle, lost)
    else:
        yield from _asked(world, policy)
    yield from _venue(world)
    yield from _events(world)
    status = world.state.saga.status
    if status not in ENDS:
        yield Move("stop", world, CancelWanted(reason="stop"))
    if status not in RESTS:
        yield Move("crash", replace(world, answer=None), Recovered())
    if status is SagaStatus.MANUAL_REQUIRED:
        yield from _person(world)


def latest(world: World, index: int = -1) -> Reported:
    """What the venue says of its order now, or said of it before."""
    status, filled = world.placed[-1].history[index]
    return Reported(report=report(status, filled, at=world.now))


def visible(world: World) -> bool:
    """Whether a look-up must find the order."""
    known = world.state.order.venue_order_id is not None
    return bool(world.placed) and (known or world.now - world.placed[-1].at >= LAG)


def _person(world: World) -> Iterator[Move]:
    """What a person may say, who tells the truth about the order."""
    yield Move("a person retries", world, Resumed(reason="again"))
    actions = trade_intervention.allowed(world.state)
    if trade_intervention.COMPENSATE in actions:
        yield Move("a person turns back", world, TurnedBack(reason="back"))
    if trade_intervention.RESOLVE not in actions:
        return

    def resolved(resolution: Resolution, venue_order_id: str | None = None) -> Move:
        told = Resolved(
            resolution=resolution, reason="seen", by="ann", venue_order_id=venue_order_id
        )
        return Move(f"a person resolves as {resolution}", world, told)

    if world.placed:
        yield resolved(Resolution.ADOPT, VENUE_ID)
        if not world.placed[-1].lives:
            yield resolved(Resolution.CANCELED)
    elif world.state.order.venue_order_id is None:
        yield resolved(Resolution.NOT_PLACED)


def _asked(world: World, policy: Policy) -> Iterator[Move]:
    match trade_saga.command(world.state, world.now, policy):
        case Submit():
            yield from _submitted(world, policy)
        case LookUp(at=at):
            yield from _looked_up(replace(world, now=max(world.now, at)))
        case Follow(poll_at=poll_at, until=until):
            yield Move("time is up", replace(world, now=max(world.now, until)), TimeUp())
            if poll_at < until:
                polling = replace(world, now=max(world.now, poll_at))
                yield Move("poll", polling, latest(polling))
                yield Move("poll unanswered", polling, LOST)
                yield Move("poll, not found", polling, NotFound())
        case RequestCancel(at=at):
            yield from _cancelled(replace(world, now=max(world.now, at)))
        case None:
            return


def _submitted(world: World, policy: Policy) -> Iterator[Move]:
    order = world.state.order
    late = min(order.expires_at, world.state.saga.deadline_at)
    yield Move("no leave to send in time", replace(world, now=late))
    world = replace(world, sent=(*world.sent, order.client_order_id), absences=0)

    def sent(name: str, placed: Placed | None, answer: Happening | None) -> Move:
        books = world.placed if placed is None else (*world.placed, placed)
        after = replace(world, placed=books)
        return Move(name, replace(after, answer=answer or latest(after)), submits=True)

    if policy.dedupes and world.placed:
        yield sent("submit, a duplicate", None, LOST)
        return
    accepted = Placed(world.now, ((OrderStatus.WORKING, 0),))
    yield sent("submit, accepted", accepted, None)
    yield sent("submit, part filled", accepted.filled_to(1), None)
    yield sent("submit, filled", accepted.filled_to(ORDERED), None)
    yield sent("submit, refused", None, SubmitRefused(evidence="FUNDS no money"))
    yield sent("submit, lost on the way", None, LOST)


def _looked_up(world: World) -> Iterator[Move]:
    if world.placed:
        yield Move("looked up, found", world, latest(world))
    if not visible(world):
        yield Move("looked up, not found", world, NotFound())
    yield Move("look-up unanswered", world, LOST)
    yield Move("looked up, ambiguous", world, Ambiguous(reason="two orders"))


def _cancelled(world: World) -> Iterator[Move]:
    asked = replace(world, answer=CancelAsked(), cancels=world.cancels + 1)
    order = world.placed[-1]
    yield Move("cancel, ignored", asked)
    if order.lives:
        taken_up = order.ended(OrderStatus.CANCELED)
        beaten = order.filled_to(ORDERED)
        yield Move("cancel, taken", replace(asked, placed=(*world.placed[:-1], taken_up)))
        yield Move("cancel, beaten by a fill", replace(asked, placed=(*world.placed[:-1], beaten)))


def _venue(world: World) -> Iterator[Move]:
    if not world.placed:
        return
    *others, order = world.placed
    late = order.status is OrderStatus.CANCELED and order.filled < ORDERED
    if order.lives or late:
        more = order.filled_to(order.filled + 1)
        yield Move("late fill" if late else "fill", replace(world, placed=(*others, more)))
    if order.lives:
        over = order.ended(OrderStatus.EXPIRED)
        yield Move("expiry", replace(world, placed=(*others, over)))


def _events(world: World) -> Iterator[Move]:
    if not world.placed:
        return
    yield Move("event", world, latest(world))
    if len(world.placed[-1].history) > 1:
        yield Move("old event once more", world, latest(world, 0))
