from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.paper.market import D, at, bar, quote, recorded
from tradesaga.paper.minutes import MINUTE, start_of
from tradesaga.paper.prices import TIMEFRAMES, Prices
from tradesaga.paper.recordings import load

RECORDING = load()
SPY = Prices(RECORDING)
BEGIN = start_of(RECORDING.spans[0].start)

moments = st.integers(-120, 5 * 24 * 3600).map(lambda seconds: BEGIN + timedelta(seconds=seconds))


@given(moments, st.sampled_from(sorted(TIMEFRAMES)), st.integers(1, 50))
def test_no_answer_holds_a_minute_that_is_not_over(
    now: datetime, timeframe: str, limit: int
) -> None:
    width = TIMEFRAMES[timeframe] * MINUTE
    bars = SPY.bars("SPY", timeframe, start=None, end=None, limit=limit, now=now)
    assert all(start_of(found.minute) + width <= now for found in bars)
    quote_now = SPY.quote("SPY", now)
    assert quote_now is None or quote_now.at <= now
    assert all(start_of(row.minute) + MINUTE <= now for row in SPY.closes("SPY", -1, now))


@given(moments, st.integers(1, 20), st.integers(0, 400))
def test_the_first_and_the_last_bars_of_a_range_are_parts_of_the_whole(
    now: datetime, limit: int, ago: int
) -> None:
    start = now - ago * MINUTE
    whole = SPY.bars("SPY", "5m", start=start, end=now, limit=1000, now=now)
    assert SPY.bars("SPY", "5m", start=start, end=now, limit=limit, now=now) == whole[:limit]
    assert all(start <= start_of(found.minute) < now for found in whole)
    last = SPY.bars("SPY", "5m", start=None, end=now, limit=limit, now=now)
    assert len(last) <= limit
    assert whole[-limit:] == last[-len(whole[-limit:]) :] or not whole


def test_a_quote_from_bars_is_the_last_close_floored_to_the_cent() -> None:
    prices = Prices(recorded({"SPY": [bar(0, "10", "10.019"), bar(1, "11")]}))
    assert prices.quote("SPY", at(0, 59)) is None
    shown = prices.quote("SPY", at(1, 30))
    assert shown is not None
    assert (shown.price, shown.bid, shown.ask, shown.at) == (
        D("10.019"),
        D("10.01"),
        D("10.02"),
        at(1),
    )


def test_a_recorded_quote_is_shown_when_its_minute_is_over_and_may_lack_a_side() -> None:
    prices = Prices(
        recorded({"SPY": [bar(0, "10")]}, {"SPY": [quote(0, None, "10.05"), quote(2, "9", "9.5")]})
    )
    shown = prices.quote("SPY", at(2, 59))
    assert shown is not None
    assert (shown.bid, shown.ask, shown.at) == (None, D("10.05"), at(1))


def test_an_order_meets_the_running_minute() -> None:
    bars_only = Prices(recorded({"SPY": [bar(0, "10"), bar(1, "11.019", "12", volume="700")]}))
    offer = bars_only.execution("SPY", bar(1, "1").minute)
    assert offer is not None
    assert (offer.bid, offer.ask, offer.volume) == (D("11.01"), D("11.02"), D(700))
    assert bars_only.execution("SPY", bar(2, "1").minute) is None
    quoted = Prices(recorded({"SPY": [bar(1, "11")]}, {"SPY": [quote(1, "10.9", "11.1")]}))
    offer = quoted.execution("SPY", bar(1, "1").minute)
    assert offer is not None
    assert (offer.bid, offer.ask) == (D("10.9"), D("11.1"))


def test_wider_bars_are_made_of_the_minutes_that_have_one() -> None:
    # 14:30..14:34 with 14:32 missing: open of the first, close of the last, sums of the volumes.
    rows = [bar(0, "10", "11", "1"), bar(1, "12", "8", "2"), bar(3, "9", "9", "4"), bar(4, "9")]
    prices = Prices(recorded({"SPY": rows}))
    assert prices.bars("SPY", "5m", start=None, end=None, limit=9, now=at(4, 59)) == []
    (wide,) = prices.bars("SPY", "5m", start=None, end=None, limit=9, now=at(5))
    assert wide[1:] == (D(10), D(12), D(8), D(9), D(1007))
