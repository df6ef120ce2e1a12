"""Event ids: UUIDv7 of a moment, drawn anew or derived from what the event is about.

A derived id comes out the same when a crash makes the event be produced again, so the stream's
duplicate window and every reader's inbox drop the repeat.
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from tradesaga.domain.market_clock import micros_of

_MASK_74 = (1 << 74) - 1


def fresh_uuid7() -> UUID:
    """A UUIDv7 of the host's time and 74 random bits."""
    return _uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def derived_uuid7(at: datetime, *parts: object) -> UUID:
    """The UUIDv7 of the moment `at` whose other bits are a function of `parts`."""
    digest = sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return _uuid7(micros_of(at) // 1000, int.from_bytes(digest[:10], "big"))


def _uuid7(milliseconds: int, bits: int) -> UUID:
    bits &= _MASK_74
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | high << 64 | 2 << 62 | low
    return UUID(int=value)
