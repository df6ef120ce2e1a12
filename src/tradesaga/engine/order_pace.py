"""How often and when was ordered: for the rules on rates, repetition and cooling down.

Begun from the stored orders, moved on by each intent, so that a restart forgets nothing. An order
counts from the moment it is admitted, before its commit; one whose commit fails is taken back.
Windows drop what is past as they move on: a judgement costs the same on the first day and the
hundredth, after the first order and the millionth.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from tradesaga.domain.ids import CycleId, StrategyId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order, Side
from tradesaga.ports.records import Submission

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
STOP: Final = "stop"
"""The purpose of an order that limits a loss."""
APART_MAX: Final = 100
STEPS: Final = 3600
CYCLES_KEPT: Final = 100
"""Cycles whose entries are counted; one that began longer ago makes no orders any more."""


@dataclass(slots=True)
class _Place:
    first: datetime
    last: datetime
    number: int


class Times:
    """How many moments there were within the last `length`.

    Each has a place of its own while they are few; beyond that, those within a `STEPS`th of the
    length share one and leave with the last of them. So none leaves early, and memory has a bound
    whatever the pace.
    """

    def __init__(self, length: timedelta) -> None:
        self._length, self._step = length, length / STEPS
        self._places: deque[_Place] = deque()
        self._number = 0

    def add(self, at: datetime) -> None:
        """One more; they come in about the order of time."""
        last = self._places[-1] if self._places else None
        if last is None or len(self._places) < APART_MAX or at - last.first >= self._step:
            self.count(at)
            self._places.append(_Place(at, at, 1))
        else:
            if at > last.last:
                last.last = at
            elif at < last.first:
                last.first = at
            last.number += 1
        self._number += 1

    def remove(self, at: datetime) -> None:
        """One that did not come about, unless it is past already."""
        for place in reversed(self._places):
            if place.first <= at <= place.last and place.number > 0:
                place.number -= 1
                self._number -= 1
                return

    def count(self, now: datetime) -> int:
        """All of them."""
        while self._places and self._places[0].last <= now - self._length:
            self._number -= self._places.popleft().number
        return self._number

    def since(self, moment: datetime) -> int:
        """Those after `moment`, as of the last `count`."""
        number = 0
        for place in reversed(self._places):
            if place.last <= moment:
                break
            number += place.number
        return number


class Window:
    """Submissions of the last `length`, counted in all and by strategy."""

    def __init__(self, length: timedelta) -> None:
        self._all = Times(length)
        self._of: dict[StrategyId | None, Times] = {}
        self._length = length

    def add(self, at: datetime, strategy_id: StrategyId | None) -> None:
        """One more."""
        self._all.add(at)
        if strategy_id not in self._of:
            self._of[strategy_id] = Times(self._length)
        self._of[strategy_id].add(at)

    def remove(self, at: datetime, strategy_id: StrategyId | None) -> None:
        """One that did not come about, unless it is out of the window already."""
        if strategy_id in self._of:
            self._all.remove(at)
            self._of[strategy_id].remove(at)

    def count(self, now: datetime) -> int:
        """All of them."""
        return self._all.count(now)

    def of_strategy(self, strategy_id: StrategyId | None, now: datetime) -> int:
        """Those of one strategy."""
        return self._of[strategy_id].count(now) if strategy_id in self._of else 0


@dataclass(slots=True)
class CycleEntries:
    """Entries of one cycle, and their value at the reference price."""

    number: int = 0
    value: Decimal = ZERO


Traits = tuple[str, Side, Decimal]
Repeat = tuple[StrategyId | None, str, Side]
"""What entries of one strategy have in common that repeat each other."""


class OrderPace:
    """All that the rules ask about earlier orders of one agent."""

    def __init__(self, stored: Iterable[Submission] = ()) -> None:
        self.minute = Window(MINUTE)
        self.day = Window(DAY)
        self.entries = Times(HOUR)
        self._cycles: OrderedDict[CycleId, CycleEntries] = OrderedDict()
        self._equal: dict[Traits, datetime] = {}
        self._left: dict[str, datetime] = {}
        self._stops: deque[tuple[datetime, str]] = deque()
        self._entered: dict[Repeat, Times] = {}
        for submission in stored:
            self._add(submission)
            if submission.left_at is not None:
                self.left(submission.symbol, submission.purpose, submission.left_at)

    def admitted(self, order: Order) -> None:
        """An intent is about to be committed."""
        self._add(submission_of(order))

    def withdrawn(self, order: Order) -> None:
        """Its commit has failed."""
        self.minute.remove(order.created_at, order.strategy_id)
        self.day.remove(order.created_at, order.strategy_id)
        if order.opening:
            self.entries.remove(order.created_at)
            if entered := self._entered.get((order.strategy_id, order.symbol, order.side)):
                entered.remove(order.created_at)
            self._of_cycle(order.cycle_id).number -= 1
            self._of_cycle(order.cycle_id).value -= order.quantity * order.reference_price
        self.came_to_nothing(order)

    def came_to_nothing(self, order: Order) -> None:
        """Refused, or ended without a fill: an equal order is no duplicate of it."""
        traits = order.symbol, order.side, order.quantity
        if self._equal.get(traits) == order.created_at:
            del self._equal[traits]

    def left(self, symbol: str, purpose: str, at: datetime) -> None:
        """An exit has filled."""
        self._left[symbol] = max(at, self._left.get(symbol, at))
        if purpose == STOP:
            self._stops.append((at, symbol))

    def equal_at(self, symbol: str, side: Side, quantity: Decimal) -> datetime | None:
        """When an equal order was made last."""
        return self._equal.get((symbol, side, quantity))

    def left_at(self, symbol: str) -> datetime | None:
        """When an exit of the symbol filled last."""
        return self._left.get(symbol)

    def stops(self, now: datetime) -> int:
        """How many stops the last day saw."""
        while self._stops and self._stops[0][0] <= now - DAY:
            self._stops.popleft()
        return len(self._stops)

    def stopped_at(self, symbol: str | None = None) -> datetime | None:
        """When the last stop filled: of the symbol, or of any."""
        times = [at for at, what in self._stops if symbol is None or what == symbol]
        return max(times, default=None)

    def repeats(self, of: Repeat, now: datetime, since: datetime | None) -> int:
        """The entries of the last day that repeat each other, those until `since` not counted."""
        if of not in self._entered:
            return 0
        number = self._entered[of].count(now)
        return number if since is None else self._entered[of].since(since)

    def of_cycle(self, cycle_id: CycleId | None) -> CycleEntries:
        """The entries of a cycle so far."""
        if cycle_id is None:
            return CycleEntries()
        return self._cycles.get(cycle_id, CycleEntries())

    def _of_cycle(self, cycle_id: CycleId | None) -> CycleEntries:
        if cycle_id is None:
            return CycleEntries()
        if cycle_id not in self._cycles and len(self._cycles) >= CYCLES_KEPT:
            self._cycles.popitem(last=False)
        return self._cycles.setdefault(cycle_id, CycleEntries())

    def _add(self, made: Submission) -> None:
        self.minute.add(made.at, made.strategy_id)
        self.day.add(made.at, made.strategy_id)
        if made.opening:
            self.entries.add(made.at)
            repeat = made.strategy_id, made.symbol, made.side
            if repeat not in self._entered:
                self._entered[repeat] = Times(DAY)
            self._entered[repeat].add(made.at)
            entries = self._of_cycle(made.cycle_id)
            entries.number += 1
            entries.value += made.quantity * made.reference_price
        if not made.void:
            self._equal[made.symbol, made.side, made.quantity] = made.at
        if len(self._equal) > self.day.count(made.at) + CYCLES_KEPT:
            since = made.at - DAY
            self._equal = {traits: at for traits, at in self._equal.items() if at > since}


def submission_of(order: Order) -> Submission:
    """The order as it counts for the pace."""
    return Submission(
        at=order.created_at,
        strategy_id=order.strategy_id,
        cycle_id=order.cycle_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        reference_price=order.reference_price,
        opening=order.opening,
        purpose=order.purpose,
        void=False,
        left_at=None,
    )
