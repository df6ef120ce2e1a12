"""Compares the host's clock with the database's and with the venue's.

    database   by the bar for host clocks (`host_clock_error_max`); two hosts of one installation
    venue      `WARN_ABOVE`: a warning; `clockSkewMax` of the mode: no entries; also rule CLOCK_SKEW

What counts is the part of a difference that no delay of the answer can explain. Asked at start and
with each heartbeat; a clock that gives no answer keeps its last word.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from structlog import get_logger

from tradesaga.domain.errors import Transient
from tradesaga.domain.ladder import Cause
from tradesaga.domain.risk import Limits
from tradesaga.engine.ladder_state import LadderState
from tradesaga.ports.clock import Offset, OtherClock
from tradesaga.ports.metrics import ErrorType, Metrics

log = get_logger()
WARN_ABOVE: Final = timedelta(seconds=2)


class ClockWatch:
    """Of one agent; a clock that is None is not there to compare with. `limits` are in force."""

    def __init__(
        self,
        *,
        database: OtherClock | None,
        venue: OtherClock | None,
        ladder: LadderState,
        metrics: Metrics,
        limits: Callable[[], Limits],
        host_error_max: timedelta,
    ) -> None:
        self._database = database
        self._venue = venue
        self._ladder = ladder
        self._metrics = metrics
        self._limits = limits
        self._host_error_max = host_error_max
        self._warned = False
        self.skew: timedelta | None = None
        """To the venue's clock, by its last answer; None before the first."""

    @property
    def has_venue(self) -> bool:
        """Whether there is a venue's clock to compare with."""
        return self._venue is not None

    async def check(self) -> None:
        """Ask both; what differs too much is entered, what could not be asked changes nothing."""
        reasons: list[str] = []
        skew_max = self._limits().clock_skew_max
        answers = 0
        if (found := await _asked("database", self._database)) is not None:
            answers += 1
            if not found.certain <= self._host_error_max:
                reasons.append(_said("database", found, self._host_error_max))
        if (found := await _asked("venue", self._venue)) is not None:
            answers += 1
            self.skew = found.certain
            self._warn(found)
            if not found.certain <= skew_max:
                reasons.append(_said("venue", found, skew_max))
        if answers:
            known = sum(clock is not None for clock in (self._database, self._venue))
            if reasons:
                self._ladder.enter(Cause.CLOCK_SKEW, "; ".join(reasons))
            elif answers == known:
                self._ladder.absent(Cause.CLOCK_SKEW)

    def _warn(self, found: Offset) -> None:
        is_off = found.certain > WARN_ABOVE
        if is_off and not self._warned:
            self._metrics.error_occurred(ErrorType.CLOCK_SKEW)
            log.warning("clocks differ", other="venue", seconds=found.ahead.total_seconds())
        self._warned = is_off


async def _asked(name: str, clock: OtherClock | None) -> Offset | None:
    if clock is None:
        return None
    try:
        return await clock.offset()
    except Transient as error:
        log.warning("clock not read", other=name, error=str(error))
        return None


def _said(name: str, found: Offset, most: timedelta) -> str:
    certain, limit = found.certain.total_seconds(), most.total_seconds()
    direction = "ahead of" if found.ahead > timedelta(0) else "behind"
    return f"our clock is {certain:.3f} s {direction} the {name}'s, at most {limit:g} s"
