"""How virtual seconds become market time: through the recorded spans, jumping what lies between.

    span:    one minute before its first row ........ 70 s after its last row is over
    gap:     no virtual time passes; whoever sleeps into it wakes when the next span begins
    end:     market time stands still; virtual time goes on, so that timeouts still end

The same spans with the same margins as the player of `tradesaga up --paper` plays. Within a span
market time runs `pace` times as fast as virtual time: what the engine does by real time (lease,
relay, watch) costs a day of market time no more than it costs there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.paper.clock import SETTLEMENT
from tradesaga.paper.minutes import start_of
from tradesaga.paper.recordings import Span

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of market time as it is played; `begin` is in virtual seconds."""

    begin: float
    from_us: int
    until_us: int


class Timeline:
    """The mapping, both ways; never decreasing."""

    def __init__(self, edges: Sequence[tuple[datetime, datetime]], *, pace: float) -> None:
        assert edges, "something is played"
        self.pace = pace
        self._scale = pace * MICROS
        self._stretches: list[Stretch] = []
        seconds = 0.0
        for begin, end in edges:
            from_us, until_us = micros_of(begin), micros_of(end)
            self._stretches.append(Stretch(seconds, from_us, until_us))
            seconds += (until_us - from_us) / self._scale
        self.seconds_end = seconds
        self._begins = [stretch.begin for stretch in self._stretches]
        self._untils = [stretch.until_us for stretch in self._stretches]

    @classmethod
    def of_spans(cls, spans: Sequence[Span], *, pace: float) -> Timeline:
        """The minutes of a recording, with the player's margins."""
        edges = [(start_of(span.start - 1), start_of(span.end) + SETTLEMENT) for span in spans]
        return cls(edges, pace=pace)

    @property
    def first(self) -> datetime:
        """The market time at which it begins."""
        return datetime_of(self._stretches[0].from_us)

    @property
    def last(self) -> datetime:
        """The market time at which it ends."""
        return datetime_of(self._untils[-1])

    def micros_at(self, seconds: float) -> int:
        """Market time, in microseconds since the Unix epoch, after so many virtual seconds."""
        stretch = self._stretches[bisect_right(self._begins, seconds) - 1]
        played = round((seconds - stretch.begin) * self._scale)
        return min(stretch.from_us + played, stretch.until_us)

    def seconds_at(self, micros: int) -> float | None:
        """When, in virtual seconds, market time is at `micros` or later; None if never."""
        index = bisect_left(self._untils, micros)
        if index == len(self._stretches):
            return None
        stretch = self._stretches[index]
        return stretch.begin + max(0, micros - stretch.from_us) / self._scale

    def share_at(self, seconds: float) -> float:
        """How much of it has been played, 0 to 1."""
        return min(1.0, seconds / self.seconds_end)
