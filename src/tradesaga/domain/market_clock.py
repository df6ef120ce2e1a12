"""How recorded market time follows real time: the pure arithmetic of the scaled clock.

    market(real) = min(anchor_market + (real - anchor_real) * rate, limit)

The player of a recording writes the mapping into a small shared file; every process of the
replay reads it there, so that all see one time. `limit` is how far the player allows time to run:
when the player dies, or the agent has not finished with the last minute, time stands still there
instead of running on. Real time is a monotonic clock in nanoseconds, market time is microseconds
since the Unix epoch, the rate is in thousandths.

The file is written while others read it. Its last word is a checksum over all the other words, so
a reader that meets a half-written mapping knows it, on any processor and in any copying order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILE_BYTES = 64
_LAYOUT = struct.Struct("<QqqqqqQQ")  # sequence, five fields, boot, checksum
_MASK = (1 << 64) - 1
_PRIME = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClock:
    """One mapping; `rate_milli` is 60,000 for sixty times real time, 0 when time is held."""

    anchor_real_ns: int
    anchor_market_us: int
    rate_milli: int
    limit_us: int
    ended: int = 0
    """1 when the recording has been played to its end."""
    boot: int = 0
    """Names the boot of the machine whose monotonic clock `anchor_real_ns` is; 0 if unknown."""

    def at(self, real_ns: int) -> datetime:
        """Market time at a reading of the monotonic clock."""
        return datetime_of(self.micros(real_ns))

    def micros(self, real_ns: int) -> int:
        """The same in microseconds since the Unix epoch."""
        elapsed_us = max(0, real_ns - self.anchor_real_ns) * self.rate_milli // 1_000_000
        return max(self.anchor_market_us, min(self.anchor_market_us + elapsed_us, self.limit_us))

    def real_seconds_until(self, when: datetime, real_ns: int) -> float | None:
        """How long until market time is `when`; None while the limit is in the way."""
        target = micros_of(when)
        left = target - self.micros(real_ns)
        if left <= 0:
            return 0.0
        if self.rate_milli == 0 or target > self.limit_us:
            return None
        return left * 1000 / self.rate_milli / 1_000_000

    def pack(self, sequence: int) -> bytes:
        """The bytes of the shared file; `sequence` > 0 grows with each write."""
        words = (
            sequence,
            self.anchor_real_ns,
            self.anchor_market_us,
            self.rate_milli,
            self.limit_us,
            self.ended,
            self.boot,
        )
        return _LAYOUT.pack(*words, _checksum(words))


def unpack(data: bytes) -> MarketClock | None:
    """The mapping in `data`; None when it was read in the middle of a write, or is empty."""
    whole = _unpack(data)
    return None if whole is None else whole[1]


def sequence_of(data: bytes) -> int:
    """The sequence number of the mapping in `data`; 0 when there is no whole one."""
    whole = _unpack(data)
    return 0 if whole is None else whole[0]


def _unpack(data: bytes) -> tuple[int, MarketClock] | None:
    if len(data) < FILE_BYTES:
        return None
    *words, checksum = _LAYOUT.unpack(data[:FILE_BYTES])
    sequence, real, market, rate, limit, ended, boot = words
    if sequence == 0 or checksum != _checksum(tuple(words)):
        return None
    return sequence, MarketClock(
        anchor_real_ns=real,
        anchor_market_us=market,
        rate_milli=rate,
        limit_us=limit,
        ended=ended,
        boot=boot,
    )


def _checksum(words: tuple[int, ...]) -> int:
    mixed = len(words)
    for word in words:
        mixed = ((mixed ^ (word & _MASK)) * _PRIME) & _MASK
        mixed ^= mixed >> 29
    return mixed


def micros_of(when: datetime) -> int:
    """Microseconds since the Unix epoch."""
    return (when - EPOCH) // timedelta(microseconds=1)


def datetime_of(micros: int) -> datetime:
    """The aware UTC moment that is `micros` microseconds after the Unix epoch."""
    return EPOCH + timedelta(microseconds=micros)
