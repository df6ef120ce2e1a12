"""Marks of the kill switch that outlive the process and need no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tradesaga.domain.ladder import Scope


class HaltMarks(Protocol):
    """A place on this machine whose marks halt every process that watches it.

    The existence of a mark halts, whatever is in it. Marks are noticed within 20 ms by a thread
    of its own, whatever the event loop does.
    """

    def watch(self, noticed: Callable[[Sequence[Scope]], None]) -> None:
        """Call `noticed` on the event loop with what stands, now and with each new mark."""
        ...

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """Leave a mark that survives loss of power; False when that cannot be done. Bounded."""
        ...

    async def clear(self, scope: Scope) -> None:
        """Remove the mark; none is fine. Raises Unavailable when it cannot be removed."""
        ...

    async def report(self, content: Mapping[str, Any]) -> None:
        """Leave a report for people beside the marks; never raises. Bounded."""
        ...
