"""The bucket of tokens: rate, burst, and what the reserve is for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.token_bucket import Rate, TokenBucket

RATE = Rate(per_minute=60, burst=3, reserve=1)  # one a second


def test_entries_leave_the_reserve_and_urgent_ones_take_it() -> None:
    bucket = TokenBucket(RATE, 0.0)
    assert [bucket.take(0.0, urgent=False) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert [bucket.take(0.0, urgent=True) for _ in range(2)] == [0.0, 1.0]
    assert bucket.take(0.0, urgent=False) == 2.0, "the reserve fills first"
    assert bucket.take(1.0, urgent=False) == 1.0
    assert bucket.take(1.0, urgent=True) == 0.0


def test_after_a_refusal_of_the_service_only_the_reserve_is_left() -> None:
    bucket = TokenBucket(RATE, 0.0)
    bucket.drain(0.0)
    assert bucket.take(0.0, urgent=False) == 1.0
    assert bucket.take(0.0, urgent=True) == 0.0


_steps = st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=80)


@given(_steps)
def test_never_more_than_burst_and_rate_and_never_the_reserve_for_entries(
    steps: list[tuple[float, bool]],
) -> None:
    bucket, now, taken, entries = TokenBucket(RATE, 0.0), 0.0, 0, 0
    for passed, urgent in steps:
        now += passed
        if bucket.take(now, urgent=urgent) == 0.0:
            taken += 1
            entries += not urgent
    assert taken <= RATE.burst + now + 1e-6
    assert entries <= RATE.burst - RATE.reserve + now + 1e-6
