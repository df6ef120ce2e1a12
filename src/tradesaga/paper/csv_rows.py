"""One CSV text into checked rows: every fault becomes a problem with its line and its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, TypeVar

from tradesaga.paper.minutes import minute_of

BARS_HEADER = "timestamp,symbol,open,high,low,close,volume"
QUOTES_HEADER = "timestamp,symbol,bid,bid_size,ask,ask_size"
PROBLEMS_MAX = 20
NUMBER_MAX = Decimal("1e12")
SYMBOL_LETTERS_MAX = 10
_NUMBER = "write a plain number such as 367.46"


class Bar(NamedTuple):
    """One recorded minute of trades."""

    minute: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class QuoteRow(NamedTuple):
    """Best bid and ask at the END of the minute; None where that side was empty."""

    minute: int
    bid: Decimal | None
    bid_size: Decimal
    ask: Decimal | None
    ask_size: Decimal


RowT = TypeVar("RowT", Bar, QuoteRow)


class Problems:
    """What is wrong with the files so far, at most twenty entries."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @property
    def full(self) -> bool:
        """Whether it is no use to look further."""
        return len(self.found) >= PROBLEMS_MAX

    def add(self, problem: str) -> None:
        """Note one problem: place, what is wrong, what to do."""
        if not self.full:
            self.found.append(problem)


class _Wrong(Exception):
    """This row cannot be used; the message says why and what to do."""


class _Rows:
    """Walks the rows of one file and checks what is the same for bars and quotes."""

    def __init__(self, name: str, text: str, columns: int, problems: Problems) -> None:
        self.name = name
        self.columns = columns
        self.problems = problems
        self._lines = text.splitlines()
        self._stamps: dict[str, int] = {}
        self._before = (-1, "")

    def __iter__(self) -> Iterator[tuple[int, int, str, list[str]]]:
        """Line number, minute, symbol and the fields after them, of each row that is in order."""
        rows = 0
        for number, line in enumerate(self._lines[1:], 2):
            if self.problems.full:
                return
            if not line.strip():
                continue
            rows += 1
            try:
                yield (number, *self._key(line.split(",")))
            except _Wrong as wrong:
                self.wrong(number, wrong)
        if not rows:
            self.problems.add(f"{self.name}: no rows below the header; record at least one minute")

    def wrong(self, number: int, reason: object) -> None:
        """Note a problem in one line."""
        self.problems.add(f"{self.name}:{number}: {reason}")

    def _key(self, fields: list[str]) -> tuple[int, str, list[str]]:
        if len(fields) != self.columns:
            raise _Wrong(f"{len(fields)} fields instead of {self.columns}; separate them by commas")
        stamp, symbol = fields[0], fields[1]
        minute = self._stamps.get(stamp)
        if minute is None:
            minute = self._stamps[stamp] = _minute(stamp)
        if not symbol or len(symbol) > SYMBOL_LETTERS_MAX or symbol != symbol.strip():
            raise _Wrong(f'symbol "{symbol[:20]}" is not 1 to {SYMBOL_LETTERS_MAX} letters')
        key = (minute, symbol)
        if key == self._before:
            raise _Wrong(f"{symbol} at {stamp} is there twice; keep one row per minute and symbol")
        if key < self._before:
            raise _Wrong("not in order; sort the rows by timestamp, then symbol")
        self._before = key
        return minute, symbol, fields[2:]


def read_bars(name: str, text: str, problems: Problems) -> dict[str, dict[int, Bar]]:
    """The bars of a file by symbol and minute; what is wrong goes to `problems`."""
    found: dict[str, dict[int, Bar]] = {}
    rows = _Rows(name, text, 7, problems)
    for number, minute, symbol, fields in rows:
        try:
            bar = _bar(minute, fields)
        except _Wrong as wrong:
            rows.wrong(number, wrong)
        else:
            _put(found, symbol, bar)
    return found


def read_quotes(name: str, text: str, problems: Problems) -> dict[str, dict[int, QuoteRow]]:
    """The quotes of a file by symbol and minute; what is wrong goes to `problems`."""
    found: dict[str, dict[int, QuoteRow]] = {}
    rows = _Rows(name, text, 6, problems)
    for number, minute, symbol, (bid, bid_size, ask, ask_size) in rows:
        try:
            row = QuoteRow(
                minute,
                _price("bid", bid) if bid else None,
                _size("bid_size", bid_size) if bid_size else Decimal(0),
                _price("ask", ask) if ask else None,
                _size("ask_size", ask_size) if ask_size else Decimal(0),
            )
        except _Wrong as wrong:
            rows.wrong(number, wrong)
        else:
            _put(found, symbol, row)
    return found


def _put(found: dict[str, dict[int, RowT]], symbol: str, row: RowT) -> None:
    found.setdefault(symbol, {})[row.minute] = row


def _bar(minute: int, fields: list[str]) -> Bar:
    opened, high, low, close = map(_price, ("open", "high", "low", "close"), fields[:4])
    if low > high:
        raise _Wrong(f"low {low} is above high {high}; check that the columns are in order")
    if not low <= opened <= high:
        raise _Wrong(f"open {opened} is not between low {low} and high {high}; correct the row")
    if not low <= close <= high:
        raise _Wrong(f"close {close} is not between low {low} and high {high}; correct the row")
    return Bar(minute, opened, high, low, close, _size("volume", fields[4]))


def _minute(stamp: str) -> int:
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        raise _Wrong(
            f'timestamp "{stamp[:40]}" is no moment; write it like 2020-12-15T14:30:00Z'
        ) from None
    if when.tzinfo is None:
        raise _Wrong(f"timestamp {stamp} has no zone; write UTC with a Z at the end")
    if when.utcoffset() != timedelta(0):
        raise _Wrong(f"timestamp {stamp} is not UTC; convert it and write a Z at the end")
    if when.second or when.microsecond:
        raise _Wrong(f"timestamp {stamp} is inside a minute; write the start of the minute")
    return minute_of(when.astimezone(UTC))


def _price(name: str, text: str) -> Decimal:
    value = _number(name, text)
    if value <= 0:
        raise _Wrong(f"{name} {text} is not above zero; a price that is unknown has no row")
    return value


def _size(name: str, text: str) -> Decimal:
    value = _number(name, text)
    if value < 0:
        raise _Wrong(f"{name} {text} is negative; write 0 or more")
    return value


def _number(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise _Wrong(f'{name} "{text[:40]}" is no number; {_NUMBER}') from None
    if not value.is_finite():
        raise _Wrong(f"{name} {text} is not finite; {_NUMBER}")
    if abs(value) > NUMBER_MAX:
        raise _Wrong(f"{name} {text[:40]} is beyond any market; {_NUMBER}")
    return value
