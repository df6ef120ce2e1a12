"""What holds of every trade saga in every world, and that a fair venue brings it to an end.

`broken` names the first law that a move has broken. It knows the venue's truth, which the saga
does not, and shares no code with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.domain.venue_model import RESTS, Move, World, latest, moves, taken
from tradesaga.domain import trade_saga
from tradesaga.domain.busts import voided
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.orders import ENDED, OrderStatus, ReservationState
from tradesaga.domain.saga import ENDS, SagaStatus
from tradesaga.domain.trade_messages import Follow, Policy, TradeState

STEPS_TO_REST_MAX = 30


class LawBroken(AssertionError):
    """A law, and the moves that led to its breach."""

    def __init__(self, law: str, trail: tuple[str, ...]) -> None:
        super().__init__(f"{law}: {' > '.join(trail)}")
        self.law = law


def broken(before: World, move: Move, after: World, policy: Policy) -> str | None:
    """The first law that `move` has broken; None when all hold."""
    if move.submits and (law := _of_sending(before, policy)):
        return law
    laws = (*_of_rows(before.state, after.state), *_of_money(after), *_of_orders(before, after))
    return next((law for law, holds in laws if not holds), None)


def _of_sending(before: World, policy: Policy) -> str | None:
    order = before.state.order
    if order.status is not OrderStatus.INTENT:
        return "only an intent is sent"
    if not before.sent:
        return None
    if order.client_order_id != before.sent[0]:
        return "one client order id for ever"
    if before.placed or before.absences < 2 or not policy.dedupes:
        return "nothing is sent again without proof of absence and a venue that dedupes"
    return None


def _of_rows(before: TradeState, after: TradeState) -> Iterator[tuple[str, bool]]:
    pairs = (
        (before.saga, after.saga),
        (before.order, after.order),
        (before.reservation, after.reservation),
    )
    for was, became in pairs:
        risen = became.version - was.version
        yield "a row that changed has the next version", risen == (was != became)
    absent = before.order.status is OrderStatus.NOT_PLACED
    revived = absent and before.saga.status is SagaStatus.COMPENSATED
    over = before.saga.status in ENDS and not (revived and before.saga != after.saga)
    yield "an end is the end", not over or before.saga == after.saga
    yield "only an absent order is revived", before.saga.status not in ENDS or over or absent
    yield "a pivot is never taken back", after.saga.pivoted or not before.saga.pivoted
    turned = after.saga.status is SagaStatus.COMPENSATED and not over
    yield "what filled is not undone", not turned or after.order.filled_quantity == 0
    end, closed = after.saga.status in ENDS, after.reservation.state is ReservationState.CLOSED
    yield "the reservation is open exactly as long as the saga", end == closed


def _of_money(after: World) -> Iterator[tuple[str, bool]]:
    order, held = after.state.order, after.state.reservation
    ids = [fill_id for fill_id, _, _ in after.fills]
    yield "a fill is booked once", len(ids) == len(set(ids))
    yield "one trade a fill", sorted(map(str, ids)) == sorted(map(str, after.traded))
    quantity = sum((q for _, q, _ in after.fills), Decimal(0))
    value = sum((q * p for _, q, p in after.fills), Decimal(0))
    yield "filled is the sum of the fills", quantity == order.filled_quantity
    yield "their value is the order's value", value == order.filled_value
    yield "what was spent is what the fills cost", value == held.consumed
    # n units cost 100 + 101 + ... : the venue's first fills, in full, but for what it took back
    filled = sum(placed.filled for placed in after.placed)
    voids = [int(void.cumulative) for void in after.state.voids]
    reached = int(quantity) + len(voids)
    yield "nothing is filled that the venue did not fill", reached <= filled
    true_value = sum(100 + n for n in range(reached)) - sum(99 + n for n in voids)
    yield "prices are the venue's", value == true_value
    busted = {number for placed in after.placed for number in placed.busted}
    yield "what is voided was busted, once", len(set(voids)) == len(voids) and set(voids) <= busted


def _of_orders(before: World, after: World) -> Iterator[tuple[str, bool]]:
    order, lives = after.state.order, any(placed.lives for placed in after.placed)
    yield "one order at the venue", len(after.placed) <= 1
    ended = order.status in ENDED
    absent = after.slow and order.status is OrderStatus.NOT_PLACED  # the promise was not kept
    yield "no order ends for us that lives at the venue", not (ended and lives) or absent
    yield "an end has its evidence", not ended or bool(order.evidence)
    released = after.state.reservation.state is ReservationState.CLOSED
    yield "nothing is released while the order may live", not (released and lives) or absent
    asked = order.cancel_requested_at is not None
    yield "a cancel counts as asked when it was sent", not asked or after.cancels > 0
    was, became = (
        state.order.filled_quantity + voided(state.voids) for state in (before.state, after.state)
    )
    yield "cumulative quantity never falls", became >= was


@dataclass
class Exploration:
    """Breadth first over all moves; every world is visited once, by a shortest trail."""

    policy: Policy
    depth_max: int
    worlds: int = 0
    moves_taken: int = 0
    statuses: set[tuple[SagaStatus, OrderStatus]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    _settled: set[tuple[object, ...]] = field(default_factory=set)

    def run(self, first: World) -> None:
        """Visit every world within `depth_max` moves of `first`. Raises LawBroken."""
        seen = {first.key}
        front: list[tuple[World, tuple[str, ...]]] = [(first, ())]
        for _ in range(self.depth_max):
            reached = []
            for world, trail in front:
                for move, after in self._moves(world, trail):
                    if after.key not in seen:
                        seen.add(after.key)
                        here = (*trail, move.name)
                        self.must_settle(after, here)
                        reached.append((after, here))
            front = reached
        self.worlds = len(seen)

    def _moves(self, world: World, trail: tuple[str, ...]) -> Iterator[tuple[Move, World]]:
        for move in moves(world, self.policy):
            yield move, self.step(world, move, trail)

    def step(self, world: World, move: Move, trail: tuple[str, ...]) -> World:
        """The world after `move`. Raises LawBroken."""
        self.moves_taken += 1
        self.names.add(move.name)
        try:
            after, _ = taken(move, self.policy)
            rests = trade_saga.command(after.state, after.now, self.policy) is None
        except (IllegalTransition, AssertionError) as error:
            raise LawBroken(f"no illegal transition: {error!r}", (*trail, move.name)) from error
        law = broken(world, move, after, self.policy)
        if law is None and rests != (after.state.saga.status in RESTS):
            law = "a saga asks for something until it rests"
        if law is not None:
            raise LawBroken(law, (*trail, move.name))
        self.statuses.add((after.state.saga.status, after.state.order.status))
        return after

    def must_settle(self, world: World, trail: tuple[str, ...]) -> None:
        """A fair venue answers everything truly; then the saga rests and agrees with it."""
        passed = set()
        for _ in range(STEPS_TO_REST_MAX):
            passed.add(world.key)
            move = None if world.key in self._settled else fair_move(world, self.policy)
            if move is None:
                self._settled |= passed
                return
            world = self.step(world, move, trail)
            trail = (*trail, move.name)
        raise LawBroken("a fair venue brings every saga to rest", trail)


def fair_move(world: World, policy: Policy) -> Move | None:
    """What a venue does next that answers all and fills nothing more; None at rest."""
    at_hand = {move.name: move for move in moves(world, policy)}
    if (answer := at_hand.get("the answer comes")) is not None:
        return answer
    heard_all = not world.placed or _agree(world)
    if world.state.saga.status in RESTS:
        return None if heard_all else Move("event", world, latest(world))
    if isinstance(trade_saga.command(world.state, world.now, policy), Follow):
        return at_hand["time is up" if heard_all else "event"]
    wanted = ("submit, accepted", "cancel, taken", "looked up, found", "looked up, not found")
    return next((at_hand[name] for name in (*wanted, *at_hand) if name in at_hand), None)


def _agree(world: World) -> bool:
    order, placed = world.state.order, world.placed[-1]
    kept = placed.filled - len(placed.busted)
    return order.filled_quantity == kept and (order.status not in ENDED) == placed.lives


def explored(policy: Policy, first: World, depth_max: int) -> Exploration:
    """An exploration that found no law broken. Raises LawBroken."""
    exploration = Exploration(policy=replace(policy), depth_max=depth_max)
    exploration.run(first)
    return exploration
