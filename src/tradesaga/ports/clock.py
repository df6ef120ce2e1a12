"""Time as the engine sees it: real, scaled (a recorded day played fast) or virtual."""

from __future__ import annotations

from datetime import datetime
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
