"""A small venue, and everything that can happen between it and one trade saga.

    World   the committed trade, the venue's truth, and what is under way between them
    moves   all that can happen next; a request is sent in one move and answered in another, so
            that events, a stop or a crash come between
    taken   the world after a move

Time moves where the saga waits, and past the end of the decision, of the saga and of a cancel's
patience. The key of a world holds what its future depends on, each time as the side of the limit
on which it stands, so that the worlds are few enough to visit all. The venue hides an accepted
order from look-ups for at most `LAG`; one that is `slow` keeps no such promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tests.domain.trades import LAG, POLICY, START, VENUE_ID, begun, report
from tradesaga.domain import trade_intervention, trade_saga
from tradesaga.domain.orders import OrderStatus, VenueBust
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
    history: tuple[tuple[OrderStatus, int, tuple[int, ...]], ...]

    @property
    def status(self) -> OrderStatus:
        return self.history[-1][0]

    @property
    def filled(self) -> int:
        return self.history[-1][1]

    @property
    def busted(self) -> tuple[int, ...]:
        return self.history[-1][2]

    @property
    def lives(self) -> bool:
        return self.status in (OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED)

    def became(self, status: OrderStatus, filled: int) -> Placed:
        return replace(self, history=(*self.history, (status, filled, self.busted)))

    def without(self, number: int) -> Placed:
        after = (self.status, self.filled, tuple(sorted((*self.busted, number))))
        return replace(self, history=(*self.history, after))

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
    slow: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for worlds whose futures hold the same: all but the exact times."""
        saga, order, held = self.state.saga, self.state.order, self.state.reservation
        return (
            (saga.status, saga.cursor, saga.pivoted, saga.partial),
            (order.status, order.filled_value, min(order.sends, 4), min(order.lookups, 4)),
            (tuple(void.cumulative for void in self.state.voids), held.state, held.consumed),
            (order.client_order_id, order.venue_order_id, order.acked_at is None),
            (self._sides, self._answer, bool(self.sent), min(self.absences, 2), bool(self.cancels)),
            tuple(
                (placed.history[-1], frozenset(placed.history), self.now - placed.at >= LAG)
                for placed in self.placed
            ),
        )

    @property
    def _sides(self) -> tuple[bool | None, ...]:
        """On which side of each limit the time stands; None where there is no such limit."""
        saga, order = self.state.saga, self.state.order
        unknown, wanted = order.unknown_since, order.cancel_wanted_at
        asked, accepted = order.cancel_requested_at, order.acked_at
        return (
            self.now >= min(order.expires_at, saga.deadline_at),
            self.now >= saga.deadline_at,
            None if unknown is None else self.now - unknown >= LAG,
            None if wanted is None else self.now - wanted >= POLICY.cancel_time_max,
            None if asked is None else self.now - asked >= POLICY.fill_time_max,
            None if accepted is None else self.now - accepted >= POLICY.fill_time_max,
            None if saga.due is None else saga.due > self.now,
        )

    @property
    def _answer(self) -> tuple[object, ...]:
        match self.answer:
            case Reported(report=said):
                busted = tuple(bust.cumulative for bust in said.busts)
                return Reported, said.status, said.filled_quantity, busted
            case NoAnswer(to_cancel=to_cancel):
                return NoAnswer, to_cancel
            case answer:
                return (type(answer),)


@dataclass(frozen=True, slots=True)
class Move:
    """`world` is the world with the venue's part done; `happened` is what the saga is told."""

    name: str
    world: World
    happened: Happening | None = None
    submits: bool = False


def first_world(*, slow: bool = False) -> World:
    """The intent is committed, nothing is sent."""
    return World(state=begun(), now=START, slow=slow)


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
    yield from _late(world, policy)
    status = world.state.saga.status
    if status not in ENDS:
        yield Move("stop", world, CancelWanted(reason="stop"))
    if status not in RESTS:
        yield Move("crash", replace(world, answer=None), Recovered())
    if status is SagaStatus.MANUAL_REQUIRED:
        yield from _person(world)


def latest(world: World, index: int = -1) -> Reported:
    """What the venue says of its order now, or said of it before."""
    status, filled, busted = world.placed[-1].history[index]
    said = report(status, filled, at=world.now)
    if busted:
        left = [99 + n for n in range(1, filled + 1) if n not in busted]
        average = Decimal(sum(left)) / len(left) if left else None
        said = replace(said, busts=tuple(map(bust_of, busted)), average_price=average)
    return Reported(report=said)


def bust_of(number: int) -> VenueBust:
    """The bust of execution `number`: one unit at 99 + number, as `trades.report` makes them."""
    return VenueBust(
        cumulative=Decimal(number),
        quantity=Decimal(1),
        price=Decimal(99 + number),
        reason="venue error",
    )


def _late(world: World, policy: Policy) -> Iterator[Move]:
    """Time passes without anything: past each limit that is still ahead."""
    if world.state.saga.status in RESTS:
        return
    saga, order = world.state.saga, world.state.order
    limits = {"the decision's end": order.expires_at, "the deadline": saga.deadline_at}
    if order.cancel_wanted_at is not None:
        limits["the patience for a cancel"] = order.cancel_wanted_at + policy.cancel_time_max
    for name, limit in limits.items():
        if world.now < limit:
            yield Move(f"time passes {name}", replace(world, now=limit))


def visible(world: World) -> bool:
    """Whether a look-up must find the order."""
    if world.slow:
        return False
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
    accepted = Placed(world.now, ((OrderStatus.WORKING, 0, ()),))
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
    for number in sorted(set(range(1, order.filled + 1)) - set(order.busted)):
        less = order.without(number)
        yield Move("bust", replace(world, placed=(*others, less)))


def _events(world: World) -> Iterator[Move]:
    if not world.placed:
        return
    yield Move("event", world, latest(world))
    history = world.placed[-1].history
    for index in (history.index(entry) for entry in dict.fromkeys(history[:-1])):
        yield Move("old event once more", world, latest(world, index))
