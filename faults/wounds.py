"""What is done to the product: each wound is inflicted, lasts a while, and is taken away.

The numbers are those of the fault table of the platform's reliability plan.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import asyncpg
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.acceptance.running import Up, connect
from tradesaga.bootstrap.bus_users import OPERATOR
from tradesaga.embedded.nats import read_logins
from tradesaga.paper.personality import MARKET_DATA

T = TypeVar("T")
STANDS_STILL_SECONDS = 4.0
LOCKED_SECONDS = 3.0
HOGS = 60
LATE_MINUTES = 10
FROM_THE_END = 64
"""Within the last message of a block."""
FILL_SECONDS_MAX = 120
CYCLES = "select count(*) from cycles where type = 'analysis' and status = 'completed'"
DECIDED = "ai-trader.ai.decision.generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wound(Generic[T]):
    """One fault: its number, what it is, how it is done, and what this machine lacks for it."""

    number: int
    what: str
    inflict: Callable[[T], Awaitable[None]]
    lacks: Callable[[], str] = str


def killed(word: str) -> Callable[[Up], Awaitable[None]]:
    """SIGKILL to the process whose command line has the word."""

    async def inflict(up: Up) -> None:
        await up.kill(word)

    return inflict


def stopped(word: str) -> Callable[[Up], Awaitable[None]]:
    """SIGSTOP, a while of nothing, SIGCONT."""

    async def inflict(up: Up) -> None:
        while (pid := up.pid_of(word)) is None:  # noqa: ASYNC110 -- no event tells
            await asyncio.sleep(0.05)
        await _still(pid)

    return inflict


async def leader_killed(up: Up) -> None:
    """The node that leads, whichever it is."""
    os.kill(await _leader(up), signal.SIGKILL)


async def leader_stopped(up: Up) -> None:
    """The other node must take over, and the thawed one do nothing."""
    await _still(await _leader(up))


async def leader_ended(up: Up) -> None:
    """SIGTERM in the midst of whatever it does."""
    os.kill(await _leader(up), signal.SIGTERM)


async def sessions_terminated(up: Up) -> None:
    """Every session of the product on Postgres."""
    connection = await connect(up.state_dir)
    try:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'tradesaga%' and pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def sessions_frozen(up: Up) -> None:
    """No session of the product gets an answer, and new ones do."""
    connection = await connect(up.state_dir)
    try:
        sessions = await connection.fetch(
            "select pid from pg_stat_activity where application_name like 'tradesaga%'"
        )
    finally:
        await connection.close()
    async with asyncio.TaskGroup() as group:
        for session in sessions:
            group.create_task(_still(session["pid"]))


async def transaction_left_open(up: Up) -> None:
    """Somebody keeps an old snapshot; cycles must go on beside it."""
    connection = await connect(up.state_dir)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            await connection.execute("select count(*) from journal_log")
            await up.until(f"select ({CYCLES}) >= $1", await up.ask(CYCLES) + 3)
    finally:
        connection.terminate()


async def connections_hogged(up: Up) -> None:
    """As many idle sessions as the server gives, for a while."""
    hogs: list[asyncpg.Connection[asyncpg.Record]] = []
    try:
        with suppress(asyncpg.PostgresError, OSError):
            while len(hogs) < HOGS:
                hogs.append(await connect(up.state_dir))
        await asyncio.sleep(STANDS_STILL_SECONDS)
    finally:
        for hog in hogs:
            hog.terminate()


async def rows_locked(up: Up) -> None:
    """Somebody holds the rows that every commit needs."""
    connection = await connect(up.state_dir)
    try:
        async with connection.transaction():
            # Else the server ends who is idle in a transaction: that is the product's own guard.
            await connection.execute("set local idle_in_transaction_session_timeout = 0")
            await connection.execute("select * from heads for update")
            await asyncio.sleep(LOCKED_SECONDS)
    finally:
        connection.terminate()


async def bus_comes_back_empty(up: Up) -> None:
    """All that NATS had acknowledged is gone, streams and consumers too."""
    store = up.state_dir / "nats" / "store"
    store.rename(store.with_name(f"store-{time.monotonic_ns()}"))
    await up.kill("nats-server")


async def bus_block_damaged(up: Up) -> None:
    """One byte of what NATS has kept of our events turns over: its next start must see it."""
    while (pid := up.pid_of("nats-server")) is None:  # noqa: ASYNC110 -- no event tells
        await asyncio.sleep(0.05)
    told = "select count(*) from journal_log where kind = 'alert' and body like '%has lost events%'"
    before = await up.ask(told)
    os.kill(pid, signal.SIGSTOP)
    blocks = (up.state_dir / "nats" / "store").rglob("*ORCHESTRATOR/msgs/*.blk")
    block = max(blocks, key=lambda path: int(path.stem))
    with block.open("r+b") as file:
        file.seek(-FROM_THE_END, os.SEEK_END)
        [byte] = file.read(1)
        file.seek(-FROM_THE_END, os.SEEK_END)
        file.write(bytes([byte ^ 0xFF]))
    os.kill(pid, signal.SIGKILL)
    await up.until(f"select ({told}) > $1", before)


async def poison(up: Up) -> None:
    """No JSON, too deep, and a decision that is none."""
    async with _on_the_bus(up, OPERATOR) as client:
        for body in (b"\xff{", b"[" * 20_000, b'{"type": "ai.decision.generated"}'):
            await client.publish(DECIDED, body)
        await client.flush()


async def told_again(up: Up) -> None:
    """Decisions and news of orders once more, ten minutes late, twice and in the wrong order."""
    heard: list[Msg] = []

    async def take(message: Msg) -> None:
        heard.append(message)

    filled = "select count(*) from fills"
    async with _on_the_bus(up, OPERATOR) as client:
        for subject in ("ai-trader.trade.order.>", DECIDED):
            await client.subscribe(subject, cb=take)
        await up.until(f"select ({filled}) > $1", await up.ask(filled), seconds=FILL_SECONDS_MAX)
        told = tuple(heard)
        await up.until(f"select ({CYCLES}) >= $1", await up.ask(CYCLES) + LATE_MINUTES)
        for message in reversed(told * 2):
            await client.publish(message.subject, message.data)
        await client.flush()


async def forged(up: Up) -> None:
    """A neighbour that publishes a decision is refused by the bus."""
    said: asyncio.Queue[str] = asyncio.Queue()

    async def refused(error: Exception) -> None:
        said.put_nowait(str(error).lower())

    async with _on_the_bus(up, MARKET_DATA, refused) as client:
        await client.publish(DECIDED, b"{}")
        async with asyncio.timeout(STANDS_STILL_SECONDS):
            while f'publish to "{DECIDED}"' not in await said.get():
                pass


@asynccontextmanager
async def _on_the_bus(
    up: Up, user: str, told: Callable[[Exception], Awaitable[None]] | None = None
) -> AsyncIterator[Client]:
    ports = json.loads((up.state_dir / "ports.json").read_text(encoding="utf-8"))
    client = await nats.connect(
        f"nats://127.0.0.1:{ports['nats']}", user=user,
        password=read_logins(up.state_dir)[user], error_cb=told,
    )  # fmt: skip
    try:
        yield client
    finally:
        await client.close()


async def _leader(up: Up) -> int:
    holder: str | None = None
    while holder is None:
        holder = await up.ask("select holder from leases")
        await asyncio.sleep(0.05)
    return int(holder.split(":")[-2])


async def _still(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(STANDS_STILL_SECONDS)
    with suppress(ProcessLookupError):  # a supervisor ends what stands still for long
        os.kill(pid, signal.SIGCONT)


WOUNDS = (
    Wound(number=1, what="the leader is killed", inflict=leader_killed),
    Wound(number=4, what="the leader stands still for 4 s", inflict=leader_stopped),
    Wound(number=14, what="the leader is asked to end", inflict=leader_ended),
    Wound(number=16, what="Postgres is killed", inflict=killed("postgres")),
    Wound(number=17, what="Postgres stands still for 4 s", inflict=stopped("postgres")),
    Wound(number=18, what="all sessions are terminated", inflict=sessions_terminated),
    Wound(number=20, what="no session gets an answer for 4 s", inflict=sessions_frozen),
    Wound(number=29, what="NATS comes back empty", inflict=bus_comes_back_empty),
    Wound(number=31, what="a block of NATS is damaged", inflict=bus_block_damaged),
    Wound(number=32, what="somebody takes the connections", inflict=connections_hogged),
    Wound(number=33, what="somebody locks the log for 3 s", inflict=rows_locked),
    Wound(number=34, what="somebody leaves a transaction open", inflict=transaction_left_open),
    Wound(number=38, what="NATS is killed", inflict=killed("nats-server")),
    Wound(number=39, what="NATS stands still for 4 s", inflict=stopped("nats-server")),
    Wound(number=42, what="news of ten minutes ago, twice", inflict=told_again),
    Wound(number=43, what="poison on the bus", inflict=poison),
    Wound(number=46, what="a forged decision", inflict=forged),
    Wound(number=62, what="the neighbours are killed", inflict=killed("paper")),
)
