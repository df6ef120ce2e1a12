"""The kinds of values that settings have: how each is read, and what to write instead.

A reader takes what YAML gave (text, whole number, Decimal, truth value, list) and returns the
value used inside, or raises `Unfit` with the remedy. YAML's own types count: text for a number is
refused. Only `Untyped` text (environment, flags, substituted variables) is turned into a number,
because there nothing but text exists. No binary float is ever made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tradesaga.config.secret import MASK, Secret
from tradesaga.domain.cron import read_cron
from tradesaga.domain.errors import Invalid

_E = TypeVar("_E", bound=StrEnum)
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|sec|m|min|h)?", re.ASCII)
_UNIT_MS: Final = {
    "": 1,
    "ms": 1,
    "s": 1000,
    "sec": 1000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
}
_OVERRIDE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}) (closed|([01][0-9]|2[0-3]):[0-5][0-9]): (\S.{0,99})", re.ASCII
)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_QUOTED_MAX = 60
TEXT_MAX = 1000
ITEMS_MAX = 100


class Untyped(str):
    """Text from where only text exists, to be read as the kind that the key wants."""

    __slots__ = ()


class Unfit(ValueError):
    """A value that a key does not take; `key` names a place below the one that was read.

    With `yields` it is of no account while that key is at its default.
    """

    def __init__(self, what: str, remedy: str, key: str = "", *, yields: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.key = key
        self.yields = yields


class Unfits(ValueError):
    """Several values that are each fit but do not go together."""

    def __init__(self, found: list[Unfit]) -> None:
        super().__init__("; ".join(each.what for each in found))
        self.found = tuple(found)


def shown(value: object) -> str:
    """The value as a message quotes it: one line, at most 60 characters, logins masked."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case list():
            return "a list"
        case str():
            # Up to the last @: what is refused may not be cut into servers and logins.
            masked = re.sub(r"(?<=://).*@", f"{MASK}@", value, flags=re.DOTALL)
            text = json.dumps(masked, ensure_ascii=False)
        case _:
            text = str(value)
    return text if len(text) <= _QUOTED_MAX else f"{text[: _QUOTED_MAX - 3]}..."


def whole(low: int, high: int) -> Callable[[object], int]:
    """Reader of a whole number from `low` to `high`."""

    def read(value: object) -> int:
        number = _integer(value)
        if number is None:
            raise Unfit(f"{shown(value)} is not a whole number", f"write {low} to {high}")
        return _bounded(number, low, high)

    return read


def milliseconds(low: int, high: int) -> Callable[[object], timedelta]:
    """Reader of a duration, given in whole milliseconds from `low` to `high`."""

    def read(value: object) -> timedelta:
        number = _integer(value)
        if number is None:
            what = f"{shown(value)} is not a whole number of milliseconds"
            meant = _meant_ms(value)
            if meant is None or not low <= meant <= high:
                raise Unfit(what, f"write {low} to {high}")
            raise Unfit(what, f"write {meant}")
        return timedelta(milliseconds=_bounded(number, low, high))

    return read


def decimal_from_zero(high: int) -> Callable[[object], Decimal]:
    """Reader of a decimal from 0 to `high`, as a number or as text."""
    above = decimal_upto(high)

    def read(value: object) -> Decimal:
        number = _decimal(value)
        return number if number is not None and number == 0 else above(value)

    return read


def decimal_upto(high: int) -> Callable[[object], Decimal]:
    """Reader of a decimal above 0 and up to `high`, as a number or as text."""
    remedy = f"write a number above 0, up to {high}"

    def read(value: object) -> Decimal:
        number = _decimal(value)
        if number is None:
            raise Unfit(f"{shown(value)} is not a decimal number", remedy)
        if not 0 < number <= high:
            raise Unfit(f"{shown(value)} is out of range", remedy)
        return number

    return read


def choice(members: type[_E]) -> Callable[[object], _E]:
    """Reader of one of the words of an enumeration."""

    def read(value: object) -> _E:
        for member in members:
            if isinstance(value, str) and value == member.value:
                return member
        raise Unfit(f"{shown(value)} is unknown here", f"write {' or '.join(members)}")

    return read


def matching(pattern: str, what: str, remedy: str) -> Callable[[object], str]:
    """Reader of text of which all matches `pattern`; `what` completes "... is not"."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object) -> str:
        found = text(value)
        if len(found) > TEXT_MAX or compiled.fullmatch(found) is None:
            raise Unfit(f"{shown(found)} is not {what}", remedy)
        return str(found)

    return read


def text(value: object) -> str:
    """Read text as it stands."""
    if not isinstance(value, str):
        raise Unfit(f"{shown(value)} is not text", "put it in quotes")
    return str(value)


def secret(value: object) -> Secret:
    """Read text that must not be shown."""
    if not isinstance(value, str):
        raise Unfit("the value is not text", "put it in quotes")
    return Secret(str(value))


def truth(value: object) -> bool:
    """Read true or false; YAML 1.1's yes, no, on and off are text here."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Untyped) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Unfit(f"{shown(value)} is not a truth value", "write true or false")


def clock_time(value: object) -> time:
    """Read a time of day to the minute, `HH:MM`."""
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Unfit(f"{shown(value)} is not a time of day", 'write "HH:MM", as in "09:30"')
    return time(int(found[1]), int(found[2]))


def time_zone(value: object) -> ZoneInfo:
    """Read the name of an IANA time zone."""
    remedy = "write an IANA name, as in America/New_York"
    if not isinstance(value, str) or not value:
        raise Unfit(f"{shown(value)} is not a time zone", remedy)
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Unfit(f"{shown(value)} is not a known time zone", remedy) from error


def cron(value: object) -> str:
    """Read a cron expression of five fields."""
    remedy = 'write minute, hour, day of month, month and day of week, as in "0 9 * * 1-5"'
    if not isinstance(value, str) or len(value.split()) != 5:
        raise Unfit(f"{shown(value)} is not a cron expression of five fields", remedy)
    try:
        return read_cron(value)
    except Invalid as error:
        raise Unfit(f"{shown(value)} is not a cron expression: {error}", remedy) from error


def day_override(value: object) -> str:
    """Read what is known of a date: that it is closed, or when it closes early, and why."""
    remedy = 'write "2027-01-08 closed: reason", or "2026-12-24 13:00: reason" for an early close'
    found = _OVERRIDE.fullmatch(value) if isinstance(value, str) else None
    try:
        date.fromisoformat(found[1] if found else "")
    except ValueError as error:
        raise Unfit(f"{shown(value)} says nothing about a date", remedy) from error
    return str(value)


def split_override(text: str) -> tuple[date, time | None, str]:
    """The date, the early close if it is not closed all day, and the reason."""
    found = _OVERRIDE.fullmatch(text)
    assert found is not None, "read by day_override"
    close = None if found[2] == "closed" else time.fromisoformat(found[2])
    return date.fromisoformat(found[1]), close, found[4]


def identity(default: UUID) -> Callable[[object], UUID]:
    """Reader of a UUID; empty text stands for `default`."""

    def read(value: object) -> UUID:
        if value == "":
            return default
        try:
            return UUID(value if isinstance(value, str) else "")
        except ValueError as error:
            remedy = 'write 32 hexadecimal digits with dashes, or "" for the default agent'
            raise Unfit(f"{shown(value)} is not a UUID", remedy) from error

    return read


def distinct(read_item: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """Reader of a list of texts without repetition; untyped text is a JSON array."""

    def read(value: object) -> tuple[str, ...]:
        items = _json_list(value) if isinstance(value, Untyped) else value
        if not isinstance(items, list):
            raise Unfit(f"{shown(value)} is not a list", "write a list of texts")
        if len(items) > ITEMS_MAX:
            raise Unfit(f"{len(items)} items are too many", f"write at most {ITEMS_MAX}")
        found, unfit = [], []
        for number, item in enumerate(items):
            try:
                read_one = read_item(item)
            except Unfit as error:
                unfit.append(Unfit(error.what, error.remedy, f"[{number}]"))
                continue
            if read_one in found:
                unfit.append(Unfit(f"{shown(item)} stands twice", "remove one", f"[{number}]"))
            found.append(read_one)
        if unfit:
            raise Unfits(unfit)
        return tuple(found)

    return read


def hide_login(url: str) -> str:
    """A list of URLs that was accepted, with the login of each masked."""
    return re.sub(r"(?<=://)[^/,\s]*@", f"{MASK}@", url)


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, Untyped) and _WHOLE.fullmatch(value):
        return int(value)
    return None


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value) if Decimal(value).is_finite() else None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    return None


def _bounded(number: int, low: int, high: int) -> int:
    if number < low:
        raise Unfit(f"{shown(number)} is below {low}", f"write {low} to {high}")
    if number > high:
        raise Unfit(f"{shown(number)} is above {high}", f"write {low} to {high}")
    return number


def _meant_ms(value: object) -> int | None:
    """What a duration in another notation, as "60s" or 60000.0, is in whole milliseconds."""
    if isinstance(value, bool) or not isinstance(value, str | Decimal):
        return None
    found = _DURATION.fullmatch(str(value).strip())
    if found is None:
        return None
    meant = Decimal(found[1]) * _UNIT_MS[found[2] or ""]
    return int(meant) if meant == meant.to_integral_value() else None


def _json_list(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
