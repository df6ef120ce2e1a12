"""What must hold when a simulated hour has come to rest; each check is pure and returns breaches.

The product's own invariants are asked as well. Nothing here reads the engine's memory: the store,
the venue's books, the stream, and what was promised to the operator are the witnesses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise

from sim.setting import START
from sim.town import Town
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.events import ANALYSIS_REQUESTED
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import (
    ENDED,
    Fill,
    Order,
    OrderStatus,
    Reservation,
    ReservationState,
    Side,
    Trade,
)
from tradesaga.domain.saga import ENDS, Saga, SagaStatus
from tradesaga.testing.sim_journal import SimStore
from tradesaga.testing.sim_venue import VISIBILITY_LAG

EXACT = Decimal("1E-12")
"""Where the venue tells averages alone, prices are quotients."""


def breaches(town: Town) -> list[str]:
    """All of them, each with the name of its check."""
    found = [f"{check.__name__}: {line}" for check in CHECKS for line in check(town)]
    return [*town.kept.faults, *found]


def one_order_a_client_id(town: Town) -> Iterator[str]:
    """I1, I2: no double at the venue, and nothing there that has no row here."""
    known = {order.client_order_id for order in orders_of(town)}
    for client_id, placed in town.venue.by_client_id.items():
        if placed[0].id in town.venue.strangers:
            continue
        if len(placed) > 1:
            yield f"{client_id} was placed {len(placed)} times"
        if client_id not in known:
            yield f"{client_id} is at the venue and has no row"
    sent = defaultdict[object, set[str]](set)
    for each in town.venue.sent:
        sent[each.order.decision_id].add(each.order.client_order_id)
    for decision, ids in sent.items():
        if len(ids) > 1:
            yield f"decision {decision} was sent as {sorted(ids)}"


def one_saga_a_decision(town: Town) -> Iterator[str]:
    """I1: each with its order and its reservation."""
    store = town.store
    for cls in (Saga, Order, Decision):
        key = "external_id" if cls is Decision else "decision_id"
        counts = Counter(getattr(row, key) for row in store.of(cls, DEFAULT_AGENT))
        yield from (f"{cls.__name__} of {what}: {n}" for what, n in counts.items() if n > 1)
    sagas = {saga.id for saga in sagas_of(town)}
    for rows in (orders_of(town), store.of(Reservation, DEFAULT_AGENT)):
        if {row.saga_id for row in rows} != sagas:
            yield "a saga without its order or reservation, or the reverse"


def sagas_have_ended(town: Town) -> Iterator[str]:
    """I9, I18: or they need a person, who has been told."""
    told = {
        line.entry.subject
        for line in town.store.log_of(DEFAULT_AGENT)
        if line.entry.kind == "alert"
    }
    for saga in sagas_of(town):
        if saga.status is SagaStatus.MANUAL_REQUIRED:
            if str(saga.id) not in told:
                yield f"saga {saga.id} needs a person and nobody was told"
        elif saga.status not in ENDS:
            yield f"saga {saga.id} is {saga.status} at {saga.cursor}"


def orders_agree_with_the_venue(town: Town) -> Iterator[str]:
    """I3, I5: what ended here has ended there, with the same fills at the same cost."""
    sums = defaultdict[object, Decimal](Decimal)
    for fill in town.store.of(Fill, DEFAULT_AGENT):
        sums[fill.order_id] += fill.quantity
    ended = {saga.id for saga in sagas_of(town) if saga.status in ENDS}
    for order in orders_of(town):
        placed = town.venue.by_client_id.get(order.client_order_id, [])
        there = sum((each.kept for each in placed), ZERO)
        value = sum((each.value for each in placed), ZERO)
        if not order.filled_quantity == sums[order.id] == there:
            yield f"{order.client_order_id} filled {order.filled_quantity}, there {there}"
        if order.filled_quantity > order.quantity:
            yield f"{order.client_order_id} filled more than ordered"
        if abs(order.filled_value - value) > EXACT:
            yield f"{order.client_order_id} cost {order.filled_value}, there {value}"
        if order.saga_id in ended and order.status not in ENDED:
            yield f"{order.client_order_id} is {order.status}, its saga has ended"
        if order.status in ENDED and not order.evidence:
            yield f"{order.client_order_id} is {order.status} without evidence"
        if order.status is OrderStatus.NOT_PLACED and placed:
            yield f"{order.client_order_id} counts as not placed and is at the venue"


def positions_agree(town: Town) -> Iterator[str]:
    """I4: position = sum of fills = the venue's."""
    sums = defaultdict[str, Decimal](Decimal)
    for fill in town.store.of(Fill, DEFAULT_AGENT):
        sums[fill.symbol] += fill.quantity if fill.side is Side.BUY else -fill.quantity
    ours = {symbol: p.quantity for (_, symbol), p in town.store.positions.items()}
    foreign = defaultdict[str, Decimal](Decimal)
    for name in town.venue.strangers:  # what somebody else bought is not ours
        placed = town.venue.orders[name]
        sums[placed.order.symbol] += ZERO
        foreign[placed.order.symbol] += placed.kept
    for symbol in sorted({*sums, *ours, *town.venue.positions}):
        theirs = town.venue.positions.get(symbol, ZERO) - foreign[symbol]
        if not sums[symbol] == ours.get(symbol, ZERO) == theirs:
            yield f"{symbol}: fills {sums[symbol]}, position {ours.get(symbol)}, venue {theirs}"


def fills_have_one_trade(town: Town) -> Iterator[str]:
    """I5."""
    fills, trades = town.store.of(Fill, DEFAULT_AGENT), town.store.of(Trade, DEFAULT_AGENT)
    if Counter(trade.fill_id for trade in trades) != Counter(fill.id for fill in fills):
        yield f"{len(fills)} fills and {len(trades)} trades"


def reservations_follow_their_sagas(town: Town) -> Iterator[str]:
    """I6, I7: open as long as the saga, consumed = what the buys cost, released = the rest."""
    for saga_id in town.store.trades:
        trade = town.store.trade(saga_id)
        assert trade is not None, saga_id
        held, order = trade.reservation, trade.order
        if (held.state is ReservationState.OPEN) == (trade.saga.status in ENDS):
            yield f"reservation of {saga_id} is {held.state}, the saga {trade.saga.status}"
        spent = order.filled_value + order.fees if order.side is Side.BUY else ZERO
        if abs(held.consumed - spent) > EXACT:
            yield f"reservation of {saga_id} consumed {held.consumed}, spent {spent}"
        busted = any(each.busts for each in town.venue.by_client_id.get(order.client_order_id, ()))
        rest = max(ZERO, held.amount - held.consumed)
        if held.state is ReservationState.CLOSED and held.released != rest and not busted:
            yield f"reservation of {saga_id} released {held.released}"


def nothing_is_released_while_an_order_lives(town: Town) -> Iterator[str]:
    """I6: closed at an instant at which the venue could still fill."""
    for saga_id in town.store.trades:
        trade = town.store.trade(saga_id)
        assert trade is not None, saga_id
        closed_at = trade.reservation.closed_at
        for placed in town.venue.by_client_id.get(trade.order.client_order_id, ()):
            if closed_at is not None and any(fill.at > closed_at for fill in placed.fills):
                yield f"{placed.id} was filled after its reservation was released"


def outbox_is_published_in_order(town: Town) -> Iterator[str]:
    """I11: every event, and in the order of the log for each thing.

    A question that came out too late for anybody to wait for its answer is passed by.
    """
    log = town.store.log_of(DEFAULT_AGENT)
    written = {line.seq: line.entry.event for line in log if line.entry.event is not None}
    published = {row.sequence for row in town.stream.published}
    due = {seq for seq, event in written.items() if event.type != ANALYSIS_REQUESTED}
    if not due <= published <= written.keys():
        yield f"{len(written)} events written, {len(town.stream.published)} published"
    by_thing = defaultdict[str | None, list[int]](list)
    for row in town.stream.published:
        by_thing[row.correlation_id].append(row.sequence)
    for thing, sequence in by_thing.items():
        if sequence != sorted(sequence):
            yield f"events about {thing} were published as {sequence}"


def log_is_gapless(town: Town) -> Iterator[str]:
    """I10, I12: numbered from 1, never under an older epoch than before."""
    log = town.store.log_of(DEFAULT_AGENT)
    if [line.seq for line in log] != list(range(1, len(log) + 1)):
        yield "the numbers of the log have gaps"
    for before, after in pairwise(log):
        if after.epoch < before.epoch:
            yield f"entry {after.seq} was written under epoch {after.epoch} after {before.epoch}"


def versions_are_gapless(town: Town) -> Iterator[str]:
    """I8: the steps in the log name every version of their saga in order."""
    last: dict[str, int] = {}
    for line in town.store.log_of(DEFAULT_AGENT):
        if line.entry.kind == "saga.steps":
            version = int(line.entry.body["sagaVersion"])
            if version < last.get(line.entry.subject, 0):
                yield f"saga {line.entry.subject} went back to version {version}"
            last[line.entry.subject] = version


def counters_are_rows(town: Town) -> Iterator[str]:
    """I19."""
    store = town.store
    counts = store.counts.get(DEFAULT_AGENT, AgentCounts())
    cycles = store.of(Cycle, DEFAULT_AGENT)
    done = sum(1 for cycle in cycles if cycle.status is CycleStatus.COMPLETED)
    executed = (SagaStatus.COMPLETED, SagaStatus.COMPLETED_PARTIAL)
    expected = {
        "cycles_completed": done,
        "decisions_generated": len(store.of(Decision, DEFAULT_AGENT)),
        "orders_executed": sum(1 for saga in sagas_of(town) if saga.status in executed),
    }
    for name, number in expected.items():
        if getattr(counts, name) != number:
            yield f"{name} is {getattr(counts, name)}, there are {number}"


def cycles_do_not_hang(town: Town) -> Iterator[str]:
    """I15: an unfinished cycle belongs to the epoch in force."""
    epoch = town.store.epochs.get(DEFAULT_AGENT)
    for cycle in town.store.of(Cycle, DEFAULT_AGENT):
        if cycle.status is CycleStatus.STARTED and cycle.epoch != epoch:
            yield f"cycle {cycle.id} of epoch {cycle.epoch} never ended"


def commands_are_kept(town: Town) -> Iterator[str]:
    """I14: nothing sent while stopped, nothing opened while paused."""
    for each in town.venue.sent:
        if any(window.holds(each.at) for window in town.kept.stopped):
            yield f"{each.order.client_order_id} was sent at {each.at:.3f} after a stop"
    for order in orders_of(town):
        began = (order.created_at - START).total_seconds()
        if order.opening and any(window.holds(began) for window in town.kept.paused):
            yield f"{order.client_order_id} was begun at {began:.3f} in a pause"


def strangers_are_left_alone(town: Town) -> Iterator[str]:
    """What somebody else sent is never cancelled by us, and never an order of ours."""
    ours = {order.venue_order_id for order in orders_of(town)}
    for name in sorted(town.venue.strangers):
        if name in town.venue.cancels:
            yield f"{name} of somebody else was cancelled"
        if name in ours:
            yield f"{name} of somebody else was booked as ours"


def shadows_order_nothing(town: Town) -> Iterator[str]:
    """What a shadow strategy decides never reaches the venue, nor becomes an order here."""
    shadows = {strategy.id for strategy in town.strategies if strategy.is_shadow}
    for each in town.venue.sent:
        if each.order.strategy_id in shadows:
            yield f"{each.order.client_order_id} of a shadow was sent"
    yield from (
        f"{order.client_order_id} of a shadow is an order"
        for order in orders_of(town)
        if order.strategy_id in shadows
    )


def absence_takes_its_time(town: Town) -> Iterator[str]:
    """I3: an order that left us is absent only once it could not be hidden any more."""
    last = {each.order.client_order_id: each.at for each in town.venue.sent}
    for order in orders_of(town):
        sent_at = last.get(order.client_order_id)
        if order.status is not OrderStatus.NOT_PLACED or sent_at is None or order.ended_at is None:
            continue
        waited = (order.ended_at - START).total_seconds() - sent_at
        by_a_person = "operator" in (order.evidence or "")
        if waited < VISIBILITY_LAG.total_seconds() and not by_a_person:
            yield f"{order.client_order_id} was absent {waited:.3f} s after it was sent"


CHECKS: tuple[Callable[[Town], Iterator[str]], ...] = (
    one_order_a_client_id,
    one_saga_a_decision,
    sagas_have_ended,
    orders_agree_with_the_venue,
    positions_agree,
    strangers_are_left_alone,
    shadows_order_nothing,
    absence_takes_its_time,
    fills_have_one_trade,
    reservations_follow_their_sagas,
    nothing_is_released_while_an_order_lives,
    outbox_is_published_in_order,
    log_is_gapless,
    versions_are_gapless,
    counters_are_rows,
    cycles_do_not_hang,
    commands_are_kept,
)


def is_at_rest(store: SimStore) -> bool:
    """Whether nothing more is to come of what was begun."""
    cycles = store.of(Cycle, DEFAULT_AGENT)
    moving = (
        saga
        for saga in store.of(Saga, DEFAULT_AGENT)
        if saga.status not in ENDS and saga.status is not SagaStatus.MANUAL_REQUIRED
    )
    return not any(moving) and all(c.status is not CycleStatus.STARTED for c in cycles)


def is_parked(store: SimStore) -> bool:
    """Whether a saga waits for a person."""
    return any(s.status is SagaStatus.MANUAL_REQUIRED for s in store.of(Saga, DEFAULT_AGENT))


def sagas_of(town: Town) -> list[Saga]:
    """All sagas."""
    return town.store.of(Saga, DEFAULT_AGENT)


def orders_of(town: Town) -> list[Order]:
    """All orders."""
    return town.store.of(Order, DEFAULT_AGENT)
