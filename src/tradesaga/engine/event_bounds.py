"""How often an event is tried, and how many unreadable ones are kept: neither goes on for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

TRIES_MAX = 5
"""A decision whose analysis fails this often is put aside: its like would come back for ever."""
REMEMBERED_MAX = 10_000
FLOOD_MAX = 100
FLOOD_SPAN = timedelta(minutes=1)
"""So many unreadable messages are kept in such a time; more are counted and dropped."""


class Tries:
    """How often each event was tried in this life of the process; the oldest are forgotten."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def tried_enough(self, event_id: str) -> bool:
        """Count one more try; True when there have been `TRIES_MAX` before it."""
        count = self._counts.pop(event_id, 0)
        if count >= TRIES_MAX:
            return True
        self._counts[event_id] = count + 1
        if len(self._counts) > REMEMBERED_MAX:
            self._counts.pop(next(iter(self._counts)))
        return False

    def forget(self, event_id: str) -> None:
        """Begin to count anew."""
        self._counts.pop(event_id, None)


class Flood:
    """How many unreadable messages were kept in the present span of time."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._count = 0

    def has_room(self, now: datetime) -> bool:
        """Count one more; False when the span has its fill."""
        if self._since is None or now - self._since >= FLOOD_SPAN:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= FLOOD_MAX
