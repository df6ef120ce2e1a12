"""Small recorded markets made in the test: minutes counted from 2020-12-15T14:30Z, the open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradesaga.paper.csv_rows import Bar, QuoteRow
from tradesaga.paper.minutes import minute_of
from tradesaga.paper.orders import Account
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording, Series, Span
from tradesaga.paper.venue import Venue, VenueRules

OPEN = datetime(2020, 12, 15, 14, 30, tzinfo=UTC)
FIRST = minute_of(OPEN)
CASH = Decimal(100_000)
D = Decimal


def at(minutes: float, seconds: float = 0) -> datetime:
    """A moment after the open."""
    return OPEN + timedelta(minutes=minutes, seconds=seconds)


def bar(minute: int, opened: str, close: str | None = None, volume: str = "1000") -> Bar:
    """A bar of that minute after the open; high and low are the outer ones of open and close."""
    first, last = D(opened), D(close or opened)
    return Bar(FIRST + minute, first, max(first, last), min(first, last), last, D(volume))


def quote(minute: int, bid: str | None, ask: str | None, size: str = "500") -> QuoteRow:
    """A quote at the end of that minute after the open."""
    return QuoteRow(
        FIRST + minute, D(bid) if bid else None, D(size), D(ask) if ask else None, D(size)
    )


def recorded(
    bars: Mapping[str, Sequence[Bar]], quotes: Mapping[str, Sequence[QuoteRow]] | None = None
) -> Recording:
    """A recording of these rows on one day."""
    minutes = sorted(
        [row.minute for rows in bars.values() for row in rows]
        + [row.minute for rows in (quotes or {}).values() for row in rows]
    )
    span = Span(day=OPEN.date(), start=minutes[0], end=minutes[-1] + 1)
    return Recording(
        bars={
            name: Series(tuple(r.minute for r in rows), tuple(rows)) for name, rows in bars.items()
        },
        quotes={
            name: Series(tuple(r.minute for r in rows), tuple(rows))
            for name, rows in (quotes or {}).items()
        },
        spans=(span,),
        fingerprint="test",
        notices=(),
    )


def venue(recording: Recording, rules: VenueRules | None = None, cash: Decimal = CASH) -> Venue:
    """A fresh venue on a recording."""
    account = Account(cash=cash, positions={})
    return Venue(Prices(recording), rules or VenueRules(), account, [])
