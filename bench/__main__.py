"""`python -m bench [--seconds N]`: sagas per second at 1, 16, 64 and 256 concurrent.

Starts a Postgres of its own with fsync on in a temporary directory on disk, and stops it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
from pathlib import Path

import asyncpg

from bench.raw import commits_per_second
from bench.sagas import Bench, Figures
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.postgres.migrate import migrate
from tradesaga.embedded.postgres import EmbeddedPostgres

LEVELS = (1, 16, 64, 256)


async def measure(state_dir: Path, seconds: float) -> tuple[float, list[Figures], str]:
    """Raw commits per second, the table, and the server's version."""
    server = EmbeddedPostgres(state_dir)
    await server.start()
    try:
        connection = await asyncpg.connect(server.dsn)
        version = str(await connection.fetchval("show server_version"))
        fsync = str(await connection.fetchval("show fsync"))
        await connection.close()
        assert fsync == "on", "a benchmark without fsync says nothing"
        await migrate(server.dsn)
        raw = await commits_per_second(server.dsn, seconds)
        figures = await Bench(server.dsn).run(LEVELS, seconds)
    finally:
        await server.stop()
    return raw, figures, version


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each level")
    seconds = parser.parse_args().seconds
    log_output.configure(level="warning")
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # on disk, not in memory
    with tempfile.TemporaryDirectory(prefix="tradesaga-bench-", dir=place) as directory:
        state_dir = Path(directory)
        state_dir.chmod(0o711)  # the server's unprivileged user must get through
        raw, figures, version = asyncio.run(measure(state_dir, seconds))
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"Postgres {version}, fsync on; client, server and venue on the same cores")
    print(f"raw single-row commits, one connection: {raw:,.0f} a second\n")
    print("concurrent     sagas   sagas/s    p50 ms    p99 ms   sagas/s : raw commits/s")
    for row in figures:
        print(
            f"{row.concurrency:10} {row.sagas:9} {row.per_second:9,.0f} {row.p50:9.1f} "
            f"{row.p99:9.1f}   {row.per_second / raw:22.2f}"
        )


if __name__ == "__main__":
    main()
