"""How often a step is repeated, and how long to wait before each repeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`retries_max` repeats after the first try; the delay doubles up to `delay_max`."""

    retries_max: int
    delay_first: timedelta
    delay_max: timedelta = timedelta(seconds=30)

    def delay(self, attempt: int) -> timedelta:
        """The wait before repeat number `attempt`, counted from 1."""
        assert attempt >= 1, attempt
        return min(self.delay_first * (1 << min(attempt - 1, 16)), self.delay_max)
