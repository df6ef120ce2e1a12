"""Schedules: when cycles are due, what is made up after an absence, and what is dropped.

    interval   multiples of its length since the Unix epoch, in elapsed time whatever clocks do;
               the configuration's own of some agents so much later (`LATER`)
    cron       wall time of its zone, see `domain/cron.py`
    event      no time of its own: due whenever the named event is heard

Fires that were slept over are one, the latest: the others are counted as coalesced. After an
absence the latest is made up when it is no older than `catch_up`, else counted as late. A fire that
meets its own cycle still running is dropped or kept, as `overlap` says; one is kept, never two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tradesaga.domain.cron import fires_between, in_words, next_cron, read_cron
from tradesaga.domain.cycle import CycleType
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId, ScheduleId, StrategyId
from tradesaga.domain.market import SessionKind

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
INTERVAL_MIN: Final = timedelta(milliseconds=100)
INTERVAL_MAX: Final = timedelta(days=31)
CATCH_UP_MAX: Final = timedelta(days=1)
ANALYSIS_CATCH_UP: Final = timedelta(seconds=60)
REBALANCE_CATCH_UP: Final = timedelta(hours=2)
PUNCTUAL: Final = timedelta(seconds=5)
"""A fire that is later than this has been missed, in a process that was awake."""
COUNTED_MAX: Final = 1000
"""Missed fires are counted up to this number."""
PRIORITY_MAX: Final = 1000
SESSION_CHANGED: Final = "market.session.changed"
ORDER_FILLED: Final = "trade.order.filled"
EVENTS: Final = (
    SESSION_CHANGED,
    *(f"{SESSION_CHANGED}={kind}" for kind in SessionKind),
    ORDER_FILLED,
)
NOT_LATER: Final = timedelta(0)
LATER: Final = "+"
"""Between the milliseconds of an interval and those by which its fires are later than multiples."""
_LENGTH = re.compile(r"([0-9]{1,10})(ms|s|m|h|d)?", re.ASCII)
_UNITS: Final = {
    None: timedelta(milliseconds=1),
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class ScheduleType(StrEnum):
    """The kinds of the specification's table."""

    INTERVAL = "interval"
    CRON = "cron"
    EVENT = "event"


class Overlap(StrEnum):
    """What becomes of a fire that meets the cycle of its own schedule."""

    SKIP = "skip"
    BUFFER = "buffer"


class Missed(StrEnum):
    """Why a fire did not become a cycle."""

    COALESCED = "coalesced"
    LATE = "late"
    OVERLAP = "overlap"
    NO_ROOM = "no_room"
    NO_STRATEGY = "no_strategy"
    HOLIDAY = "holiday"
    JOURNAL = "journal"
    NO_RUNNER = "no_runner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule; field names are the columns of `strategy_schedules`.

    `strategy_id` is None for the cycles of the configuration, which are not stored.
    """

    id: ScheduleId
    agent_id: AgentId
    strategy_id: StrategyId | None
    cycle_type: CycleType
    schedule_type: ScheduleType
    schedule_value: str
    zone: str
    created_at: datetime
    updated_at: datetime
    enabled: bool = True
    priority: int = 0
    catch_up: timedelta = ANALYSIS_CATCH_UP
    overlap: Overlap = Overlap.SKIP
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    removed_at: datetime | None = None
    version: int = 1

    @property
    def is_configured(self) -> bool:
        """Whether it is one of the configuration's cycles."""
        return self.strategy_id is None

    @property
    def interval(self) -> timedelta | None:
        """Its length, of an interval."""
        if self.schedule_type is not ScheduleType.INTERVAL:
            return None
        return timedelta(milliseconds=int(self.schedule_value.partition(LATER)[0]))

    @property
    def later(self) -> timedelta:
        """By how much its fires are later than the multiples of its interval."""
        if self.schedule_type is not ScheduleType.INTERVAL:
            return timedelta(0)
        return timedelta(milliseconds=int(self.schedule_value.partition(LATER)[2] or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class FiresMark:
    """Every fire due by `fired_until` has been taken, whatever the schedules' own rows say yet.

    `id` is that of the agent.
    """

    id: AgentId
    agent_id: AgentId
    fired_until: datetime
    version: int = 1


def as_taken(schedule: Schedule, fired_until: datetime) -> Schedule:
    """The schedule once its fire is taken that was due by then, if it had one."""
    due = schedule.next_run_at
    if due is None or due > fired_until:
        return schedule
    return replace(schedule, last_run_at=due, next_run_at=next_fire(schedule, fired_until))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """What a look at a schedule finds: the fire to run, if any, and how many were not run."""

    at: datetime | None
    coalesced: int = 0
    late: int = 0


def read_value(schedule_type: ScheduleType, text: str) -> str:
    """The value as it is stored: milliseconds, five fields, or the name of an event.

    Raises:
        Invalid: it is none of that type.
    """
    match schedule_type:
        case ScheduleType.INTERVAL:
            return str(_read_interval(text) // _UNITS["ms"])
        case ScheduleType.CRON:
            return read_cron(text)
        case ScheduleType.EVENT:
            if text not in EVENTS:
                raise Invalid([f"{text!r} is not an event to wait for: {', '.join(EVENTS)}"])
            return text


def read_zone(name: str) -> str:
    """The name of an IANA time zone. Raises Invalid."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid([f"{name!r} is not a known time zone: write one as Europe/Paris"]) from error


def explain(schedule: Schedule) -> str:
    """When it fires, in words."""
    value = schedule.schedule_value
    match schedule.schedule_type:
        case ScheduleType.INTERVAL:
            assert schedule.interval is not None, "it has a length"
            return f"Every {_length_in_words(schedule.interval)}"
        case ScheduleType.CRON:
            return f"{in_words(value)} ({schedule.zone})"
        case ScheduleType.EVENT:
            event, _, kind = value.partition("=")
            return f"On {event}" + (f" to {kind}" if kind else "")


def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first fire later than `after`, aware UTC; None for an event, or when none is left."""
    match schedule.schedule_type:
        case ScheduleType.INTERVAL:
            assert schedule.interval is not None, "it has a length"
            return next_multiple(after, schedule.interval, later=schedule.later)
        case ScheduleType.CRON:
            return next_cron(schedule.schedule_value, ZoneInfo(schedule.zone), after)
        case ScheduleType.EVENT:
            return None


def next_fires(schedule: Schedule, after: datetime, count: int) -> Sequence[datetime]:
    """The next `count` fires later than `after`."""
    found: list[datetime] = []
    at = next_fire(schedule, after)
    while at is not None and len(found) < count:
        found.append(at)
        at = next_fire(schedule, at)
    return found


def interval_value(interval: timedelta, later: timedelta = NOT_LATER) -> str:
    """How an interval of the configuration is written, whose fires are so much later."""
    value = str(interval // _UNITS["ms"])
    return value + (f"{LATER}{later // _UNITS['ms']}" if later else "")


def next_multiple(
    after: datetime, interval: timedelta, *, later: timedelta = NOT_LATER
) -> datetime:
    """The first multiple of `interval` since the Unix epoch, and `later`, that is after `after`."""
    since = EPOCH + later
    return since + ((after - since) // interval + 1) * interval


def wake(schedule: Schedule, now: datetime, *, absent: bool) -> Wake:
    """What is due at `now`; `absent` when nobody has watched since `next_run_at`."""
    first = schedule.next_run_at
    if first is None or first > now:
        return Wake(at=None)
    count, latest = _fires(schedule, first, now)
    punctual = max(schedule.catch_up, schedule.interval or PUNCTUAL)
    window = schedule.catch_up if absent else punctual
    if now - latest <= window:
        return Wake(at=latest, coalesced=count - 1)
    return Wake(at=None, late=count)


def _fires(schedule: Schedule, first: datetime, now: datetime) -> tuple[int, datetime]:
    """How many fires there are from `first` to `now`, and the latest of them."""
    interval = schedule.interval
    if interval is not None:
        steps = (now - first) // interval
        return min(steps + 1, COUNTED_MAX), first + steps * interval
    zone, value = ZoneInfo(schedule.zone), schedule.schedule_value
    following = next_cron(value, zone, first)
    if following is None or following > now:
        return 1, first
    instant = timedelta(microseconds=1)
    count = 1 + fires_between(value, zone, first, now, most=COUNTED_MAX)
    latest, since = first, max(first, now - max(schedule.catch_up, PUNCTUAL) - instant)
    while (at := next_cron(value, zone, since)) is not None and at <= now:
        latest = since = at
    return count, latest


def _read_interval(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise Invalid([f"{text!r:.60} is not a length of time: write 30s, 5m, 1h or milliseconds"])
    length = int(found[1]) * _UNITS[found[2]] if len(found[1]) < 10 else INTERVAL_MAX * 2
    if not INTERVAL_MIN <= length <= INTERVAL_MAX:
        raise Invalid([f"{text!r:.60} is not between 100 ms and 31 days"])
    return length


def _length_in_words(length: timedelta) -> str:
    for unit, one in (("day", "d"), ("hour", "h"), ("minute", "m"), ("second", "s")):
        number, rest = divmod(length, _UNITS[one])
        if number and not rest:
            return unit if number == 1 else f"{number} {unit}s"
    return f"{length // _UNITS['ms']} ms"
