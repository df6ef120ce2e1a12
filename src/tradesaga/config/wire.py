"""Settings as the file would write them, and the hash of what they mean.

Secrets are masked and are no part of the hash; so are logins within addresses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from tradesaga.config.keys import KEYS
from tradesaga.config.secret import MASK, Secret
from tradesaga.config.section import ms
from tradesaga.config.settings import Settings
from tradesaga.config.values import hide_login

OF_A_NODE: Final = ("server.", "logging.", "observability.", "database.", "eventBus.url")
"""Where a node listens, what it logs and traces, and by which address it reaches the servers."""


def _plain(number: Decimal) -> str:
    """All digits without exponent or closing zeros; no rounding."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_FORMS: Final[dict[type, Callable[[Any], object]]] = {
    timedelta: ms,
    time: lambda value: f"{value:%H:%M}",
    Decimal: _plain,
    ZoneInfo: lambda value: value.key,
    tuple: list,
    Secret: lambda value: MASK if value else "",
    str: hide_login,
    UUID: str,
}


def wire_values(settings: Settings) -> dict[str, object]:
    """Every value by path as the file would write it; secrets masked, decimals as text."""
    return {path: _wire(attrgetter(key.attribute)(settings)) for path, key in KEYS.items()}


def _wire(value: object) -> object:
    if isinstance(value, StrEnum):
        return value.value
    form = _FORMS.get(type(value))
    return value if form is None else form(value)


def digest(settings: Settings) -> str:
    """SHA-256 in hexadecimal over the canonical settings without secrets."""
    return _digest(settings, ())


def shared_digest(settings: Settings) -> str:
    """The same without what each node has of its own: nodes that trade together agree on it."""
    return _digest(settings, OF_A_NODE)


def _digest(settings: Settings, without: tuple[str, ...]) -> str:
    public = {
        path: value
        for path, value in wire_values(settings).items()
        if not KEYS[path].secret and not path.startswith(without)
    }
    canonical = json.dumps(public, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
