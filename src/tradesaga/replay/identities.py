"""New identities: the same in every replay of the same seed, or those of a recorded life."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from tradesaga.domain.market_clock import micros_of
from tradesaga.ports.clock import Clock
from tradesaga.replay.tape import Line
from tradesaga.replay.telling import ToldClock

_COUNTS = 1 << 12
NEAR = timedelta(minutes=1)
"""A recorded id was given at about the time at which it is asked for again."""


class SeededIds:
    """UUIDv7 of market time, ordered by creation; implements `ports.identity.IdSource`.

    Within a millisecond a counter stands before what is drawn, up to 4,096 of them.
    """

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._rng = random.Random(f"{seed}:ids")
        self._last = -1
        self._count = 0

    def uuid7(self, what: str = "") -> UUID:
        """The next one."""
        milliseconds = micros_of(self._clock.now()) // 1000
        self._count = self._count + 1 if milliseconds == self._last else 0
        self._last = milliseconds
        assert self._count < _COUNTS, "more ids in a millisecond than there are"
        drawn = self._rng.getrandbits(62)
        return UUID(int=milliseconds << 80 | 7 << 76 | self._count << 64 | 2 << 62 | drawn)


class RecordedIds:
    """The ids that were given then, by what they were given for; others where there was none.

    All that comes of a cycle has an id that follows from the cycle's.
    """

    def __init__(self, clock: ToldClock, lines: Iterable[Line]) -> None:
        self._clock = clock
        self._others = SeededIds(clock, 1)
        self._left: defaultdict[str, deque[Line]] = defaultdict(deque)
        for line in lines:
            if line.kind == "id":
                self._left[line.name].append(line)

    def uuid7(self, what: str = "") -> UUID:
        """The next one for `what`."""
        left, now = self._left[what], self._clock.standing
        while left and left[0].at < now - NEAR:
            left.popleft()
        if left and left[0].at <= now + NEAR:
            return UUID(left.popleft().key)
        return self._others.uuid7(what)
