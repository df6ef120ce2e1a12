"""The clock, and any other port, noted: what is read of it, and what is awaited of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import override

from tradesaga.replay.notes import Notes
from tradesaga.replay.port_calls import Ask, PortCalls
from tradesaga.replay.seen import seen
from tradesaga.replay.turns import part


@dataclass(frozen=True, slots=True)
class CapturedTime:
    """Implements `ports.clock.Clock`."""

    notes: Notes

    def now(self) -> datetime:
        """As the port."""
        return self.notes.now()

    def monotonic(self) -> float:
        """As the port."""
        return self.notes.monotonic()

    async def sleep_until(self, when: datetime) -> None:
        """As the port."""
        await self.notes.sleep_until(when)


class CapturedCalls(PortCalls):
    """Any port; each of its methods that is awaited takes turns, `keep`: with the answer."""

    def __init__(self, name: str, port: Any, notes: Notes, *, keep: bool) -> None:
        super().__init__(name, port)
        self._notes = notes
        self._keep = keep

    @override
    async def _asked(self, what: str, ask: Ask) -> Any:
        return await self._notes.call(what, part(), ask(), keep=self._keep, shown=seen)


def calls_of(name: str, port: Any, notes: Notes, *, keep: bool = False) -> Any:
    """The port, its calls noted by `name`."""
    return CapturedCalls(name, port, notes, keep=keep)
