"""A neighbour's clock by the Date of its answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.adapters.http.played import Played
from tradesaga.adapters.http.clock import HttpClock
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.clock import Offset

NOW = datetime(2026, 11, 23, 15, 0, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def read(date: str | None, *, status: int = 200, way: timedelta = timedelta(0)) -> Offset:
    """The offset by an answer of that date which was `way` on its way."""
    times = iter((NOW, NOW + way))

    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {} if date is None else {"Date": date}
        return httpx2.Response(status, headers=headers, json={})

    clock = HttpClock(
        name="trading-engine",
        url="http://venue",
        time_max=SECOND,
        host_now=lambda: next(times),
        transport=Played(httpx2.MockTransport(answer)),
    )
    try:
        return await clock.offset()
    finally:
        await clock.close()


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_the_second_before_its_text_is_as_likely_as_the_one_after(status: int) -> None:
    found = await read("Mon, 23 Nov 2026 15:00:04 GMT", status=status)
    assert found == Offset(ahead=timedelta(0), doubt=SECOND)


async def test_a_clock_that_is_behind_ours_and_a_long_way() -> None:
    found = await read("Mon, 23 Nov 2026 14:59:44 GMT", way=2 * SECOND)
    assert (found.ahead, found.doubt) == (21 * SECOND, 2 * SECOND)
    assert found.certain == 19 * SECOND


@pytest.mark.parametrize("date", [None, "yesterday", ""])
async def test_an_answer_without_a_date_tells_no_time(date: str | None) -> None:
    with pytest.raises(Unavailable, match="tells no time"):
        await read(date)
