"""`python -m bench`: what a durable trade costs, in one run on one machine, in a few minutes.

    curve      full sagas a second over concurrency, with the cost of one and the plain yardstick
    lean       the journal alone
    decisions  from a decision in hand to its durable intent and to its order, at a steady rate
    recovery   in-flight sagas, read back and brought to their end
    schedules  how late cycles begin with 10,000 schedules
    tables     the cost of a saga over the number of old ones; not by default, it takes long
    memory     resident memory over many sagas; not by default
    retention  table sizes under a steady stream, archiving and not; only when asked for

Starts a Postgres of its own with fsync on in a temporary directory on disk, and stops it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import uvloop

from bench import decisions, old_sagas, plain, recovery, retention, sagas, schedules
from bench.product import Product, product
from bench.raw import commit_milliseconds, commits_per_second
from bench.sagas import COMMITS, ROW_WRITES, Figures
from bench.server import memory_mib
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.adapters.system import calm_collector
from tradesaga.embedded.postgres import EmbeddedPostgres

LEVELS = (1, 4, 16, 64, 256, 1024)
SECTIONS = ("curve", "lean", "decisions", "recovery", "schedules")
LONG_SECTIONS = ("tables", "memory", "retention")
RATES = (None, 1, 200)
"""Decisions a second; None: each alone, the next when the last has ended."""
SCHEDULES_SECONDS_MIN = 15.0


async def measure(state_dir: Path, options: argparse.Namespace) -> None:
    """Start the server, run the sections, print each as soon as it is known."""
    server = EmbeddedPostgres(state_dir)
    await server.start()
    try:
        await migrate(server.dsn, schema=SCHEMA)
        raw = await _headline(server.dsn, options.seconds)
        if options.old_sagas:
            await old_sagas.load(server.dsn, options.old_sagas)
            print(f"{options.old_sagas:,} old sagas in the tables")
        pid = server.child.pid
        assert pid is not None, "it has just been started"
        calm_collector()
        await _sections(server.dsn, pid, options, raw)
    finally:
        await server.stop()


async def _headline(dsn: str, seconds: float) -> float:
    connection = await asyncpg.connect(dsn)
    version, fsync = [
        str(await connection.fetchval(f"show {name}")) for name in ("server_version", "fsync")
    ]
    await connection.close()
    assert fsync == "on", "a benchmark without fsync says nothing"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(f"Postgres {version}, fsync on; client, server and venue on the same cores")
    print(f"load of the machine before the run (1, 5, 15 minutes): {load}")
    raw = await commits_per_second(dsn, min(seconds, 2.0))
    print(f"raw single-row commits, one connection: {raw:,.0f} a second")
    return raw


async def _sections(dsn: str, pid: int, options: argparse.Namespace, raw: float) -> None:
    wanted: Sequence[str] = options.sections
    async with product(dsn) as made:
        await sagas.level(made.saga, 16, 0.5, (dsn, pid))
        if "curve" in wanted:
            await _curve(made, dsn, pid, options.seconds, raw, options.levels)
        if "lean" in wanted:
            print("\nlean path: one row, three commits, three entries of the log")
            row = await sagas.level(lambda: sagas.lean(made), 256, options.seconds, (dsn, pid))
            _table([row], raw, commits=3)
        if "decisions" in wanted:
            await _decisions(made, dsn, options.seconds)
        if "schedules" in wanted:
            await _schedules(made, max(options.seconds, SCHEDULES_SECONDS_MIN))
        if "tables" in wanted:
            await _tables(made, dsn, pid, options, raw)
        if "memory" in wanted:
            await _memory(made, options.memory_sagas)
        if "retention" in wanted:
            await _retention(made, dsn, options.retention_seconds)
    if "recovery" in wanted:
        found = await recovery.recover(dsn, options.open_sagas)
        print(f"\n{found.sagas:,} sagas in flight: read back in {found.read:.2f} s,", end=" ")
        print(f"all at their end after {found.ended:.1f} s")


async def _curve(
    made: Product, dsn: str, pid: int, seconds: float, raw: float, levels: Sequence[int]
) -> None:
    before = memory_mib()
    figures = [await sagas.level(made.saga, at, seconds, (dsn, pid)) for at in levels]
    print("\nfull sagas, with every row of the product")
    _table(figures, raw)
    number = sum(row.sagas for row in figures)
    print(f"memory: {before:.0f} MiB before, {memory_mib():.0f} MiB after {number:,} sagas")
    yardstick = await plain.rows_per_second(dsn)
    best = max(row.per_second for row in figures)
    print(f"plain batched inserts of the same rows: {yardstick:,.0f} rows a second;", end=" ")
    print(f"best of ours {best * ROW_WRITES:,.0f} row writes, {best * ROW_WRITES / yardstick:.0%}")


async def _tables(
    made: Product, dsn: str, pid: int, options: argparse.Namespace, raw: float
) -> None:
    there = options.old_sagas
    for number in (there, *(n for n in sorted(options.table_sagas) if n > there)):
        await old_sagas.load(dsn, number, there)
        there = number
        fresh = await sagas.level(made.saga, 256, options.seconds, (dsn, pid))
        print(f"\nfull sagas over {number:,} old ones: the first after a checkpoint,", end=" ")
        print(f"then those after {options.warm_seconds:.0f} s more")
        await sagas.level(made.saga, 256, options.warm_seconds, (dsn, pid))
        _table([fresh, await sagas.level(made.saga, 256, options.seconds, (dsn, pid))], raw)


async def _memory(made: Product, number: int) -> None:
    print(f"\nmemory over {number:,} sagas, MiB:", end="", flush=True)
    for _ in range(10):
        print(f" {memory_mib():.0f}", end="", flush=True)
        await sagas.times(made.saga, 256, number // 10)
    print(f" {memory_mib():.0f}")


async def _decisions(made: Product, dsn: str, seconds: float) -> None:
    print("\nfrom a decision in hand (ms)      one row alone     durable intent       order sent")
    print("a second  decisions               p50     p99        p50     p99        p50     p99")
    for rate in RATES:
        time = max(seconds, 20.0 if rate == 1 else 0.0)
        alone = await commit_milliseconds(dsn, rate, time)
        row = await decisions.reaction(made, rate, time)
        print(f"{row.per_second or 'in turn':>8}  {row.decisions:9}          ", end="")
        floor = sagas.percentile(alone, 50), sagas.percentile(alone, 99)
        for p50, p99 in (floor, row.durable, row.sent):
            print(f"{p50:8.1f}{p99:8.1f}   ", end="")
        print()


async def _schedules(made: Product, seconds: float) -> None:
    print("\n" + f"{schedules.NUMBER:,} schedules      fires   cycles", end="")
    print("    late: p50 ms   p99 ms   max ms   first step p99")
    for shape in schedules.SHAPES:
        row = await schedules.lateness(made, shape, seconds)
        print(
            f"{shape:16} {row.fires:9,}{row.cycles:9,}        {row.p50:8.1f} {row.p99:8.1f}"
            f" {row.worst:8.1f} {row.step_p99:16.1f}"
        )


async def _retention(made: Product, dsn: str, seconds: float) -> None:
    each, age = retention.PER_SECOND, retention.AGE.total_seconds()
    for archiving in (True, False):
        how = f"archived {age:.0f} s after their end" if archiving else "kept where they are"
        print(f"\n{each} sagas a second, {how}")
        print("second   working rows      MiB   archived rows      MiB   log MiB")
        grown = await retention.growth(made, dsn, seconds, archiving=archiving)
        for row in grown.samples:
            print(
                f"{row.second:6.0f} {row.rows:14,} {row.mib:8.1f} {row.archived_rows:15,}"
                f" {row.archived_mib:8.1f} {row.log_mib:9.1f}"
            )
        durable, sent = grown.reaction.durable, grown.reaction.sent
        print(f"durable intent p50 {durable[0]:.1f}, p99 {durable[1]:.1f} ms;", end=" ")
        print(f"order sent p50 {sent[0]:.1f}, p99 {sent[1]:.1f} ms")


def _table(figures: Sequence[Figures], raw: float, commits: int = COMMITS) -> None:
    print("                                                       each saga: CPU us     WAL")
    print(
        "concurrent    sagas  sagas/s   : raw   p50 ms   p99 ms   client   server   bytes  commits"
    )
    for row in figures:
        each = 1e6 / row.sagas
        print(
            f"{row.concurrency:10} {row.sagas:8} {row.per_second:8,.0f} "
            f"{row.per_second / raw:7.2f} {row.p50:8.1f} "
            f"{row.p99:8.1f} {row.spent.client * each:8.0f} {row.spent.server * each:8.0f} "
            f"{row.spent.wal_bytes / row.sagas:7,.0f} {commits:8}"
        )


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each level")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS + LONG_SECTIONS, default=SECTIONS)
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="of the curve")
    parser.add_argument("--old-sagas", type=int, default=0, help="ended sagas to begin with")
    parser.add_argument(
        "--table-sagas", type=int, nargs="+", default=(1_000_000,), help="old sagas for `tables`"
    )
    parser.add_argument("--warm-seconds", type=float, default=20.0, help="between, in `tables`")
    parser.add_argument("--memory-sagas", type=int, default=1_000_000, help="sagas for `memory`")
    parser.add_argument("--open-sagas", type=int, default=10_000, help="in flight for `recovery`")
    parser.add_argument("--retention-seconds", type=float, default=40.0, help="for `retention`")
    options = parser.parse_args()
    log_output.configure(level="warning")
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # on disk, not in memory
    with tempfile.TemporaryDirectory(prefix="tradesaga-bench-", dir=place) as directory:
        state_dir = Path(directory)
        state_dir.chmod(0o711)  # the server's unprivileged user must get through
        uvloop.run(measure(state_dir, options))


if __name__ == "__main__":
    main()
