"""What was recorded, by what it is about: each line is given out once, in order.

Lines that are older by more than `LATE_MAX` belong to questions that were not asked this time, and
are passed over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from tradesaga.replay.tape import Line

LATE_MAX = timedelta(minutes=1)
Key = tuple[str, ...]


class Reel:
    """The lines of one kind, by key."""

    def __init__(self, lines: Iterable[Line], key_of: Callable[[Line], Key]) -> None:
        self._lines: defaultdict[Key, list[Line]] = defaultdict(list)
        for line in lines:
            self._lines[key_of(line)].append(line)
        self._next: defaultdict[Key, int] = defaultdict(int)

    def take(self, key: Key, now: datetime) -> Line | None:
        """The next line that answers; None when there is none left."""
        lines, place = self._lines.get(key, []), self._next[key]
        while place < len(lines) and lines[place].at < now - LATE_MAX:
            place += 1
        self._next[key] = place + 1
        return lines[place] if place < len(lines) else None


def known_before(lines: Iterable[Line]) -> Iterator[str]:
    """The inbox keys that came again in this life before it had taken them itself."""
    told: set[str] = set()
    for line in lines:
        if line.kind == "known" and line.key not in told:
            yield line.key
        if line.kind in ("known", "taken"):
            told.add(line.key)
