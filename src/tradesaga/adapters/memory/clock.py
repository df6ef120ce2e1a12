"""The clock of neighbours that share the engine's: no difference, no doubt."""

from __future__ import annotations

from datetime import timedelta

from tradesaga.ports.clock import Offset

NONE = timedelta(0)


class SharedClock:
    """Implements `ports.clock.OtherClock`."""

    async def offset(self) -> Offset:
        """None at all."""
        return Offset(ahead=NONE, doubt=NONE)
