"""Time as the engine sees it: real, scaled (a recorded day played fast) or virtual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only source of time; the domain is handed `now`."""

    def now(self) -> datetime:
        """Aware UTC, never earlier than the answer before. A scaled clock answers market time."""
        ...

    def monotonic(self) -> float:
        """Real seconds since some fixed moment, counting suspend; for leases and latencies."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return when `now()` is at `when` or later, at once if it has passed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far the host's clock is `ahead` of another one, give or take `doubt`."""

    ahead: timedelta
    doubt: timedelta

    @property
    def certain(self) -> timedelta:
        """The difference that is left when the measurement was as wrong as it may have been."""
        return max(timedelta(0), abs(self.ahead) - self.doubt)


class OtherClock(Protocol):
    """A clock of somebody else's, in real time also where market time is sped up."""

    async def offset(self) -> Offset:
        """Read it and compare it with the host's. Raises Transient."""
        ...
