"""Losses of power under a Postgres and a NATS at work: whatever they acknowledged must be there.

Both are the product's embedded servers with its settings, on one disk. Writers commit and publish
without a pause, at a drawn moment the disk loses what was not flushed, and both are killed. What
they had said by then is compared with what they have after the next start: a row and its counter
are one commit, nothing is doubled, and no more is there than was asked for. Every
`AMCHECK_EVERY` rounds, and at the end, pg_amcheck reads the database.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import nats
import nats.errors
from nats.aio.client import Client
from nats.js.api import StreamConfig

from faults.disk import Disk
from faults.processes import ended, kill_with_all_below
from tradesaga.embedded.binaries import find_postgres
from tradesaga.embedded.identity import server_identity
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import SUPERUSER, EmbeddedPostgres

NUMBERS = (27, 28)
WRITERS = 4
SECONDS_AT_WORK = (0.05, 0.4)
AMCHECK_EVERY = 10
AMCHECK_SECONDS_MAX = 120
MEGABYTES = 1024
STREAM = "LEDGER"
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
TABLES = """
create table rows (writer int, number int, primary key (writer, number));
create table counters (writer int primary key, number int not null);
insert into counters select w, 0 from generate_series(0, $writers - 1) w;
""".replace("$writers", str(WRITERS))
WRITE = """with written as (insert into rows values ($1, $2))
  update counters set number = $2 where writer = $1"""
READ = """select c.number as counted, count(r.number) as rows, coalesce(max(r.number), 0) as last
  from counters c left join rows r using (writer) group by c.writer order by c.writer"""


class Ledger:
    """What was acknowledged, by writer: numbers 1, 2, ... and no gaps."""

    def __init__(self) -> None:
        self.acknowledged = [0] * WRITERS
        self.is_open = True

    async def write(self, writer: int, one: Callable[[int, int], Awaitable[object]]) -> None:
        """Write the next number again and again, until it is closed or the server is lost."""
        while self.is_open:
            number = self.acknowledged[writer] + 1
            try:
                await one(writer, number)
            except (*LOST, nats.errors.Error):
                return
            self.acknowledged[writer] = number

    def compared(self, found: Sequence[tuple[int, int]], said: Sequence[int]) -> list[str]:
        """What is wrong with last numbers and counts, given what had been said; goes on there."""
        wrong = [
            f"writer {writer}: {acknowledged} acknowledged, {count} there up to {last}"
            for writer, (acknowledged, (last, count)) in enumerate(zip(said, found, strict=True))
            # One more may be there: its answer was lost with the power.
            if count != last or not acknowledged <= last <= acknowledged + 1
        ]
        self.acknowledged = [last for last, _ in found]
        return wrong


class Cuts:
    """Some rounds on one disk."""

    def __init__(self, disk: Disk, seed: int) -> None:
        self._disk = disk
        self._random = random.Random(seed)
        self._postgres = EmbeddedPostgres(disk.mountpoint)
        self._nats = EmbeddedNats(disk.mountpoint)
        self._rows, self._messages = Ledger(), Ledger()
        self._seconds: list[float] = []

    async def run(self, rounds: int) -> list[str]:
        """Cut so often; what was lost or doubled."""
        wrong: list[str] = []
        try:
            await self._started()
            await self._prepared()
            for number in range(1, rounds + 1):
                wrong += [f"cut {number}: {one}" for one in await self._round()]
                if number % AMCHECK_EVERY == 0 or number == rounds:
                    wrong += await self._amcheck()
        finally:
            await self._nats.stop()
            await self._postgres.stop()
        return wrong

    def told(self) -> str:
        """How much was written, and how soon both were back."""
        rows, messages = sum(self._rows.acknowledged), sum(self._messages.acknowledged)
        median, worst = statistics.median(self._seconds), max(self._seconds)
        return (
            f"{len(self._seconds)} power cuts: {rows} commits, {messages} messages; "
            f"back after {median:.1f} s, at most {worst:.1f} s"
        )

    async def _started(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._postgres.start())
            group.create_task(self._nats.start())

    async def _prepared(self) -> None:
        connection = await self._connection()
        await connection.execute(TABLES)
        await connection.close()
        client = await self._client()
        stream = StreamConfig(name=STREAM, subjects=[f"{STREAM}.*"])
        await client.jetstream().add_stream(stream)
        await client.close()

    async def _round(self) -> list[str]:
        said_rows, said_messages = await self._worked_and_cut()
        began = time.monotonic()
        await self._disk.unmount()
        self._disk.mount()
        await self._started()
        self._seconds.append(time.monotonic() - began)
        return [
            *self._rows.compared(await self._found_rows(), said_rows),
            *self._messages.compared(await self._found_messages(), said_messages),
        ]

    async def _worked_and_cut(self) -> tuple[list[int], list[int]]:
        """What both had acknowledged the moment before."""
        connections = [await self._connection() for _ in range(WRITERS)]
        client = await self._client()
        stream = client.jetstream(timeout=5)

        async def row(writer: int, number: int) -> None:
            await connections[writer].execute(WRITE, writer, number)

        async def message(writer: int, number: int) -> None:
            await stream.publish(f"{STREAM}.{writer}", b"%d" % number)

        self._rows.is_open = self._messages.is_open = True
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(self._rows.write(w, row)) for w in range(WRITERS)]
            work += [group.create_task(self._messages.write(w, message)) for w in range(WRITERS)]
            await asyncio.sleep(self._random.uniform(*SECONDS_AT_WORK))
            said = list(self._rows.acknowledged), list(self._messages.acknowledged)
            self._disk.cut()
            # An answer that comes with the cancellation swallows it, and its writer would go on.
            self._rows.is_open = self._messages.is_open = False
            dead = [pid for server in self._servers() for pid in kill_with_all_below(server)]
            for task in work:
                task.cancel()
        for connection in connections:
            connection.terminate()
        await client.close()
        for server in (self._postgres, self._nats):
            await server.child.exited()
        await ended(dead)
        return said

    def _servers(self) -> list[int]:
        pids = [server.child.pid for server in (self._postgres, self._nats)]
        return [pid for pid in pids if pid is not None]

    async def _found_rows(self) -> list[tuple[int, int]]:
        connection = await self._connection()
        found = await connection.fetch(READ)
        await connection.close()
        # A counter that differs shows as a count that does.
        return [
            (row["last"], row["rows"] if row["counted"] == row["last"] else -1) for row in found
        ]

    async def _found_messages(self) -> list[tuple[int, int]]:
        client = await self._client()
        stream = client.jetstream(timeout=5)
        info = await stream.stream_info(STREAM, subjects_filter=f"{STREAM}.>")
        counts = info.state.subjects or {}
        found = []
        for subject in (f"{STREAM}.{writer}" for writer in range(WRITERS)):
            if subject in counts:
                last = await stream.get_last_msg(STREAM, subject)
                found.append((int(last.data or b"0"), counts[subject]))
            else:
                found.append((0, 0))
        await client.close()
        return found

    async def _amcheck(self) -> list[str]:
        identity = server_identity(self._postgres.data_dir)
        binaries = await find_postgres(self._disk.mountpoint, identity)
        command = binaries.directory / "pg_amcheck"
        if not command.exists():
            return []
        return await asyncio.to_thread(_checked, command, self._postgres)

    async def _connection(self) -> asyncpg.Connection[asyncpg.Record]:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            self._postgres.dsn, timeout=3, command_timeout=10
        )
        return connection

    async def _client(self) -> Client:
        return await nats.connect(
            self._nats.url, token=self._nats.token, allow_reconnect=False, error_cb=_ignored
        )


def _checked(command: Path, postgres: EmbeddedPostgres) -> list[str]:
    done = subprocess.run(
        [
            str(command), "--database", "postgres", "--install-missing", "--heapallindexed",
            "--host", str(postgres.socket_dir), "--port", str(postgres.port),
            "--username", SUPERUSER,
        ],
        check=False, capture_output=True, text=True, timeout=AMCHECK_SECONDS_MAX,
    )  # fmt: skip
    return [f"pg_amcheck: {done.stdout}{done.stderr}"] if done.returncode else []


async def _ignored(_: Exception) -> None:
    """The loss of the connection is what is wanted."""
