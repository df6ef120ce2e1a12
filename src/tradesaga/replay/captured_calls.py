"""The clock, and any other port, noted: what is read of it, and what is awaited of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any

from tradesaga.replay.notes import Notes
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


class CapturedCalls:
    """Any port; each of its methods that is awaited takes turns, `keep`: with the answer."""

    def __init__(self, name: str, port: Any, notes: Notes, *, keep: bool) -> None:
        self._name = name
        self._port = port
        self._notes = notes
        self._keep = keep

    def __getattr__(self, name: str) -> Any:
        """As the port."""
        method = getattr(self._port, name)
        if not iscoroutinefunction(method):
            return method
        what = f"{self._name}.{name}"

        async def asked(*values: Any, **named: Any) -> Any:
            called = method(*values, **named)
            return await self._notes.call(what, part(), called, keep=self._keep, shown=seen)

        return asked


def calls_of(name: str, port: Any, notes: Notes, *, keep: bool = False) -> Any:
    """The port, its calls noted by `name`."""
    return CapturedCalls(name, port, notes, keep=keep)
