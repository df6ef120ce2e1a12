"""What the relay has marked, read back to find what a bus has lost."""

from __future__ import annotations

from tests.adapters.postgres.values import AGENT, NOW, SECOND
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.sent_events import PostgresSentEvents
from tradesaga.ports.stream import Sent


async def test_marks_are_found_by_number_and_by_time(database_dsn: str) -> None:
    pool = ReaderPool(database_dsn, schema=SCHEMA)
    try:
        sent = PostgresSentEvents(pool)
        assert await sent.last_sent(AGENT) is None
        assert await sent.kept_up_to(AGENT, 9) == 0
        for n, number in ((1, 10), (2, 20), (3, 30)):
            await sent.mark_published(
                AGENT, sequence=n * 100, stream_sequence=number, at=NOW + n * SECOND
            )
        assert await sent.last_sent(AGENT) == Sent(
            sequence=300, stream_sequence=30, at=NOW + 3 * SECOND
        )
        assert [await sent.kept_up_to(AGENT, n) for n in (9, 10, 29, 30)] == [0, 100, 200, 300]
        assert await sent.sent_before(AGENT, NOW + 3 * SECOND) == 200
        await sent.mark_again(AGENT, sequence=300, stream_sequence=15)
        found = await sent.last_sent(AGENT)
        assert found is not None
        assert found.stream_sequence == 15
        assert await sent.kept_up_to(AGENT, 19) == 300
    finally:
        await pool.close()


async def test_marks_of_a_former_stream_say_nothing_of_this_one(database_dsn: str) -> None:
    pool = ReaderPool(database_dsn, schema=SCHEMA)
    broken = load("invariants")["I11_publication_order"].sql
    try:
        sent = PostgresSentEvents(pool)
        await sent.remember_stream(AGENT, NOW)
        for n, number in ((1, 10), (2, 20), (3, 30), (4, 40)):
            await sent.mark_published(AGENT, sequence=n * 100, stream_sequence=number, at=NOW)
        await sent.mark_again(AGENT, sequence=400, stream_sequence=25)  # its tail was lost
        assert [await sent.kept_up_to(AGENT, n) for n in (24, 25)] == [200, 400]
        assert await pool.fetch(broken, AGENT) == []

        await sent.mark_again(AGENT, sequence=400, stream_sequence=12)  # all of it was lost
        await sent.remember_stream(AGENT, NOW + SECOND)
        await sent.mark_published(AGENT, sequence=500, stream_sequence=13, at=NOW)
        assert [await sent.kept_up_to(AGENT, n) for n in (11, 12, 13)] == [0, 400, 500]
        assert await pool.fetch(broken, AGENT) == []
        await sent.mark_published(AGENT, sequence=600, stream_sequence=11, at=NOW)
        assert len(await pool.fetch(broken, AGENT)) == 1, "it can still be broken"
    finally:
        await pool.close()


async def test_the_stream_is_remembered(database_dsn: str) -> None:
    pool = ReaderPool(database_dsn, schema=SCHEMA)
    try:
        sent = PostgresSentEvents(pool)
        assert await sent.stream_known(AGENT) is None
        for moment in (NOW, NOW, NOW + SECOND):
            await sent.remember_stream(AGENT, moment)
            assert await sent.stream_known(AGENT) == moment
    finally:
        await pool.close()
