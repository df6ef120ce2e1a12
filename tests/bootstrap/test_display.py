"""What is shown of a replay: one plain line per cycle, and only what is worth it in a log."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from rich.console import Console

from tradesaga.adapters.postgres.tally import FinishedCycle
from tradesaga.bootstrap.display import Display, Played

MINUTE = timedelta(minutes=1)
QUIET = FinishedCycle(
    id=UUID(int=1),
    scheduled_at=datetime(2020, 12, 15, 15, 1, tzinfo=UTC),  # 10:01 in New York
    started_at=datetime(2020, 12, 15, 15, 1, tzinfo=UTC),
    status="completed",
    decisions_generated=3,
    orders_submitted=0,
    orders_filled=0,
    positions="",
    sagas="",
    profit=Decimal("0.00"),
    equity=Decimal(100_000),
    errors=(),
    acting="",
)
BUYING = replace(
    QUIET,
    orders_submitted=1,
    orders_filled=1,
    positions="SPY 13",
    sagas="buy 13/13 SPY @ 366.32 completed",
    profit=Decimal("-1234.5"),
    acting="buy 13 SPY",
)


def log_of(*cycles: FinishedCycle) -> list[str]:
    text = io.StringIO()
    with Display(Console(file=text, width=40)) as display:
        for cycle in cycles:
            display.cycle(cycle)
        display.bar(Played(sessions=[]), QUIET.scheduled_at, note="")
    return text.getvalue().splitlines()


def test_a_line_has_it_all_and_is_not_wrapped() -> None:
    assert log_of(BUYING) == [
        "10:01 NY  2020-12-15 15:01Z  decisions 3: buy 13 SPY   filled 1/1  SPY 13    -1,234.50"
        "  saga buy 13/13 SPY @ 366.32 completed"
    ]


@pytest.mark.parametrize(
    ("cycle", "is_told"),
    [
        (QUIET, False),
        (replace(QUIET, scheduled_at=QUIET.scheduled_at + 29 * MINUTE), True),  # 10:30
        (replace(QUIET, scheduled_at=QUIET.scheduled_at + 58 * MINUTE), False),  # 10:59
        (replace(QUIET, scheduled_at=QUIET.scheduled_at + 59 * MINUTE), True),  # 11:00
        (replace(QUIET, acting="buy 13 SPY denied R07"), True),
        (replace(QUIET, status="failed"), True),
        (replace(QUIET, errors=("no decision",)), True),
    ],
)
def test_a_log_tells_what_happened_and_each_half_hour(cycle: FinishedCycle, is_told: bool) -> None:
    assert len(log_of(cycle)) == int(is_told)


def test_an_error_that_came_often_is_told_once() -> None:
    [line] = log_of(replace(QUIET, errors=("too late", "too late", "no quote")))
    assert line.endswith("  2 x too late; no quote")


def test_a_terminal_shows_every_cycle_and_keeps_nothing_of_the_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=True, no_color=False)
    start = QUIET.scheduled_at
    with Display(console) as display:
        display.cycle(QUIET)
        display.bar(Played(sessions=[(start, start + 2 * MINUTE)]), start + MINUTE, note="60x")
    shown = text.getvalue()
    assert "10:01 NY" in shown
    assert "session 1/1" in shown
    assert "50 %" in shown
    assert shown.endswith("\x1b[2K")  # the line of the bar is erased


def test_progress_over_sessions_skips_the_closed_hours() -> None:
    first = QUIET.scheduled_at
    second = first + timedelta(days=1)
    played = Played(sessions=[(first, first + 30 * MINUTE), (second, second + 10 * MINUTE)])
    assert played.minutes == 40
    moments = {
        first - MINUTE: (0, 1),
        first + 10 * MINUTE: (10, 1),
        first + 30 * MINUTE: (30, 2),
        second - MINUTE: (30, 2),
        second + 5 * MINUTE: (35, 2),
        second + timedelta(days=9): (40, 2),
    }
    for moment, expected in moments.items():
        assert (played.minutes_at(moment), played.session_at(moment)) == expected
