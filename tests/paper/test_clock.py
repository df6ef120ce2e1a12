from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.adapters.system import ScaledClock, real_ns
from tradesaga.domain.errors import Conflict
from tradesaga.domain.market_clock import FILE_BYTES, MarketClock, micros_of, unpack
from tradesaga.paper.clock import LEASE_NS, ClockAuthority, ClockFile, Pace
from tradesaga.paper.minutes import minute_of
from tradesaga.paper.recordings import Span

OPEN = datetime(2020, 12, 15, 14, 30, tzinfo=UTC)
"""Of the first span, ten minutes from the session's open; the second is an hour the day after."""
SECOND = 1_000_000_000
DAYS = [
    Span(day=date(2020, 12, 15), start=minute_of(OPEN), end=minute_of(OPEN) + 10),
    Span(day=date(2020, 12, 16), start=minute_of(OPEN) + 1440, end=minute_of(OPEN) + 1500),
]

words = st.integers(0, 1 << 62)
mappings = st.builds(
    MarketClock,
    anchor_real_ns=words,
    anchor_market_us=words,
    rate_milli=st.integers(0, 10_000_000),
    limit_us=words,
    ended=st.integers(0, 1),
    boot=words,
)


class Real:
    """The monotonic clock of a test, moved by hand."""

    def __init__(self) -> None:
        self.ns = 1_000 * SECOND

    def __call__(self) -> int:
        return self.ns

    def run(
        self, authority: ClockAuthority, seconds: float, due: datetime | None = None
    ) -> datetime:
        """Let real time pass in steps of 20 ms, with a tick after each."""
        now = authority.now()
        for _ in range(max(1, round(seconds / 0.02))):
            self.ns += SECOND // 50
            now = authority.tick(due)
        return now


@pytest.fixture
def clock_file(tmp_path: Path) -> Iterator[ClockFile]:
    file = ClockFile(tmp_path / "market-clock")
    yield file
    file.close()


def authority_on(
    file: ClockFile, real: Real, *, governor: bool = False, speed: float = 60.0, hold: float = 0.0
) -> ClockAuthority:
    pace = Pace(speed=speed, governor=governor, start_hold_seconds=hold)
    authority = ClockAuthority(file, DAYS, pace, clock_ns=real, boot=7)
    authority.start()
    return authority


# ---- the mapping --------------------------------------------------------------------------------


@given(mappings, st.integers(1, 1 << 62))
def test_a_mapping_survives_the_file(mapping: MarketClock, sequence: int) -> None:
    data = mapping.pack(sequence)
    assert len(data) == FILE_BYTES
    assert unpack(data) == mapping


@given(mappings, mappings, st.integers(1, 7), st.booleans())
def test_a_torn_mapping_is_never_taken_for_whole(
    before: MarketClock, after: MarketClock, words_written: int, from_the_end: bool
) -> None:
    old, new = before.pack(5), after.pack(6)
    cut = words_written * 8
    torn = old[:-cut] + new[-cut:] if from_the_end else new[:cut] + old[cut:]
    assert unpack(torn) in (None, before, after)
    assert unpack(bytes(FILE_BYTES)) is None


@given(mappings, st.lists(words, min_size=2, max_size=2).map(sorted))
def test_market_time_never_runs_backwards_nor_past_its_limit(
    mapping: MarketClock, readings: list[int]
) -> None:
    first, second = (mapping.micros(reading) for reading in readings)
    assert mapping.anchor_market_us <= first <= second
    assert second <= max(mapping.limit_us, mapping.anchor_market_us)


def test_the_mapping_by_hand() -> None:
    start = micros_of(OPEN)
    clock = MarketClock(
        anchor_real_ns=SECOND,
        anchor_market_us=start,
        rate_milli=60_000,
        limit_us=start + 60_000_000,
    )
    assert clock.at(SECOND + SECOND // 2) == OPEN + timedelta(seconds=30)  # half a second x 60
    assert clock.at(3 * SECOND) == OPEN + timedelta(seconds=60)
    assert clock.real_seconds_until(OPEN + timedelta(seconds=60), SECOND) == 1.0
    assert clock.real_seconds_until(OPEN + timedelta(seconds=61), SECOND) is None
    assert replace(clock, rate_milli=0).real_seconds_until(OPEN + timedelta(1), SECOND) is None


# ---- the authority ------------------------------------------------------------------------------


def test_time_begins_a_minute_early_jumps_closed_hours_and_ends(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real, speed=600)
    assert authority.now() == OPEN - timedelta(minutes=1)
    seen = [authority.now()]
    for _ in range(2000):
        seen.append(real.run(authority, 0.02))
        if authority.ended:
            break
    assert authority.ended
    assert seen == sorted(seen)
    jumps = [(a, b) for a, b in pairwise(seen) if b - a > timedelta(minutes=1)]
    # The last bar of day one is over at 14:40; a minute and ten seconds of settlement follow.
    ((before, after),) = jumps
    assert before <= OPEN + timedelta(minutes=11, seconds=10)
    assert after >= OPEN + timedelta(days=1) - timedelta(minutes=1)
    assert seen[-1] == OPEN + timedelta(days=1, minutes=61, seconds=10)
    assert real.run(authority, 1) == seen[-1]


def test_readers_stand_still_soon_after_the_authority_dies(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real)
    now = real.run(authority, 1)
    real.ns += 3600 * SECOND
    mapping = clock_file.read()
    assert mapping is not None
    assert mapping.at(real.ns) == now + timedelta(seconds=60 * LEASE_NS / SECOND)


def test_a_killed_authority_goes_on_where_readers_are(clock_file: ClockFile) -> None:
    real = Real()
    real.run(authority_on(clock_file, real), 1)
    real.ns += 10 * SECOND
    left = clock_file.read()
    assert left is not None
    again = authority_on(clock_file, real)
    resumed = again.now()
    assert resumed == left.at(real.ns)
    real.run(again, 0.02)  # the hold of the start ends, here one of no length
    assert real.run(again, 1) == resumed + timedelta(seconds=60)


def test_after_another_boot_time_goes_on_from_the_furthest_reader(clock_file: ClockFile) -> None:
    real = Real()
    real.run(authority_on(clock_file, real), 1)
    left = clock_file.read()
    assert left is not None
    real.ns = 5 * SECOND
    pace = Pace(speed=60, governor=False, start_hold_seconds=0)
    again = ClockAuthority(clock_file, DAYS, pace, clock_ns=real, boot=8)
    again.start()
    assert micros_of(again.now()) == left.limit_us


def test_a_clean_stop_freezes_time(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real)
    now = real.run(authority, 1)
    authority.freeze()
    real.ns += 3600 * SECOND
    assert authority_on(clock_file, real).now() == now


def test_a_lost_file_never_sets_time_behind_the_books(clock_file: ClockFile) -> None:
    real = Real()
    pace = Pace(speed=60, governor=False, start_hold_seconds=0)
    authority = ClockAuthority(clock_file, DAYS, pace, clock_ns=real, boot=7)
    authority.start(not_before=OPEN + timedelta(minutes=4))
    assert authority.now() == OPEN + timedelta(minutes=4)


def test_two_authorities_on_one_file_are_refused(tmp_path: Path) -> None:
    first = ClockFile(tmp_path / "clock")
    try:
        with pytest.raises(Conflict, match="in use"):
            ClockFile(tmp_path / "clock")
    finally:
        first.close()
    ClockFile(tmp_path / "clock").close()


# ---- the holds ----------------------------------------------------------------------------------


def test_the_start_waits_for_the_agent_but_not_for_ever(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real, hold=30)
    assert real.run(authority, 29) == OPEN - timedelta(minutes=1)
    assert authority.waits_for_agent
    assert real.run(authority, 2) > OPEN - timedelta(minutes=1)


def test_the_agent_ends_the_hold(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real, hold=30)
    authority.agent_seen()
    real.run(authority, 0.02)
    assert real.run(authority, 1) == OPEN


def test_the_governor_awaits_each_cycle_for_a_second(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real, governor=True, speed=6000)
    # First expected: the cycle of 14:31, before 14:32; held five seconds earlier.
    held = OPEN + timedelta(minutes=1, seconds=55)
    assert real.run(authority, 0.5) == held
    authority.governor.cycle_completed(OPEN + timedelta(minutes=1))
    assert real.run(authority, 0.5) == held + timedelta(minutes=1)
    # Nobody finishes the next one: after its second it is excused, and the one after it awaited.
    real.run(authority, 0.6)
    assert real.run(authority, 0.1) == held + timedelta(minutes=2)


def test_while_time_is_held_it_runs_up_to_the_next_execution(clock_file: ClockFile) -> None:
    real = Real()
    authority = authority_on(clock_file, real, governor=True, speed=6000)
    held = real.run(authority, 0.2)
    due = held + timedelta(milliseconds=700)
    assert real.run(authority, 0.2, due) == due
    far = held + timedelta(minutes=5)
    assert real.run(authority, 0.2, far) < held + timedelta(seconds=5)


def test_the_governor_lets_a_recording_begin_in_mid_session(clock_file: ClockFile) -> None:
    real = Real()
    noon = minute_of(OPEN) + 150
    spans = [Span(day=OPEN.date(), start=noon, end=noon + 60)]
    pace = Pace(speed=6000, start_hold_seconds=0)
    authority = ClockAuthority(clock_file, spans, pace, clock_ns=real, boot=7)
    authority.start()
    # 16:59 begins; expected is the cycle of 17:00, so time runs on to 17:00:55 without a hold.
    assert real.run(authority, 0.2) == OPEN + timedelta(minutes=150, seconds=55)


# ---- the reader ---------------------------------------------------------------------------------


def running(minutes: int, speed: float) -> MarketClock:
    """A mapping that begins now and may run that many minutes."""
    start = micros_of(OPEN)
    return MarketClock(
        anchor_real_ns=real_ns(),
        anchor_market_us=start,
        rate_milli=int(speed * 1000),
        limit_us=start + minutes * 60_000_000,
    )


@pytest.fixture
def reader(tmp_path: Path, clock_file: ClockFile) -> Iterator[ScaledClock]:
    clock_file.write(running(10, 0.001))
    clock = ScaledClock(tmp_path / "market-clock")
    yield clock
    clock.close()


async def test_a_sleeper_wakes_at_its_market_time(
    clock_file: ClockFile, reader: ScaledClock
) -> None:
    clock_file.write(running(10, 600))
    async with asyncio.timeout(5):
        await reader.sleep_until(OPEN + timedelta(minutes=1))  # a tenth of a second
    assert OPEN + timedelta(minutes=1) <= reader.now() < OPEN + timedelta(minutes=5)


async def test_a_sleeper_waits_while_time_is_held_and_wakes_after_a_jump(
    clock_file: ClockFile, reader: ScaledClock
) -> None:
    clock_file.write(running(1, 60_000))
    woken = asyncio.Event()

    async def sleep() -> None:
        await reader.sleep_until(OPEN + timedelta(days=1))
        woken.set()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(sleep())
        await reader.sleep_until(OPEN + timedelta(minutes=1))
        assert not woken.is_set()
        assert reader.now() == OPEN + timedelta(minutes=1)
        clock_file.write(replace(running(1, 60), anchor_market_us=micros_of(OPEN + timedelta(2))))
        await woken.wait()


async def test_sleepers_wake_in_their_order_and_those_that_gave_up_are_forgotten(
    clock_file: ClockFile, reader: ScaledClock
) -> None:
    clock_file.write(running(10, 600))
    woken: list[int] = []

    async def sleep(seconds: int) -> None:
        await reader.sleep_until(OPEN + timedelta(seconds=seconds))
        woken.append(seconds)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(500):
            gone = group.create_task(sleep(3600))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
        for seconds in (50, 10, 30, 20, 40):
            group.create_task(sleep(seconds))
    assert woken == [10, 20, 30, 40, 50]
    assert len(reader._sleepers._waiting) < 100


def test_now_never_goes_backwards_when_the_mapping_does(
    clock_file: ClockFile, reader: ScaledClock
) -> None:
    clock_file.write(replace(running(0, 0), anchor_market_us=micros_of(OPEN + timedelta(days=1))))
    far = reader.now()
    clock_file.write(running(1, 60))
    assert reader.now() == far
    assert not reader.ended


def test_a_file_torn_by_a_crash_holds_the_last_mapping(
    tmp_path: Path, clock_file: ClockFile, reader: ScaledClock
) -> None:
    clock_file.write(replace(running(0, 0), ended=1))
    before = reader.now()
    with (tmp_path / "market-clock").open("r+b") as file:
        file.seek(16)
        file.write(struct.pack("<q", 1))
    assert reader.now() == before
    assert reader.ended
