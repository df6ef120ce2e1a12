"""How long the journal takes: the quickest commit since the last look, and how long one waits now.

The quickest one says what the database can do; a slow one may have waited for a row or a batch.
"""

from __future__ import annotations

import itertools
from datetime import timedelta

from tradesaga.ports.clock import Clock


class CommitTimes:
    """Of one agent's commits, in real time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._begun: dict[int, float] = {}
        self._quickest: float | None = None

    def begin(self) -> int:
        """A commit was handed to the journal; what to `end` it with."""
        number = next(self._numbers)
        self._begun[number] = self._clock.monotonic()
        return number

    def end(self, number: int) -> None:
        """Its outcome is known."""
        seconds = self._clock.monotonic() - self._begun.pop(number)
        if self._quickest is None or seconds < self._quickest:
            self._quickest = seconds

    def take_quickest(self) -> timedelta | None:
        """The quickest that has ended since the last time this was asked; None of none."""
        quickest, self._quickest = self._quickest, None
        return None if quickest is None else timedelta(seconds=quickest)

    def longest_wait(self) -> timedelta:
        """For how long the oldest of those under way has waited; zero of none."""
        oldest = next(iter(self._begun.values()), None)
        seconds = 0.0 if oldest is None else self._clock.monotonic() - oldest
        return timedelta(seconds=seconds)
