"""What is done to the product: each wound is inflicted, lasts a while, and is taken away.

The numbers are those of the fault table of the platform's reliability plan.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import nats

from tests.acceptance.running import Up, connect
from tradesaga.bootstrap.bus_users import OPERATOR
from tradesaga.embedded.nats import read_logins

STANDS_STILL_SECONDS = 4.0
LOCKED_SECONDS = 3.0
HOGS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wound:
    """One fault: its number, what it is, and how it is done."""

    number: int
    what: str
    inflict: Callable[[Up], Awaitable[None]]


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


async def poison(up: Up) -> None:
    """No JSON, too deep, and a decision that is none."""
    ports = json.loads((up.state_dir / "ports.json").read_text(encoding="utf-8"))
    client = await nats.connect(
        f"nats://127.0.0.1:{ports['nats']}",
        user=OPERATOR,
        password=read_logins(up.state_dir)[OPERATOR],
    )
    try:
        for body in (b"\xff{", b"[" * 20_000, b'{"type": "ai.decision.generated"}'):
            await client.publish("ai-trader.ai.decision.generated", body)
        await client.flush()
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
    Wound(number=32, what="somebody takes the connections", inflict=connections_hogged),
    Wound(number=33, what="somebody locks the log for 3 s", inflict=rows_locked),
    Wound(number=38, what="NATS is killed", inflict=killed("nats-server")),
    Wound(number=39, what="NATS stands still for 4 s", inflict=stopped("nats-server")),
    Wound(number=43, what="poison on the bus", inflict=poison),
    Wound(number=62, what="the neighbours are killed", inflict=killed("paper")),
)
