"""A circuit breaker: a service that fails again and again is left alone for a while.

    CLOSED --5 failures within a minute--> OPEN --30 s, or it says it is well--> HALF_OPEN
       ^                                     ^                                    |    |
       |                                     +-------the one probe fails----------+    |
       +-------------------------------------------- any success ----------------------+

The figures are those of the platform's own breakers unless others are given. Time is a number of
seconds that never falls.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FAILURES_MAX: Final = 5
WINDOW_SECONDS: Final = 60.0
OPEN_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitFigures:
    """When it opens and for how long; all seconds."""

    failures_max: int = FAILURES_MAX
    window_seconds: float = WINDOW_SECONDS
    open_seconds: float = OPEN_SECONDS


class CircuitState(StrEnum):
    """OPEN asks nothing; HALF_OPEN lets one request at a time find out."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


USUAL: Final = CircuitFigures()


class CircuitBreaker:
    """One service's; asked before each request and told of its outcome."""

    def __init__(self, figures: CircuitFigures = USUAL) -> None:
        self._figures = figures
        self._failures: deque[float] = deque(maxlen=figures.failures_max)
        self._until: float | None = None
        """While it is not closed: until when nothing is asked."""

    def state(self, now: float) -> CircuitState:
        """Where it stands."""
        if self._until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self._until else CircuitState.HALF_OPEN

    def allows(self, now: float) -> bool:
        """Whether a request may go; of those of a half-open circuit only the first."""
        state = self.state(now)
        if state is CircuitState.HALF_OPEN:
            self._until = now + self._figures.open_seconds  # the others wait for this one's outcome
        return state is not CircuitState.OPEN

    def succeeded(self) -> None:
        """The service has answered."""
        self._failures.clear()
        self._until = None

    def failed(self, now: float) -> None:
        """No usable answer came."""
        self._failures.append(now)
        many = len(self._failures) == self._figures.failures_max
        soon = now - self._failures[0] <= self._figures.window_seconds
        if self._until is not None or (many and soon):
            self._until = now + self._figures.open_seconds

    def seems_well(self, now: float) -> None:
        """Another way of asking says that the service is well: find out now."""
        if self._until is not None:
            self._until = min(self._until, now)
