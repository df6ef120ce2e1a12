"""How often and when was ordered: for the rules on rates, repetition and cooling down.

Begun from the stored orders, moved on by each intent, so that a restart forgets nothing. An order
counts from the moment it is admitted, before its commit; one whose commit fails is taken back.
Windows drop what is past as they move on: a judgement costs the same on the first day and the
hundredth, after the first order and the millionth.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from tradesaga.domain.ids import CycleId, StrategyId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Order, Side
from tradesaga.ports.records import Submission

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
STOP: Final = "stop"
"""The purpose of an order that limits a loss."""
CYCLES_KEPT: Final = 100
"""Cycles whose entries are counted; one that began longer ago makes no orders any more."""


@dataclass(slots=True)
class _Bucket:
    first: datetime
    last: datetime
    of: Counter[StrategyId | None]


class Window:
    """Submissions of the last `length`, counted in all and by strategy.

    Those that come within `step` of each other leave together, with the last of them: memory has
    a bound whatever the pace, and none leaves early.
    """

    def __init__(self, length: timedelta, step: timedelta) -> None:
        self._length, self._step = length, step
        self._buckets: deque[_Bucket] = deque()
        self._number = 0
        self._by_strategy: Counter[StrategyId | None] = Counter()

    def add(self, at: datetime, strategy_id: StrategyId | None) -> None:
        """One more."""
        bucket = self._buckets[-1] if self._buckets else None
        if bucket is None or at - bucket.first >= self._step:
            self.count(at)
            bucket = _Bucket(at, at, Counter())
            self._buckets.append(bucket)
        bucket.first, bucket.last = min(bucket.first, at), max(bucket.last, at)
        bucket.of[strategy_id] += 1
        self._by_strategy[strategy_id] += 1
        self._number += 1

    def remove(self, at: datetime, strategy_id: StrategyId | None) -> None:
        """One that did not come about, unless it is out of the window already."""
        for bucket in reversed(self._buckets):
            if bucket.first <= at <= bucket.last and bucket.of[strategy_id] > 0:
                bucket.of[strategy_id] -= 1
                self._by_strategy[strategy_id] -= 1
                self._number -= 1
                return

    def count(self, now: datetime) -> int:
        """All of them."""
        while self._buckets and self._buckets[0].last <= now - self._length:
            bucket = self._buckets.popleft()
            self._by_strategy.subtract(bucket.of)
            self._number -= bucket.of.total()
        return self._number

    def of_strategy(self, strategy_id: StrategyId | None) -> int:
        """Those of one strategy, as of the last `count`."""
        return self._by_strategy[strategy_id]

    def since(self, moment: datetime) -> int:
        """Those after `moment`, as of the last `count`."""
        number = 0
        for bucket in reversed(self._buckets):
            if bucket.last <= moment:
                break
            number += bucket.of.total()
        return number


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
        self.minute = Window(MINUTE, MINUTE / 3600)
        self.day = Window(DAY, DAY / 3600)
        self.entries = Window(HOUR, HOUR / 3600)
        self._cycles: OrderedDict[CycleId, CycleEntries] = OrderedDict()
        self._equal: dict[Traits, datetime] = {}
        self._left: dict[str, datetime] = {}
        self._stops: deque[tuple[datetime, str]] = deque()
        self._entered: dict[Repeat, Window] = {}
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
            self.entries.remove(order.created_at, order.strategy_id)
            if entered := self._entered.get((order.strategy_id, order.symbol, order.side)):
                entered.remove(order.created_at, order.strategy_id)
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
            self.entries.add(made.at, made.strategy_id)
            repeat = made.strategy_id, made.symbol, made.side
            if repeat not in self._entered:
                self._entered[repeat] = Window(DAY, SECOND)
            self._entered[repeat].add(made.at, made.strategy_id)
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
