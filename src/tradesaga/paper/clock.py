"""The authority of market time: plays the recording's minutes, holds, jumps, goes on after a crash.

Time runs at the speed asked for inside a span of recorded minutes, jumps over the closed hours to
one minute before the next span, and ends a little after the last bar. It never goes backwards and
never passes the limit in the shared file, which is extended bit by bit: when this process dies,
every reader stands still within a quarter of a second.

Two holds keep a fast replay whole. At the start (and after a clean stop) time waits until the agent
has shown itself. Then the governor keeps time from reaching the minute after next while the agent
has not finished its analysis of the last one, at most a second of real time for each minute: the
speed is an upper bound on a slow machine, and a dead agent only slows time.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zlib import crc32

from tradesaga.domain.errors import Conflict
from tradesaga.domain.market import Session
from tradesaga.domain.market_clock import (
    FILE_BYTES,
    MarketClock,
    datetime_of,
    micros_of,
    sequence_of,
    unpack,
)
from tradesaga.paper.minutes import start_of
from tradesaga.paper.recordings import Span
from tradesaga.paper.sessions import session_at

MINUTE_US = 60_000_000
LEASE_NS = 250_000_000
"""How far in real time the limit runs ahead of a living authority."""
SETTLEMENT = timedelta(minutes=1, seconds=10)
"""Played after the last bar of a span is over: the last cycle runs, its orders come to an end."""
HOLD_BEFORE_US = 5_000_000
"""The governor holds this much before its boundary: market time kept for fills on their way."""
RESUME_HOLD_SECONDS = 2.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def real_ns() -> int:
    """Nanoseconds of the monotonic clock that counts suspend; the same in all processes."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def boot_tag() -> int:
    """Names this boot of the machine; 0 where the system does not tell."""
    try:
        return crc32(_BOOT_ID.read_bytes()) or 1
    except OSError:
        return 0


class ClockFile:
    """The shared mapping; one writer, any number of readers."""

    def __init__(self, path: Path) -> None:
        """Map the file, made if absent. Raises Conflict when another process writes it."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, FILE_BYTES)
            self._shared = mmap.mmap(self._descriptor, FILE_BYTES)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise Conflict(
                f"{path} is in use: another process plays from this state directory; stop it first"
            ) from error
        self._sequence = sequence_of(self._shared[:FILE_BYTES])

    def read(self) -> MarketClock | None:
        """What stands in the file; None when it is new or was torn by a crash."""
        return unpack(self._shared[:FILE_BYTES])

    def write(self, mapping: MarketClock) -> None:
        """Replace the mapping."""
        self._sequence += 1
        self._shared[:FILE_BYTES] = mapping.pack(self._sequence)

    def close(self) -> None:
        """Write through to the file and let go of it."""
        self._shared.flush()
        self._shared.close()
        os.close(self._descriptor)


class Governor:
    """How far time may run before the agent has finished its cycle; pure but for the hold's start.

    A cycle is expected each minute of the regular session, counted from the agent's last one; when
    a hold has lasted its second, that cycle is excused and the next one expected.
    """

    def __init__(self, *, enabled: bool, hold_seconds_max: float) -> None:
        self._enabled = enabled
        self._hold_ns_max = int(hold_seconds_max * 1e9)
        self._done_us = 0
        self._held_since_ns: int | None = None

    def cycle_completed(self, scheduled_at: datetime) -> None:
        """Note that the agent has finished the analysis cycle of that moment."""
        self._done_us = max(self._done_us, micros_of(scheduled_at))
        self._held_since_ns = None

    def excuse_until(self, now_us: int) -> None:
        """Expect no cycle up to `now_us`: after a start or a jump nobody knows what was done."""
        self._done_us = max(self._done_us, now_us)

    def limit_us(self, now_us: int, next_due: datetime | None, at_ns: int) -> int | None:
        """Where time must stop for now; None when no cycle is awaited.

        `next_due` is when the venue executes next: while time is held it may run just up to there,
        since the awaited cycle may itself be waiting for that fill.
        """
        if not self._enabled:
            return None
        session = session_at(datetime_of(now_us))
        while session is not None:
            expected = self._expected_us(session)
            if expected >= micros_of(session.close):
                return None
            boundary = expected + MINUTE_US
            hold = boundary - HOLD_BEFORE_US
            if now_us < hold:
                self._held_since_ns = None
                return hold
            if self._held_since_ns is None:
                self._held_since_ns = at_ns
            if at_ns - self._held_since_ns < self._hold_ns_max:
                due = hold if next_due is None else micros_of(next_due)
                return max(hold, now_us, min(due, boundary - 1))
            self._done_us, self._held_since_ns = expected, None
        return None

    def _expected_us(self, session: Session) -> int:
        return max(self._done_us + MINUTE_US, micros_of(session.open) + MINUTE_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How time is played; the holds are in real seconds."""

    speed: float
    governor: bool = True
    cycle_hold_seconds: float = 1.0
    start_hold_seconds: float = 30.0


class ClockAuthority:
    """Owns market time; `tick` must be called often, at the latest every 50 ms."""

    def __init__(
        self,
        file: ClockFile,
        spans: Sequence[Span],
        pace: Pace,
        *,
        clock_ns: Callable[[], int] = real_ns,
        boot: int | None = None,
    ) -> None:
        self._file = file
        self._spans = [_Played(span) for span in spans]
        self._rate_milli = max(1, round(pace.speed * 1000))
        self._pace = pace
        self._clock_ns = clock_ns
        self._boot = boot_tag() if boot is None else boot
        self.governor = Governor(enabled=pace.governor, hold_seconds_max=pace.cycle_hold_seconds)
        self._await_agent_until_ns: int | None = None
        self._last_us = 0
        self._mapping = MarketClock(anchor_real_ns=0, anchor_market_us=0, rate_milli=0, limit_us=0)

    @property
    def ended(self) -> bool:
        """Whether the recording has been played to its end."""
        return bool(self._mapping.ended)

    @property
    def waits_for_agent(self) -> bool:
        """Whether time is held until the agent shows itself."""
        return self._await_agent_until_ns is not None

    def start(self, not_before: datetime | None = None) -> None:
        """Take up time where it stands in the file, else at the beginning; held at first.

        `not_before` is the latest moment that the venue has recorded anything for: a lost or torn
        file never sets time behind it.
        """
        at_ns = self._clock_ns()
        left = self._file.read()
        begin = self._spans[0].from_us
        hold = self._pace.start_hold_seconds
        position = begin
        if left is not None:
            # Another boot has another real clock: its readers may have come as far as the limit.
            ours = left.boot == self._boot and at_ns >= left.anchor_real_ns
            position = left.micros(at_ns) if ours or left.rate_milli == 0 else left.limit_us
            if left.ended:
                hold = 0.0
            elif left.rate_milli != 0:
                hold = min(hold, RESUME_HOLD_SECONDS)  # killed: the agent is probably still there
        if not_before is not None:
            position = max(position, micros_of(not_before))
        self._last_us = max(position, begin)
        self.governor.excuse_until(self._last_us)
        self._await_agent_until_ns = at_ns + int(hold * 1e9)
        self._write(at_ns, self._last_us, limit=self._last_us, held=True)

    def now(self) -> datetime:
        """Market time, aware UTC, never earlier than the answer before."""
        self._last_us = max(self._last_us, self._mapping.micros(self._clock_ns()))
        return datetime_of(self._last_us)

    def seconds_until(self, when: datetime) -> float | None:
        """Real seconds until market time is `when`; None while the limit is in the way."""
        return self._mapping.real_seconds_until(when, self._clock_ns())

    def agent_seen(self) -> None:
        """Note that the agent is there: the hold of the start is over."""
        self._await_agent_until_ns = None

    def tick(self, next_due: datetime | None) -> datetime:
        """Extend the limit as far as allowed, jump over closed hours; answer the time now."""
        at_ns = self._clock_ns()
        self._last_us = now_us = max(self._last_us, self._mapping.micros(at_ns))
        if self.ended:
            return datetime_of(now_us)
        if self._await_agent_until_ns is not None:
            if at_ns < self._await_agent_until_ns:
                self._write(at_ns, now_us, limit=now_us, held=True)
                return datetime_of(now_us)
            self._await_agent_until_ns = None
        span = next((span for span in self._spans if now_us < span.until_us), None)
        if span is None:
            self._write(at_ns, now_us, limit=now_us, held=True, ended=1)
            return datetime_of(now_us)
        if now_us < span.from_us:
            self._last_us = now_us = span.from_us
            self.governor.excuse_until(now_us)
        limits = [span.until_us, now_us + LEASE_NS * self._rate_milli // 1_000_000]
        governed = self.governor.limit_us(now_us, next_due, at_ns)
        if governed is not None:
            limits.append(max(governed, now_us))
        self._write(at_ns, now_us, limit=min(limits))
        return datetime_of(now_us)

    def freeze(self) -> None:
        """Stop time cleanly: it goes on from here at the next start."""
        at_ns = self._clock_ns()
        self._last_us = max(self._last_us, self._mapping.micros(at_ns))
        held = replace(
            self._mapping, anchor_market_us=self._last_us, limit_us=self._last_us, rate_milli=0
        )
        self._publish(replace(held, anchor_real_ns=at_ns))

    def _write(
        self, at_ns: int, now_us: int, *, limit: int, held: bool = False, ended: int = 0
    ) -> None:
        self._publish(
            MarketClock(
                anchor_real_ns=at_ns,
                anchor_market_us=now_us,
                rate_milli=0 if held else self._rate_milli,
                limit_us=limit,
                ended=ended,
                boot=self._boot,
            )
        )

    def _publish(self, mapping: MarketClock) -> None:
        self._mapping = mapping
        self._file.write(mapping)


class _Played:
    """A span as it is played: from one minute before its first bar to the end of settlement."""

    def __init__(self, span: Span) -> None:
        self.from_us = micros_of(start_of(span.start - 1))
        self.until_us = micros_of(start_of(span.end) + SETTLEMENT)
