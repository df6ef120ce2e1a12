"""New identities that are the same in every replay of the same seed."""

from __future__ import annotations

import random
from uuid import UUID

from tradesaga.domain.market_clock import micros_of
from tradesaga.ports.clock import Clock

_COUNTS = 1 << 12


class SeededIds:
    """UUIDv7 of market time, ordered by creation; implements `ports.identity.IdSource`.

    Within a millisecond a counter stands before what is drawn, up to 4,096 of them.
    """

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._rng = random.Random(f"{seed}:ids")
        self._last = -1
        self._count = 0

    def uuid7(self) -> UUID:
        """The next one."""
        milliseconds = micros_of(self._clock.now()) // 1000
        self._count = self._count + 1 if milliseconds == self._last else 0
        self._last = milliseconds
        assert self._count < _COUNTS, "more ids in a millisecond than there are"
        drawn = self._rng.getrandbits(62)
        return UUID(int=milliseconds << 80 | 7 << 76 | self._count << 64 | 2 << 62 | drawn)
