"""Recorded minutes from CSV files: what the simulated market knows, and from when on.

Bars are `timestamp,symbol,open,high,low,close,volume`, quotes `timestamp,symbol,bid,bid_size,ask,
ask_size`; the stamp is the START of the minute in UTC, a bar or quote is known when its minute is
over. A minute without trades has no row. Prices are exact decimals, as traded.

Refuses a malformed file with every problem in it (up to twenty at once) by file, line and remedy:
a replay of wrong prices would prove nothing. Files of other kinds in a folder are skipped, named.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from tradesaga.domain.errors import Invalid
from tradesaga.paper.csv_rows import (
    BARS_HEADER,
    PROBLEMS_MAX,
    QUOTES_HEADER,
    Bar,
    Problems,
    QuoteRow,
    read_bars,
    read_quotes,
)
from tradesaga.paper.minutes import start_of

NEW_YORK = ZoneInfo("America/New_York")
DEFAULT_DATA = (Path(__file__).parent / "data" / "spy-1m-bars-2020-12-15_18.csv",)
_HEADERS = {BARS_HEADER: "bars", QUOTES_HEADER: "quotes"}
_OTHER_KIND = "date,symbol,"  # daily bars, split and dividend factors

RowT = TypeVar("RowT", Bar, QuoteRow)


@dataclass(frozen=True, slots=True)
class Series(Generic[RowT]):
    """The rows of one symbol, ascending by minute."""

    minutes: tuple[int, ...]
    rows: tuple[RowT, ...]

    def in_minute(self, minute: int) -> RowT | None:
        """The row of exactly that minute."""
        index = bisect_right(self.minutes, minute) - 1
        return self.rows[index] if index >= 0 and self.minutes[index] == minute else None

    def up_to(self, minute: int) -> RowT | None:
        """The last row whose minute is `minute` or earlier."""
        index = bisect_right(self.minutes, minute) - 1
        return self.rows[index] if index >= 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The minutes of one exchange day that have data; `end` is the first minute after them."""

    day: date
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """All symbols of one replay; `fingerprint` names its content."""

    bars: Mapping[str, Series[Bar]]
    quotes: Mapping[str, Series[QuoteRow]]
    spans: tuple[Span, ...]
    fingerprint: str
    notices: tuple[str, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol with at least one row, sorted."""
        return tuple(sorted({*self.bars, *self.quotes}))


def load(paths: Sequence[Path] = DEFAULT_DATA) -> Recording:
    """Read bars and quotes from files, and from all fitting files of folders.

    Raises Invalid with file, line and remedy of each problem.
    """
    problems = Problems()
    notices: list[str] = []
    digest = hashlib.sha256()
    bars: dict[str, dict[int, Bar]] = {}
    quotes: dict[str, dict[int, QuoteRow]] = {}
    for path, explicit in _files(paths, problems, notices):
        text = _text(path, problems)
        if text is None:
            continue
        kind = _kind(path, text, explicit, problems, notices)
        digest.update(f"{kind}\0{text}\0".encode() if kind else b"")
        if kind == "bars":
            _merge(bars, read_bars(path.name, text, problems), path.name, problems)
        elif kind == "quotes":
            _merge(quotes, read_quotes(path.name, text, problems), path.name, problems)
    if not problems.found and not bars and not quotes:
        places = ", ".join(str(path) for path in paths)
        problems.add(f"{places}: no recorded minutes; give CSV files that begin with {BARS_HEADER}")
    if problems.found:
        raise Invalid(problems.found[:PROBLEMS_MAX])
    minutes = {minute for rows in bars.values() for minute in rows}
    minutes.update(minute for rows in quotes.values() for minute in rows)
    return Recording(
        bars={symbol: _series(rows) for symbol, rows in bars.items()},
        quotes={symbol: _series(rows) for symbol, rows in quotes.items()},
        spans=_spans(minutes),
        fingerprint=digest.hexdigest()[:16],
        notices=tuple(notices),
    )


def _files(
    paths: Sequence[Path], problems: Problems, notices: list[str]
) -> list[tuple[Path, bool]]:
    """Each file to read, and whether the caller named it himself."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            for entry in sorted(path.iterdir()):
                if entry.is_file() and entry.suffix.lower() == ".csv":
                    found.append((entry, False))
                elif entry.is_file():
                    notices.append(f"{entry.name}: skipped, not a CSV file")
        elif path.is_file():
            found.append((path, True))
        else:
            problems.add(f"{path}: no such file or folder; check the path given as data")
    return found


def _text(path: Path, problems: Problems) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        problems.add(f"{path.name}: not UTF-8 text; save it as plain CSV in UTF-8")
    except OSError as error:
        problems.add(f"{path.name}: cannot be read ({error.strerror}); check its permissions")
    return None


def _kind(
    path: Path, text: str, explicit: bool, problems: Problems, notices: list[str]
) -> str | None:
    header = text.partition("\n")[0].strip()
    kind = _HEADERS.get(header)
    if kind is not None:
        return kind
    if header.startswith(_OTHER_KIND) and not explicit:
        notices.append(f"{path.name}: skipped, rows by date are no recorded minutes")
    elif header.startswith(_OTHER_KIND):
        problems.add(f"{path.name}:1: rows by date cannot be played; give files of minute bars")
    else:
        problems.add(
            f'{path.name}:1: header "{header[:60]}" is neither of bars nor of quotes; '
            f'the first line must be "{BARS_HEADER}" or "{QUOTES_HEADER}"'
        )
    return None


def _merge(
    into: dict[str, dict[int, RowT]],
    rows: dict[str, dict[int, RowT]],
    name: str,
    problems: Problems,
) -> None:
    for symbol, minutes in rows.items():
        known = into.setdefault(symbol, {})
        if twice := known.keys() & minutes.keys():
            when = start_of(min(twice)).isoformat()
            problems.add(
                f"{name}: {symbol} at {when} is in another file too ({len(twice)} such minutes); "
                "give each minute of a symbol once"
            )
        known.update(minutes)


def _series(rows: Mapping[int, RowT]) -> Series[RowT]:
    minutes = tuple(sorted(rows))
    return Series(minutes, tuple(rows[minute] for minute in minutes))


def _spans(minutes: set[int]) -> tuple[Span, ...]:
    days: dict[date, tuple[int, int]] = {}
    for minute in sorted(minutes):
        day = start_of(minute).astimezone(NEW_YORK).date()
        days[day] = (days.get(day, (minute, 0))[0], minute + 1)
    return tuple(Span(day=day, start=start, end=end) for day, (start, end) in days.items())
