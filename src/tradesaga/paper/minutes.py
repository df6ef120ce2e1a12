"""Minutes as whole numbers since the Unix epoch: how the recording and the matching count time."""

from __future__ import annotations

from datetime import datetime, timedelta

from tradesaga.domain.market_clock import EPOCH

MINUTE = timedelta(minutes=1)


def minute_of(when: datetime) -> int:
    """The number of the minute that `when` falls into; `when` must be aware."""
    return (when - EPOCH) // MINUTE


def start_of(minute: int) -> datetime:
    """The first moment of a minute, aware UTC."""
    return EPOCH + minute * MINUTE
