"""The sessions of the New York Stock Exchange from its published rules, for the tests alone.

It shares nothing with the product: holidays by computation (Easter by the method of Meeus, nth
weekdays, the observed day of rule 7.2), closures and two early closes by list. From 2000 on.
"""

from __future__ import annotations

from datetime import date, timedelta

MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6
CLOSURES = frozenset(
    date.fromisoformat(day)
    for day in (
        "2001-09-11",  # attacks of 11 September
        "2001-09-12",
        "2001-09-13",
        "2001-09-14",
        "2004-06-11",  # mourning for R. Reagan
        "2007-01-02",  # mourning for G. Ford
        "2012-10-29",  # hurricane Sandy
        "2012-10-30",
        "2018-12-05",  # mourning for G. H. W. Bush
        "2025-01-09",  # mourning for J. Carter
    )
)
EARLY_BY_LIST = frozenset(
    date.fromisoformat(day)
    for day in (
        "2002-07-05",  # the Friday after the 4th of July, that once
        "2003-12-26",  # the Friday after Christmas, that once
    )
)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def nth(year: int, month: int, weekday: int, number: int) -> date:
    """The nth such weekday of the month; the last for number -1."""
    if number > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def observed(day: date) -> date:
    """A Saturday is kept on the Friday before, a Sunday on the Monday after."""
    shift = {SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def holidays(year: int) -> set[date]:
    """The days of a year on which the exchange is closed by rule."""
    found = {
        nth(year, 1, MONDAY, 3),  # Martin Luther King
        nth(year, 2, MONDAY, 3),  # Washington's birthday
        easter(year) - timedelta(days=2),
        nth(year, 5, MONDAY, -1),  # Memorial Day
        observed(date(year, 7, 4)),
        nth(year, 9, MONDAY, 1),  # Labor Day
        nth(year, 11, THURSDAY, 4),
        observed(date(year, 12, 25)),
    }
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # the 31st ends the year's accounts: it is not given away
        found.add(observed(new_year))
    if year >= 2022:
        found.add(observed(date(year, 6, 19)))
    return found


def is_open(day: date) -> bool:
    """Whether there is a session."""
    return day.weekday() < SATURDAY and day not in holidays(day.year) and day not in CLOSURES


def closes_early(day: date) -> bool:
    """Whether its session ends at 13:00."""
    if not is_open(day):
        return False
    if day in EARLY_BY_LIST:
        return True
    thanksgiving = nth(day.year, 11, THURSDAY, 4)
    if day == thanksgiving + timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return True
    return _before_the_fourth(day)


def _before_the_fourth(day: date) -> bool:
    """The 3rd of July when it is a weekday before the holiday; before 2013 not a Wednesday."""
    if (day.month, day.day) == (7, 3):
        fourth = date(day.year, 7, 4).weekday()
        return fourth not in {SATURDAY, SUNDAY, MONDAY} and (fourth != THURSDAY or day.year >= 2013)
    # then the Friday after a holiday on Thursday was the short day, in 1996 and 2002
    return False
