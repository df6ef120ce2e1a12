"""The server's clock against the host's."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tradesaga.adapters.postgres.clock import PostgresClock
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.system import host_now
from tradesaga.domain.errors import Unavailable

NONE = timedelta(0)


async def test_a_server_on_this_host_has_this_hosts_clock(database_dsn: str) -> None:
    clock = PostgresClock(database_dsn, host_now, schema=SCHEMA)
    first, again = await clock.offset(), await clock.offset()
    await clock.close()
    for found in (first, again):
        assert found.certain == NONE
        assert NONE < found.doubt < timedelta(seconds=1)


@pytest.mark.parametrize("wrong", [timedelta(seconds=5), timedelta(seconds=-5)])
async def test_a_host_clock_that_is_wrong_is_seen_to_be(
    database_dsn: str, wrong: timedelta
) -> None:
    def now() -> datetime:
        return host_now() + wrong

    clock = PostgresClock(database_dsn, now, schema=SCHEMA)
    found = await clock.offset()
    await clock.close()
    assert abs(found.ahead - wrong) <= found.doubt
    assert found.certain > timedelta(seconds=4)


async def test_no_server_no_time() -> None:
    clock = PostgresClock("postgresql://nobody@127.0.0.1:1/none", host_now, schema=SCHEMA)
    with pytest.raises(Unavailable):
        await clock.offset()
    await clock.close()
