"""Windows over submissions: never fewer than there are, bounded however many come."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.ids import StrategyId
from tradesaga.domain.orders import Side
from tradesaga.engine.order_pace import APART_MAX, STEPS, OrderPace, Times, Window
from tradesaga.ports.records import Submission

START = datetime(2026, 1, 5, 15, tzinfo=UTC)
LENGTH = timedelta(seconds=60)
STEP = LENGTH / STEPS
ONE, OTHER = StrategyId(UUID(int=1)), StrategyId(UUID(int=2))

moves = st.lists(
    st.tuples(
        st.integers(0, 400),  # milliseconds since the one before
        st.sampled_from([ONE, OTHER, None]),
        st.booleans(),  # whether it is taken back at once
    ),
    max_size=4 * APART_MAX,
)


@given(moves, st.integers(0, 70_000))
def test_a_window_counts_all_of_its_length_and_none_older_than_a_step_more(
    made: list[tuple[int, StrategyId | None, bool]], later: int
) -> None:
    window, kept, now = Window(LENGTH), [], START
    for after, strategy, taken_back in made:
        now += timedelta(milliseconds=after)
        window.add(now, strategy)
        kept.append((now, strategy))
        if taken_back:
            window.remove(now, strategy)
            kept.pop()
    asked = now + timedelta(milliseconds=later)

    def exact(length: timedelta, of: tuple[StrategyId | None, ...]) -> int:
        return sum(1 for at, strategy in kept if at > asked - length and strategy in of)

    everybody = (ONE, OTHER, None)
    assert exact(LENGTH, everybody) <= window.count(asked) <= exact(LENGTH + STEP, everybody)
    for strategy in everybody:
        assert exact(LENGTH, (strategy,)) <= window.of_strategy(strategy, asked)
        assert window.of_strategy(strategy, asked) <= exact(LENGTH + STEP, (strategy,))


@given(st.lists(st.integers(0, 30_000), max_size=APART_MAX), st.integers(0, 90_000))
def test_few_are_counted_exactly(gaps: list[int], later: int) -> None:
    """A person's word lets a strategy go on after the entries before it, however close."""
    times, made, now = Times(LENGTH), [], START
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        times.add(now)
        made.append(now)
    asked = now + timedelta(milliseconds=later)
    left = [at for at in made if at > asked - LENGTH]
    assert times.count(asked) == len(left)
    for moment in made:
        assert times.since(moment) == sum(1 for at in left if at > moment)


def entry(at: datetime) -> Submission:
    return Submission(
        at=at, strategy_id=ONE, cycle_id=None, symbol="SPY", side=Side.BUY, quantity=Decimal(1),
        reference_price=Decimal(370), opening=True, purpose="entry", void=False, left_at=None,
    )  # fmt: skip


def test_ten_times_the_orders_take_no_more_memory() -> None:
    """A saga must not cost more because others came before it."""

    def kept(number: int) -> int:
        tracemalloc.start()
        try:
            pace = OrderPace(
                entry(START + timedelta(seconds=10 * n / number)) for n in range(number)
            )
            now = START + timedelta(seconds=10)
            assert pace.day.count(now) == pace.repeats((ONE, "SPY", Side.BUY), now, None) == number
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert kept(10_000) < 2 * kept(1_000)
