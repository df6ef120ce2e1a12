"""When cron expressions fire, against a minute-by-minute walk that shares no code with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tradesaga.domain.cron import ALIASES, cron_fires, fires_between, in_words, next_cron, read_cron
from tradesaga.domain.errors import Invalid

MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Europe/Dublin",  # its winter is the daylight-saving time
    "Australia/Lord_Howe",  # half an hour
    "America/Santiago",  # at midnight
    "America/Havana",  # at midnight, and back to midnight
    "Africa/Casablanca",  # backwards in Ramadan
    "Antarctica/Troll",  # two hours
    "Pacific/Apia",  # skipped 30 December 2011
    "Asia/Kathmandu",
    "UTC",
]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(2, 30).map(lambda step: f"*/{step}"),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.lists(number, min_size=2, max_size=3, unique=True).map(
            lambda some: ",".join(map(str, some))
        ),
    )


EXPRESSIONS = st.tuples(
    field(0, 59), field(0, 23), st.just("*"), st.just("*"), st.sampled_from(["*", "1-5", "0", "6"])
).map(" ".join)


def members(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            first, _, last_text = span.partition("-")  # type: ignore[assignment]  # a text here
            first = int(first)
            last = int(last_text) if last_text else first
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def walked(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The fires later than `start` and not later than `end`, by looking at each minute."""
    minutes, hours, _, _, weekdays = expression.split()
    fits = members(minutes, 0, 59), members(hours, 0, 23), members(weekdays, 0, 7)

    def matches(wall: datetime) -> bool:
        number = wall.isoweekday() % 7
        return wall.minute in fits[0] and wall.hour in fits[1] and number in fits[2]

    at = start - timedelta(hours=4)  # what repeats at most
    seen: set[datetime] = set()
    before: datetime | None = None
    while at <= end:
        wall = at.astimezone(zone).replace(tzinfo=None)
        fires = matches(wall) and (hours == "*" or wall not in seen)
        if before is not None and hours != "*":
            skipped = before + MINUTE
            while skipped < wall:
                fires = fires or matches(skipped)
                skipped += MINUTE
        seen.add(wall)
        if fires and at > start:
            yield at
        before = wall
        at += MINUTE


@cache
def change_days(zone: ZoneInfo, year: int) -> list[date]:
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(364)]
    noon = [datetime(d.year, d.month, d.day, 12, tzinfo=UTC).astimezone(zone) for d in days]
    return [b.date() for a, b in pairwise(noon) if a.utcoffset() != b.utcoffset()]


@settings(max_examples=30)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    year=st.integers(1990, 2036),
    which=st.integers(0, 3),
    expression=EXPRESSIONS,
    minute=st.integers(0, 1439),
)
@example(NEW_YORK, 2026, 0, "30 2 * * *", 0)
@example(NEW_YORK, 2026, 1, "30 1 * * *", 0)
@example(ZoneInfo("Australia/Lord_Howe"), 2026, 1, "*/10 2 * * *", 0)
@example(ZoneInfo("Pacific/Apia"), 2011, 2, "0 12 * * *", 0)
def test_around_every_change_of_the_clocks_it_fires_as_a_walk_by_minutes_says(
    zone: ZoneInfo, year: int, which: int, expression: str, minute: int
) -> None:
    days = change_days(zone, year) or [date(year, 2, 28)]
    day = days[which % len(days)]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) + minute * MINUTE
    start -= timedelta(hours=30)
    end = start + timedelta(hours=40)
    expected = list(walked(expression, zone, start, end))
    fired = list(takewhile(lambda at: at <= end, cron_fires(expression, zone, start)))
    assert fired == expected
    assert fires_between(expression, zone, start, end, most=10_000) == len(expected)


@given(EXPRESSIONS, st.sampled_from(ZONES).map(ZoneInfo), st.integers(0, 46 * 365 * 24 * 60))
def test_fires_ascend_from_wherever_one_begins(
    expression: str, zone: ZoneInfo, minutes: int
) -> None:
    after = datetime(1990, 1, 1, tzinfo=UTC) + minutes * MINUTE
    fires = list(islice(cron_fires(expression, zone, after), 5))
    assert fires == sorted(set(fires))
    assert all(at > after for at in fires)
    # Whoever begins between two fires finds the same next one.
    assert next_cron(expression, zone, fires[0] - timedelta(microseconds=1)) == fires[0]


def local(expression: str, start: str, count: int, zone: ZoneInfo = NEW_YORK) -> list[str]:
    after = datetime.fromisoformat(start).replace(tzinfo=zone)
    fires = islice(cron_fires(expression, zone, after), count)
    return [at.astimezone(zone).isoformat()[5:] for at in fires]


def test_the_spring_gap_of_2026() -> None:
    assert local("30 2 * * *", "2026-03-07T12:00", 2) == [
        "03-08T03:00:00-04:00",
        "03-09T02:30:00-04:00",
    ]
    assert local("*/10 2 * * *", "2026-03-08T01:00", 2) == [
        "03-08T03:00:00-04:00",  # six skipped times are one
        "03-09T02:00:00-04:00",
    ]
    assert local("30 * * * *", "2026-03-08T01:00", 2) == [
        "03-08T01:30:00-05:00",
        "03-08T03:30:00-04:00",
    ]


def test_the_repeated_hour_of_2026() -> None:
    assert local("30 1 * * *", "2026-11-01T00:00", 2) == [
        "11-01T01:30:00-04:00",
        "11-02T01:30:00-05:00",
    ]
    assert local("*/30 * * * *", "2026-11-01T00:45", 4) == [
        "11-01T01:00:00-04:00",
        "11-01T01:30:00-04:00",
        "11-01T01:00:00-05:00",
        "11-01T01:30:00-05:00",
    ]
    # begun within the second 01:00 to 02:00, where the library would answer a time in the past
    second = datetime(2026, 11, 1, 1, 20, tzinfo=NEW_YORK, fold=1)
    assert next_cron("30 1 * * *", NEW_YORK, second) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def test_lord_howe_changes_by_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    assert local("10 2 * * *", "2026-10-03T12:00", 2, zone) == [
        "10-04T02:30:00+11:00",
        "10-05T02:10:00+11:00",
    ]
    assert local("45 1 * * *", "2026-04-04T12:00", 2, zone) == [
        "04-05T01:45:00+11:00",
        "04-06T01:45:00+10:30",
    ]


def test_the_rebalance_is_on_weekdays_at_nine_in_new_york() -> None:
    after = datetime(2026, 3, 6, 15, 0, tzinfo=UTC)  # Friday; the clocks change on Sunday
    fires = islice(cron_fires("0 9 * * 1-5", NEW_YORK, after), 2)
    assert [at.isoformat() for at in fires] == [
        "2026-03-09T13:00:00+00:00",
        "2026-03-10T13:00:00+00:00",
    ]


def test_leap_days() -> None:
    after = datetime(2026, 1, 1, tzinfo=UTC)
    found = [at.year for at in islice(cron_fires("0 0 29 2 *", ZoneInfo("UTC"), after), 3)]
    assert found == [2028, 2032, 2036]
    century = datetime(2096, 3, 1, tzinfo=UTC)
    assert next_cron("0 0 29 2 *", ZoneInfo("UTC"), century) == datetime(2104, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(("alias", "fields"), ALIASES.items())
def test_the_five_aliases(alias: str, fields: str) -> None:
    assert read_cron(alias) == fields
    assert len(ALIASES) == 5


@pytest.mark.parametrize(
    "text",
    [
        "0 0 31 2 *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "* * * * * *",
        "61 * * * *",
        "@often",
        "",
        "a b c d e",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_cron(text)


def test_in_words() -> None:
    assert in_words("0 9 * * 1-5") == "At 09:00 on Monday through Friday"
