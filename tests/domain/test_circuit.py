"""The breaker: when it opens, who finds out, what closes it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.circuit import (
    FAILURES_MAX,
    OPEN_SECONDS,
    WINDOW_SECONDS,
    CircuitBreaker,
    CircuitState,
)


def opened(at: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(FAILURES_MAX):
        breaker.failed(at)
    return breaker


def test_it_opens_at_the_fifth_failure_within_a_minute() -> None:
    breaker = CircuitBreaker()
    for number in range(FAILURES_MAX - 1):
        breaker.failed(float(number))
        assert breaker.allows(float(number))
    breaker.failed(WINDOW_SECONDS)  # 60 s after the first: just within
    assert breaker.state(WINDOW_SECONDS) is CircuitState.OPEN
    assert not breaker.allows(WINDOW_SECONDS)


def test_failures_that_are_far_apart_or_interrupted_do_not_open_it() -> None:
    far, interrupted = CircuitBreaker(), CircuitBreaker()
    for number in range(20):
        far.failed(number * (WINDOW_SECONDS / (FAILURES_MAX - 1) + 0.1))
        interrupted.failed(float(number))
        if number % FAILURES_MAX == FAILURES_MAX - 2:
            interrupted.succeeded()
    assert far.state(0.0) is CircuitState.CLOSED
    assert interrupted.state(20.0) is CircuitState.CLOSED


def test_one_probe_at_a_time_and_its_outcome_decides() -> None:
    breaker = opened()
    assert not breaker.allows(OPEN_SECONDS - 0.1)
    assert breaker.state(OPEN_SECONDS) is CircuitState.HALF_OPEN
    assert breaker.allows(OPEN_SECONDS)
    assert not breaker.allows(OPEN_SECONDS), "the probe is under way"
    breaker.failed(OPEN_SECONDS + 1)
    assert not breaker.allows(2 * OPEN_SECONDS)
    assert breaker.allows(2 * OPEN_SECONDS + 1)
    breaker.succeeded()
    assert breaker.state(2 * OPEN_SECONDS + 1) is CircuitState.CLOSED


def test_a_good_health_lets_the_next_request_find_out() -> None:
    breaker = opened()
    breaker.seems_well(1.0)
    assert breaker.state(1.0) is CircuitState.HALF_OPEN
    assert breaker.allows(1.0)
    breaker.failed(1.5)
    assert breaker.state(2.0) is CircuitState.OPEN
    closed = CircuitBreaker()
    closed.seems_well(1.0)
    assert closed.state(1.0) is CircuitState.CLOSED


@given(st.lists(st.tuples(st.sampled_from("fsaw"), st.floats(0, 20)), max_size=60))
def test_it_never_stays_shut_longer_than_its_time(steps: list[tuple[str, float]]) -> None:
    breaker, now = CircuitBreaker(), 0.0
    for step, seconds in steps:
        now += seconds
        match step:
            case "f":
                breaker.failed(now)
            case "s":
                breaker.succeeded()
                assert breaker.state(now) is CircuitState.CLOSED
            case "a":
                breaker.allows(now)
            case _:
                breaker.seems_well(now)
    assert breaker.allows(now + OPEN_SECONDS)
