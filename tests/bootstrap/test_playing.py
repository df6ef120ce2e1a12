"""Following a replay: no cycle is missed or shown twice, and the agent is started just once."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import cast
from uuid import UUID

import pytest
from rich.console import Console
from typing_extensions import override

from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT, NOW
from tests.bootstrap.test_display import QUIET
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.tally import CYCLES_AT_ONCE, FinishedCycle, Tally, Unsettled
from tradesaga.bootstrap.children import Api
from tradesaga.bootstrap.display import Display
from tradesaga.bootstrap.playing import NewCycles, market_time_left, start_once
from tradesaga.domain.cycle import Cycle, CycleError, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import CycleId
from tradesaga.domain.market_clock import EPOCH, MarketClock, micros_of
from tradesaga.ports.journal import Change, Entry, Insert

MINUTE = timedelta(minutes=1)
START = datetime(2020, 12, 15, 14, 30, tzinfo=UTC)


class Ended:
    """Stands for the tally: cycles that have ended by now, or a database that is away."""

    def __init__(self) -> None:
        self.cycles: list[FinishedCycle] = []
        self.is_away = False

    async def finished_cycles(self, since: datetime) -> Sequence[FinishedCycle]:
        if self.is_away:
            raise Unavailable("restarting")
        found = [cycle for cycle in self.cycles if cycle.started_at >= since]
        return sorted(found, key=lambda cycle: cycle.started_at)[:CYCLES_AT_ONCE]

    def end(self, *minutes: int) -> None:
        for minute in minutes:
            at = START + minute * MINUTE
            cycle = replace(QUIET, id=UUID(int=minute), scheduled_at=at, started_at=at)
            self.cycles.append(replace(cycle, acting="buy"))


async def shown_by(new: NewCycles) -> list[int]:
    """The minutes of the cycles that one look shows."""
    text = io.StringIO()
    await new.show(Display(Console(file=text)))
    stamps = [" ".join(line.split()[2:4]) for line in text.getvalue().splitlines()]
    moments = [datetime.strptime(stamp, "%Y-%m-%d %H:%M%z") for stamp in stamps]
    return [(moment - START) // MINUTE for moment in moments]


async def test_each_cycle_is_shown_once_slow_ones_too() -> None:
    ended = Ended()
    new = NewCycles(cast("Tally", ended), since=START)
    ended.end(0, 1)
    assert await shown_by(new) == [0, 1]
    ended.end(3)
    assert await shown_by(new) == [3]
    ended.end(2)  # began earlier, ended later
    assert await shown_by(new) == [2]
    assert await shown_by(new) == []


async def test_an_outage_hides_nothing_however_much_has_happened() -> None:
    ended = Ended()
    new = NewCycles(cast("Tally", ended), since=START)
    ended.end(0)
    assert await shown_by(new) == [0]
    ended.is_away = True
    ended.end(*range(1, 2 * CYCLES_AT_ONCE + 7))
    assert await shown_by(new) == []
    ended.is_away = False
    assert len(await shown_by(new)) == 2 * CYCLES_AT_ONCE + 6
    assert await shown_by(new) == []


async def test_what_a_former_life_showed_is_not_shown_again() -> None:
    ended = Ended()
    ended.end(*range(30))
    assert await shown_by(NewCycles(cast("Tally", ended), since=START + 28 * MINUTE)) == [28, 29]


class Journal:
    """Stands for the tally: whether the agent was ever started; away at the first look."""

    def __init__(self, *, was_started: bool) -> None:
        self.started = was_started
        self.looks = 0

    async def was_started(self) -> bool:
        self.looks += 1
        if self.looks == 1:
            raise Unavailable("restarting")
        return self.started


@pytest.fixture
def answers() -> Iterator[tuple[Api, list[int]]]:
    """An API that answers the statuses in the list, last one first, and takes each from it."""
    left: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/v1/agent/start"
            assert self.headers["Authorization"] == "Bearer t"
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"title": "Starting"}'
            self.send_response(left.pop())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Api(host="127.0.0.1", port=server.server_port, allow_remote=False), left
        server.shutdown()
        thread.join()


async def test_the_agent_of_a_fresh_run_is_started_as_soon_as_it_can_be(
    answers: tuple[Api, list[int]],
) -> None:
    api, left = answers
    left += [200, 503, 503]
    assert await start_once(api, cast("Tally", Journal(was_started=False)), token="t")
    assert left == []


async def test_an_agent_that_was_ever_started_is_left_alone(
    answers: tuple[Api, list[int]],
) -> None:
    api, left = answers
    left += [200]
    assert not await start_once(api, cast("Tally", Journal(was_started=True)), token="t")
    assert left == [200]


def test_market_time_is_read_from_what_the_player_left(tmp_path: Path) -> None:
    file = tmp_path / "market-clock"
    assert market_time_left(file) == (EPOCH, False)
    file.write_bytes(b"torn")
    assert market_time_left(file) == (EPOCH, False)
    clock = MarketClock(
        anchor_real_ns=1,
        anchor_market_us=micros_of(START),
        rate_milli=600_000,
        limit_us=micros_of(START + MINUTE),
        ended=1,
    )
    file.write_bytes(clock.pack(7))
    assert market_time_left(file) == (START, True)


def cycle(number: int, **changes: object) -> Cycle:
    begun = Cycle(
        id=CycleId(UUID(int=number)),
        agent_id=AGENT,
        type=CycleType.ANALYSIS,
        triggered_by=TriggeredBy.SCHEDULE,
        scheduled_at=NOW + number * MINUTE,
        started_at=NOW + number * MINUTE,
        epoch=1,
    )
    return replace(begun, **changes)  # type: ignore[arg-type]  # fields of Cycle


async def test_the_tally_reads_what_the_journal_wrote(database_dsn: str) -> None:
    done = cycle(
        2,
        status=CycleStatus.COMPLETED,
        completed_at=NOW + 2 * MINUTE,
        decisions_generated=3,
        errors=(CycleError(strategy_id=None, error="no quote"),),
        metadata={"profit": Decimal("-1.50"), "equity": Decimal(99), "positions": "SPY 13"},
    )
    async with running(database_dsn) as parts:
        pool = ReaderPool(database_dsn, schema=SCHEMA)
        tally = Tally(pool, AGENT)
        assert not await tally.was_started()
        await parts.journal.commit(
            Change(
                agent_id=AGENT,
                epoch=1,
                at=NOW,
                rows=(Insert(cycle(1)), Insert(done), Insert(cycle(3, type=CycleType.HEARTBEAT))),
                entries=(Entry(kind="agent.started", subject="a", actor="t", body={}),),
            )
        )
        assert await tally.was_started()
        [found] = await tally.finished_cycles(NOW)
        assert await tally.finished_cycles(NOW + 3 * MINUTE) == []
        assert await tally.unsettled() == Unsettled(cycles=2, sagas=0, events=0)
        counts = await tally.counts()
        await pool.close()
    assert (found.id, found.decisions_generated, found.errors) == (done.id, 3, ("no quote",))
    assert (found.profit, found.equity, found.positions) == (
        Decimal("-1.50"),
        Decimal(99),
        "SPY 13",
    )
    assert (found.acting, found.sagas) == ("", "")
    assert counts.cycles == {
        "analysis completed": 1,
        "analysis started": 1,
        "heartbeat started": 1,
    }
    assert (counts.profit, counts.orders) == (Decimal("-1.50"), {})


@pytest.mark.parametrize(
    ("left", "is_open"),
    [((0, 0, 0), False), ((1, 0, 0), True), ((0, 1, 0), True), ((0, 0, 1), True)],
)
def test_unsettled_is_whatever_is_under_way(left: tuple[int, int, int], is_open: bool) -> None:
    cycles, sagas, events = left
    assert bool(Unsettled(cycles=cycles, sagas=sagas, events=events)) is is_open
