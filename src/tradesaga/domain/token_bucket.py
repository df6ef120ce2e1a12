"""How often a service may be asked: a bucket of tokens, the last for what reduces risk.

    level   refills at the rate, up to the burst; each request takes one
    entry   needs one above the reserve
    urgent  (a cancel, an exit) needs one, and so goes first whenever tokens are short

Time is a number of seconds that never falls, of whatever clock the owner chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`per_minute` tokens come in, up to `burst`; `reserve` of them are for urgent requests."""

    per_minute: int
    burst: int
    reserve: int

    def __post_init__(self) -> None:
        assert self.per_minute > 0, self
        assert 0 <= self.reserve < self.burst, self


class TokenBucket:
    """Full at the beginning; keeps nothing but its level."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._per_second = rate.per_minute / MINUTE_SECONDS
        self._level = float(rate.burst)
        self._at = now

    def take(self, now: float, *, urgent: bool) -> float:
        """Take a token, or none; 0 when it was taken, else the seconds until there may be one."""
        self._refill(now)
        needed = 1 if urgent else 1 + self.rate.reserve
        if self._level >= needed:
            self._level -= 1
            return 0.0
        return (needed - self._level) / self._per_second

    def drain(self, now: float) -> None:
        """The service says that it was too much: only the reserve is left."""
        self._refill(now)
        self._level = min(self._level, float(self.rate.reserve))

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._at = max(self._at, now)
        self._level = min(self.rate.burst, self._level + passed * self._per_second)
