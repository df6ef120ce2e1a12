"""Start, restart and stop, with the supervisor inside the test."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import nats
import pytest
from typing_extensions import override

from tests.embedded.conftest import SECONDS_MAX, eventually, lives, supervised
from tradesaga.embedded import nats as embedded_nats
from tradesaga.embedded.failures import AlreadyRunning, CrashLoop, NoSpace, StartFailed
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.program import Program
from tradesaga.embedded.supervisor import EventKind, RestartPolicy, Supervisor

FAST = RestartPolicy(delay_first=0.001, delay_max=0.01, space_delay=0.001)


async def _execute(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=15, command_timeout=15)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _program(state_dir: Path, name: str, code: str, **options: object) -> Program:
    argv = [sys.executable, "-c", code, str(state_dir)]
    return Program(name, argv, lambda: dict(os.environ), state_dir / f"{name}.log", **options)  # type: ignore[arg-type]  # passed through


async def test_first_start_then_next_start_keep_data_and_addresses(
    state_dir: Path, record_property: Callable[[str, object], None]
) -> None:
    loop = asyncio.get_running_loop()
    addresses = []
    # About 1.0 and 0.1 s on two idle cores; the second bound leaves room for busy ones.
    for number, (name, start_max) in enumerate((("first", 10.0), ("next", 3.0))):
        postgres, server = EmbeddedPostgres(state_dir), EmbeddedNats(state_dir)
        before = loop.time()
        async with supervised(state_dir, [[postgres, server]]):
            seconds_start = loop.time() - before
            if number == 0:
                await _execute(postgres.dsn, "create table kept as select 42 as answer")
            assert await _execute(postgres.dsn, "select answer from kept") == 42
            addresses.append((postgres.dsn, server.url, server.token))
            before = loop.time()
        seconds_stop = loop.time() - before
        record_property(f"{name}_start", seconds_start)
        record_property(f"{name}_stop", seconds_stop)
        assert seconds_start < start_max
        assert seconds_stop < 2.0
        assert lives(os.getpid())
        assert postgres.child.pid is None
    assert addresses[0] == addresses[1]


async def test_a_second_supervisor_is_refused_and_the_first_lives_on(state_dir: Path) -> None:
    postgres = EmbeddedPostgres(state_dir)
    async with supervised(state_dir, [[postgres]]):
        second = Supervisor(state_dir, [[EmbeddedPostgres(state_dir)]], lambda _: None)
        with pytest.raises(AlreadyRunning) as refusal:
            await second.run(asyncio.Event())
        assert str(state_dir) in str(refusal.value)
        assert f"pid {os.getpid()}" in str(refusal.value)
        assert await _execute(postgres.dsn, "select 1") == 1


async def test_killed_servers_come_back_at_the_same_address(state_dir: Path) -> None:
    postgres, server = EmbeddedPostgres(state_dir), EmbeddedNats(state_dir)
    async with supervised(state_dir, [[postgres, server]]) as running:
        dsn, url = postgres.dsn, server.url
        for child in (postgres.child, server.child):
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
        for name in ("postgres", "nats"):
            await eventually(lambda n=name: running.count(EventKind.READY, n) == 2, name)  # type: ignore[misc]  # a default binds the loop's value
        assert (postgres.dsn, server.url) == (dsn, url)
        assert await _execute(dsn, "select 1") == 1
        client = await nats.connect(url, token=server.token, connect_timeout=15)
        await client.jetstream().account_info()
        await client.close()


@pytest.mark.parametrize("service", ["postgres", "nats"])
async def test_a_server_that_hangs_is_killed_and_restarted(state_dir: Path, service: str) -> None:
    servers = {"postgres": EmbeddedPostgres, "nats": EmbeddedNats}
    server = servers[service](state_dir)
    policy = RestartPolicy(probe_interval=0.05, probe_time_max=0.2, probe_misses_max=2)
    async with supervised(state_dir, [[server]], policy) as running:
        hung = server.child.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        await eventually(lambda: running.count(EventKind.READY) == 2, "restart")
        assert running.count(EventKind.HUNG) == 1
        assert not lives(hung)
        assert await server.alive()


async def test_a_healthy_server_is_never_taken_for_hung(state_dir: Path) -> None:
    postgres, server = (
        EmbeddedPostgres(state_dir, {"max_connections": "5"}),
        EmbeddedNats(state_dir),
    )
    policy = RestartPolicy(probe_interval=0.005, probe_time_max=5.0, probe_misses_max=1)
    async with supervised(state_dir, [[postgres, server]], policy) as running:
        full = [await asyncpg.connect(postgres.dsn, timeout=15) for _ in range(5)]
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(postgres.dsn, timeout=15)
        for _ in range(50):
            assert await postgres.alive()
            assert await server.alive()
        for connection in full:
            await connection.close()
        assert running.count(EventKind.HUNG) == 0


async def test_a_crash_loop_stops_all_and_raises(state_dir: Path) -> None:
    steady = _program(state_dir, "steady", "import time; time.sleep(600)")
    broken = _program(state_dir, "broken", "raise SystemExit('no such table')")
    steady_pids = []
    with pytest.RaisesGroup(CrashLoop):
        async with supervised(state_dir, [[steady], [broken]], FAST) as running:
            steady_pids.append(steady.child.pid)
            await asyncio.Event().wait()
    # The policy allows 8 crashes in its window, the ninth ends it.
    assert running.count(EventKind.EXITED, "broken") == 9
    assert running.count(EventKind.READY, "steady") == 1
    assert steady_pids[0] is not None
    assert not lives(steady_pids[0])


async def test_a_failed_restart_is_one_more_crash_and_no_end(state_dir: Path) -> None:
    # Life 1 answers and ends, lives 2 and 3 end before they answer, life 4 stays.
    code = """
import pathlib, sys, time
place = pathlib.Path(sys.argv[1])
lives = place / "lives"
number = len(lives.read_text()) + 1 if lives.exists() else 1
lives.write_text("x" * number)
if number in (2, 3):
    sys.exit(f"life {number} fails")
(place / "answers").touch()
while number == 4 or not (place / "end").exists():
    time.sleep(0.005)
(place / "answers").unlink()
"""

    async def ready() -> bool:
        return (state_dir / "answers").exists()

    program = _program(state_dir, "weak", code, ready=ready)
    async with supervised(state_dir, [[program]], FAST) as running:
        (state_dir / "end").touch()
        await eventually(lambda: running.count(EventKind.READY) == 2, "fourth life")
        failed = [event for event in running.events if event.kind is EventKind.START_FAILED]
    assert [
        ("life 2 fails" in event.detail, "life 3 fails" in event.detail) for event in failed
    ] == [
        (True, False),
        (False, True),
    ]


async def test_a_full_disk_is_waited_for_and_is_no_crash_loop(state_dir: Path) -> None:
    class NeedsSpace(Program):
        lives, refused = 0, 0

        @override
        async def start(self) -> None:
            self.lives += 1
            if 1 < self.lives < 30:
                self.refused += 1
                raise NoSpace("only 3 MB are free")
            await super().start()

    code = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1], "end").exists():
    time.sleep(0.005)
"""
    program = NeedsSpace(
        "full", [sys.executable, "-c", code, str(state_dir)], lambda: dict(os.environ),
        state_dir / "full.log",
    )  # fmt: skip
    async with supervised(state_dir, [[program]], FAST) as running:
        (state_dir / "end").touch()
        await eventually(lambda: running.count(EventKind.READY, "full") >= 2, "space again")
    assert program.refused == 28  # more than three times what a crash loop may have
    assert running.count(EventKind.START_FAILED, "full") == 28


@pytest.mark.parametrize(("status", "lives"), [(200, True), (503, False)])
async def test_nats_lives_as_long_as_its_streams_can_be_written(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, status: int, lives: bool
) -> None:
    async def monitor(_port: int, path: str) -> tuple[int, bytes]:
        assert path == "/healthz"
        return status, b""

    server = EmbeddedNats(state_dir)
    monkeypatch.setattr(embedded_nats, "http_answer", monitor)
    monkeypatch.setattr(EmbeddedNats, "monitor_port", 8222)
    assert await server.alive() is lives


async def test_a_first_start_that_fails_says_why_and_leaves_nothing(state_dir: Path) -> None:
    async def never() -> bool:
        return False

    steady = _program(state_dir, "steady", "import time; time.sleep(600)")
    broken = _program(state_dir, "broken", "raise SystemExit('port in use')", ready=never)
    supervisor = Supervisor(state_dir, [[steady], [broken]], lambda _: None)
    with pytest.raises(StartFailed, match=r"broken exited with code 1.*port in use"):
        await supervisor.run(asyncio.Event())
    assert steady.child.pid is None


async def test_a_program_that_never_answers_fails_in_time(state_dir: Path) -> None:
    async def hangs() -> bool:
        return await asyncio.Event().wait()

    code = "import time; time.sleep(600)"
    program = _program(state_dir, "mute", code, ready=hangs, start_seconds_max=0.1)
    with pytest.raises(StartFailed, match="mute is not ready after"):
        await program.start()
    assert program.child.pid is None


async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(state_dir: Path) -> None:
    code = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1], "deaf").touch()
time.sleep(600)
"""

    async def ready() -> bool:
        return (state_dir / "deaf").exists()

    program = _program(state_dir, "deaf", code, ready=ready, grace_seconds=0.1)
    async with supervised(state_dir, [[program]]):
        pid = program.child.pid
    assert pid is not None
    assert not lives(pid)


async def test_a_program_learns_addresses_at_every_start(state_dir: Path) -> None:
    numbers = iter(range(10))
    program = Program(
        "learner",
        [sys.executable, "-c", "import os; print(os.environ['NUMBER'], flush=True)"],
        lambda: {"NUMBER": str(next(numbers))},
        state_dir / "learner.log",
    )
    async with supervised(state_dir, [[program]], FAST) as running:
        await eventually(lambda: running.count(EventKind.EXITED) >= 3, "three lives")
    assert program.child.log.read_text(encoding="utf-8").split()[:3] == ["0", "1", "2"]


async def test_cancellation_stops_the_services_too(state_dir: Path) -> None:
    program = _program(state_dir, "steady", "import time; time.sleep(600)")
    supervisor = Supervisor(state_dir, [[program]], lambda _: None)
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run(asyncio.Event()))
        await supervisor.up.wait()
        pid = program.child.pid
        task.cancel()
    assert pid is not None
    assert not lives(pid)


async def test_stop_during_a_start_ends_what_is_starting_in_good_order(state_dir: Path) -> None:
    code = """
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def end(*_):
    (place / "ended").touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
(place / "begun").touch()
time.sleep(600)
"""

    async def never() -> bool:
        return False

    program = _program(state_dir, "slow", code, ready=never)
    supervisor, stop = Supervisor(state_dir, [[program]], lambda _: None), asyncio.Event()
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(stop))
        await eventually((state_dir / "begun").exists, "a program at work")
        stop.set()
    assert (state_dir / "ended").exists()
    assert program.child.pid is None
