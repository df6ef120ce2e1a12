"""What a server has acknowledged survives kill -9, and a loss of power."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import asyncpg
import nats
import nats.errors
import pytest
from nats.js.api import StreamConfig

from faults import disk
from faults.power_cuts import WRITERS, Ledger
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.embedded.processes import Child

pytestmark = pytest.mark.timeout(60)  # starts and stops of servers with all flushes

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ACKNOWLEDGED_BEFORE_THE_KILL = 100


def _kill(child: Child) -> None:
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)


async def test_no_committed_row_is_lost(durable_postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(durable_postgres.dsn, timeout=15, command_timeout=15)
    await connection.execute("create table rows (number int primary key)")
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def write() -> None:
        while True:
            try:
                await connection.execute("insert into rows values ($1)", len(acknowledged))
            except LOST:
                return
            acknowledged.append(len(acknowledged))
            if len(acknowledged) == ACKNOWLEDGED_BEFORE_THE_KILL:
                enough.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        await enough.wait()
        _kill(durable_postgres.child)
    connection.terminate()
    await durable_postgres.child.exited()

    await durable_postgres.start()
    connection = await asyncpg.connect(durable_postgres.dsn, timeout=15, command_timeout=15)
    found = {row["number"] for row in await connection.fetch("select number from rows")}
    await connection.close()
    assert set(acknowledged) <= found
    assert len(found) <= len(acknowledged) + 1  # the one whose answer was lost


async def test_no_acknowledged_message_is_lost(durable_nats: EmbeddedNats) -> None:
    async def ignore(_: Exception) -> None:
        """The loss of the connection is what is wanted."""

    url, token = durable_nats.url, durable_nats.token
    client = await nats.connect(url, token=token, allow_reconnect=False, error_cb=ignore)
    stream = client.jetstream(timeout=15)
    await stream.add_stream(StreamConfig(name="orders", subjects=["orders"]))
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def publish() -> None:
        while True:
            try:
                ack = await stream.publish("orders", b"%d" % len(acknowledged))
            except (OSError, nats.errors.Error):
                return
            acknowledged.append(ack.seq)
            if len(acknowledged) == ACKNOWLEDGED_BEFORE_THE_KILL:
                enough.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(publish())
        await enough.wait()
        _kill(durable_nats.child)
    await client.close()
    await durable_nats.child.exited()

    await durable_nats.start()
    client = await nats.connect(url, token=token, connect_timeout=15)
    state = (await client.jetstream().stream_info("orders")).state
    await client.close()
    assert len(acknowledged) <= state.messages <= len(acknowledged) + 1
    assert acknowledged == list(range(1, len(acknowledged) + 1))


async def test_a_loss_of_power_loses_nothing_acknowledged() -> None:
    """One round of `make faults`, on a disk of its own."""
    if lacks := disk.lacking():
        pytest.skip(f"this machine lacks {lacks}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faults", "--only", "28", "--cuts", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
    assert process.returncode == 0, said.decode()
    assert "0 wrong" in said.decode()


@pytest.mark.parametrize(
    ("found", "is_wrong"),
    [
        ((7, 7), False),
        ((8, 8), False),  # its answer was lost
        ((6, 6), True),  # lost
        ((9, 9), True),  # nobody had asked for it yet
        ((7, 8), True),  # one of them twice
        ((7, 6), True),  # a gap
        ((7, -1), True),  # half of a commit
    ],
)
def test_a_ledger_tells_what_is_lost_and_doubled(found: tuple[int, int], is_wrong: bool) -> None:
    ledger = Ledger()
    others = [(0, 0)] * (WRITERS - 1)
    assert bool(ledger.compared([found, *others], [7, *([0] * (WRITERS - 1))])) is is_wrong
