"""Pages of lists: `limit` how many, `cursor` where to go on, `nextCursor` null on the last page.

All lists have this one form. A cursor is the place of the last thing seen, as text that a client
hands back and does not look into; it names its list, so that of another list is refused. What is
added or taken away between two pages moves nothing: the next page goes on after that place.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from tradesaga.api.answers import stamp
from tradesaga.api.problems import invalid, shown
from tradesaga.ports.trade_records import Place

PAGE_MAX: Final = 1000
PAGE_USUAL: Final = 20
ALL_AT_ONCE: Final = PAGE_MAX
"""The page of lists that are short by nature, when no `limit` is given."""
CURSOR_CHARACTERS_MAX: Final = 1024

Limit = Annotated[
    int,
    QueryParameter(ge=1, le=PAGE_MAX, description="a whole number from 1 to 1000: how many"),
]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=CURSOR_CHARACTERS_MAX, description="`nextCursor` of the page before, as it came"
    ),
]
T = TypeVar("T")
P = TypeVar("P")
Key = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[P]):
    """A list by its name; `key` writes a place into a cursor, `place` reads it back."""

    name: str
    key: Callable[[P], Key]
    place: Callable[[list[int | str]], P]

    def after(self, cursor: str | None) -> P | None:
        """Where the page begins; None for the first. Raises Refusal for a cursor not of ours."""
        if cursor is None:
            return None
        try:
            raw = urlsafe_b64decode(cursor.encode("ascii"))
            name, *key = msgspec.json.decode(raw, type=list[int | str])
            if name == self.name:
                return self.place(key)
        except (ValueError, TypeError, OverflowError):
            pass  # not one of ours, in whichever way: said below
        problem = f"cursor is {shown(cursor)}: it takes nextCursor of the page before of this list"
        raise invalid([problem])

    def page(
        self, found: Sequence[T], limit: int, place_of: Callable[[T], P]
    ) -> tuple[Sequence[T], str | None]:
        """The page and its `nextCursor`; `found` was asked for with one more than `limit`."""
        if len(found) <= limit:
            return found, None
        page = found[:limit]
        raw = msgspec.json.encode([self.name, *self.key(place_of(page[-1]))])
        return page, urlsafe_b64encode(raw).decode()


def by_time(name: str) -> Listing[Place]:
    """A list by time and id, the latest first."""

    def place(key: list[int | str]) -> Place:
        at, thing = key
        found = datetime.fromisoformat(str(at)), UUID(str(thing))
        if found[0].tzinfo is None:
            raise ValueError("a time without its zone")
        return found

    return Listing(name=name, key=lambda place: (stamp(place[0]), str(place[1])), place=place)


def by_number(name: str) -> Listing[int]:
    """A list by number."""
    return Listing(name=name, key=lambda number: (number,), place=_number)


def cut(
    name: str, things: Iterable[T], limit: int, cursor: str | None, key: Callable[[T], Key]
) -> tuple[Sequence[T], str | None]:
    """A page of things that are all at hand, by `key`, which is another one for each."""
    kinds: list[bool] = []

    def place(given: list[int | str]) -> Key:
        if kinds and _kinds(given) != kinds:
            raise ValueError("a place in another list")
        return tuple(given)

    ordered = sorted(things, key=key)
    if ordered:
        kinds = _kinds(key(ordered[0]))
    listing = Listing(name=name, key=lambda found: found, place=place)
    after = listing.after(cursor)
    rest = ordered if after is None else [thing for thing in ordered if key(thing) > after]
    return listing.page(rest, limit, key)


def _kinds(key: Sequence[int | str]) -> list[bool]:
    return [isinstance(part, int) for part in key]


def _number(key: list[int | str]) -> int:
    (number,) = key
    if not isinstance(number, int) or not 0 <= number < 2**63:
        raise ValueError("no number of a thing")
    return number
