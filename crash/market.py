"""Market time that runs a hundred times as fast as real time, the same in all processes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tradesaga.adapters.system import real_ns

SPEED = 100
START = datetime(2026, 11, 23, 15, 0, 10, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FastClock:
    """Implements `ports.clock.Clock`; `anchor_ns` is the real time of START."""

    anchor_ns: int

    def now(self) -> datetime:
        """Market time."""
        return START + timedelta(microseconds=(real_ns() - self.anchor_ns) * SPEED // 1000)

    def monotonic(self) -> float:
        """Real seconds: leases are not sped up."""
        return real_ns() / 1e9

    async def sleep_until(self, when: datetime) -> None:
        """Wait a hundredth of the time."""
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(left / SPEED)
