"""Cron expressions: when one fires next, in any zone, and what it says in words.

Five fields, or one of the five aliases. The fields are matched on the wall clock of a zone, and
what the wall clock does at a change of the clocks is decided here, not by the library:

    hours given      a wall time that is skipped fires once, at the end of the gap, together with
                     all the others that the gap swallows; one that is repeated fires the first time
    every hour (*)   fires at each instant whose wall time matches: an hour that is repeated fires
                     twice, one that is skipped not at all

Refused: other numbers of fields (seconds first), and dates that never come, such as 31 February.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tradesaga.domain.errors import Invalid

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
TEXT_MAX = 100
SHIFT_MAX = timedelta(hours=3)
"""No change of the clocks since 1970 sets them back further."""
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 -- a wall time, of no zone
_SECOND = timedelta(seconds=1)


def read_cron(text: str) -> str:
    """The expression in five fields.

    Raises:
        Invalid: it is no cron expression, or its date never comes.
    """
    fields = ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != 5 or len(text) > TEXT_MAX:
        raise Invalid([f"{text!r:.60} does not have the five fields of a cron expression"])
    expression = " ".join(fields)
    try:
        next(CronSim(expression, _ANY_DAY))
    except CronSimError as error:
        raise Invalid([f"{text!r} is not a cron expression: {error}"]) from error
    except StopIteration as error:
        raise Invalid([f"{text!r} never fires"]) from error
    return expression


def in_words(expression: str) -> str:
    """What the expression says, as "At 09:00 on Monday through Friday"."""
    return CronSim(expression, _ANY_DAY).explain()


@lru_cache(maxsize=4096)
def next_cron(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first fire later than `after`, aware UTC; None when none is left in 50 years."""
    return next(iter(cron_fires(expression, zone, after)), None)


def cron_fires(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The fires later than `after` in order, aware UTC, each once; without bound."""
    each_hour = expression.split()[1] in ("*", "*/1", "0-23")
    last = after
    while True:
        found = _calm(expression, zone, last) or _careful(expression, zone, last, each_hour)
        if found is None:
            return
        yield found
        last = found


def fires_between(
    expression: str, zone: ZoneInfo, after: datetime, until: datetime, *, most: int
) -> int:
    """How often it fires later than `after` and not later than `until`, counted up to `most`."""
    count = 0
    for at in islice(cron_fires(expression, zone, after), most):
        if at > until:
            break
        count += 1
    return count


def _calm(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The next fire where the clocks stand as they do hours before and after; else None."""
    offset = (after - SHIFT_MAX).astimezone(zone).utcoffset()
    local = after.astimezone(zone)
    assert offset is not None, "a zone has an offset"
    if local.utcoffset() != offset:
        return None
    wall = next(CronSim(expression, local.replace(tzinfo=None)), None)
    if wall is None:
        return None
    at = (wall - offset).replace(tzinfo=UTC)
    around = (at, at + SHIFT_MAX, after + SHIFT_MAX)
    if any(moment.astimezone(zone).utcoffset() != offset for moment in around):
        return None
    return at


def _careful(expression: str, zone: ZoneInfo, after: datetime, each_hour: bool) -> datetime | None:
    """The next fire near a change of the clocks, from as far back as they may be set there."""
    around = (after - SHIFT_MAX, after, after + SHIFT_MAX)
    before, now, later = (
        at.astimezone(zone).replace(tzinfo=None) - at.replace(tzinfo=None) for at in around
    )
    start = after.replace(tzinfo=None) + now - max(before - now, now - later, timedelta())
    best: datetime | None = None
    for wall in CronSim(expression, start):
        instants = _instants(wall, zone, each_hour)
        ahead = [at for at in instants if at > after]
        best = min([*ahead, *([] if best is None else [best])], default=None)
        if instants and instants[0] > after:  # those of later wall times are later still
            break
    return best


def _instants(wall: datetime, zone: ZoneInfo, each_hour: bool) -> list[datetime]:
    """The instants at which a wall time fires."""
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second < first:  # the clocks skip it
        return [] if each_hour else [_end_of_gap(second, first, zone)]
    return [first, second] if each_hour and second > first else [first]


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the offset changes between two instants, to the second."""
    old = before.astimezone(zone).utcoffset()
    seconds = int((after - before) / _SECOND)
    low, high = 0, seconds  # the old offset stands at low, the new one at high
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before + high * _SECOND
