"""What the settings are made of: sections of keys, their kinds of values, their checks.

A section is a frozen dataclass. Each key names its reader, so the type checker sees that the
reader gives what the attribute holds, and its default as the file would write it. What must hold
between keys a section tells in `conflicts`. Plain dataclasses rather than pydantic models: every
value has a reader of its own for the sake of its messages, and the command line starts faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from tradesaga.config import values
from tradesaga.config.secret import Secret
from tradesaga.config.values import Unfit, milliseconds

_T = TypeVar("_T")

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

INTERVAL: Final = milliseconds(100, DAY)
DEADLINE: Final = milliseconds(1, DAY)
CALL_DEADLINE: Final = milliseconds(1, 5 * MINUTE)
DELAY: Final = milliseconds(0, HOUR)
AGE: Final = milliseconds(1, HOUR)
PERCENT: Final = values.decimal_upto(100)
PORT: Final = values.whole(1, 65_535)
COUNT: Final = values.whole(1, 100_000)
NAME: Final = values.matching(r"\S(?:.{0,61}\S)?", "a name", "write 1 to 63 characters")
HOST: Final = values.matching(r"[^\s@?#]{1,255}", "a host", "write a host name or address")
_HTTP: Final = r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\s/@?#:\[\]]+)(?::[0-9]{1,5})?(?:/[^\s?#@]*)?"
_HTTP_WORDS: Final = ("an address without login", "write http://host:port or https://host")
_HTTP_URL: Final = values.matching(_HTTP, *_HTTP_WORDS)
HTTP_URL_OR_NONE: Final = values.matching(f"(?:{_HTTP})?", *_HTTP_WORDS)


def http_url(value: object) -> str:
    """Read the address of a neighbour; never a link-local one, where clouds keep credentials."""
    url = _HTTP_URL(value)
    try:
        address = ip_address(urlsplit(url).hostname or "")
    except ValueError:  # a name: whoever writes the configuration answers for it
        return url
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
        raise Unfit(f"{url} is no address of a service", "write that of a neighbour")
    return url


HTTP_URL: Final = http_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A level of the tree; its keys are exactly its fields."""

    def conflicts(self) -> Iterator[Unfit]:
        """What does not go together, although each value is fit; `key` says which to change."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRole:
    """In a field's metadata: the field is a key with a value."""

    read: Callable[[object], object]
    default: object
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionRole:
    """In a field's metadata: the field is a section, in which some defaults differ."""

    kind: type[Section]
    defaults: dict[str, object]


ROLE: Final = "role"
"""Where a field's metadata holds its role."""


def key(read: Callable[[object], _T], default: object) -> _T:
    """A key, its reader, and its default as the file would write it."""
    made: Any = field(metadata={ROLE: KeyRole(read=read, default=default)})
    return made  # type: ignore[no-any-return] # dataclasses sees a field, checkers the value


def secret_key(default: str) -> Secret:
    """A key whose value is never shown."""
    role = KeyRole(read=values.secret, default=default, secret=True)
    made: Any = field(metadata={ROLE: role})
    return made  # type: ignore[no-any-return] # as in `key`


def section(kind: type[_T], **defaults: object) -> _T:
    """A section; `defaults` are those of its keys that differ here, by attribute."""
    made: Any = field(metadata={ROLE: SectionRole(kind=kind, defaults=defaults)})  # type: ignore[arg-type] # only sections are given; a bound would hide the attribute's type
    return made  # type: ignore[no-any-return] # as in `key`


def ms(duration: timedelta) -> int:
    """Whole milliseconds, the unit on the wire."""
    return duration // timedelta(milliseconds=1)
