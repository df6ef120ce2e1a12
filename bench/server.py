"""What the server spent: CPU of all its processes, WAL, transactions."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Totals at one moment; `client` and `server` are CPU seconds."""

    client: float
    server: float
    wal_bytes: int

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            client=self.client - other.client,
            server=self.server - other.server,
            wal_bytes=self.wal_bytes - other.wal_bytes,
        )


async def spent(dsn: str, postmaster: int) -> Spent:
    """Read the totals of this process and of the server."""
    connection = await asyncpg.connect(dsn)
    try:
        wal = await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    finally:
        await connection.close()
    return Spent(client=time.process_time(), server=_cpu_of(postmaster), wal_bytes=int(wal))


def memory_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu_of(postmaster: int) -> float:
    """CPU seconds of the server and its children that live; ended ones count with the server."""
    ticks = 0
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(place.name) == postmaster:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == postmaster:
            ticks += sum(map(int, fields[11:13]))
    return ticks * _TICK
