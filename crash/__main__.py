"""`python -m crash`: every single, a sample of the pairs, and the mutants; 1 on any violation."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from crash.classes import cover, different, each_with_each_label, second_kills
from crash.mutants import MUTANTS
from crash.proof import hunted, played, sampled, singles
from crash.report import Report
from crash.scenarios import SCENARIOS
from crash.schedules import Schedule, play
from crash.stand import Stand, stand
from tradesaga.adapters import logging as log_output
from tradesaga.adapters.postgres.migrate import SCHEMA, migrate
from tradesaga.embedded.postgres import EmbeddedPostgres

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""A killed process needs no fsync to find what it has committed; `--durable` has it."""


JOBS = 1 + (os.cpu_count() or 1)
"""A life waits now and then."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="only this one")
    parser.add_argument("--singles", type=int, help="a sample of so many singles a scenario")
    parser.add_argument("--pairs", type=int, help="a sample of so many second kills")
    parser.add_argument(
        "--pairs-of",
        choices=("cover", "labels", "classes", "all"),
        default="cover",
        help="see the page",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the samples")
    parser.add_argument("--mutant", action="append", choices=MUTANTS, help="only this one")
    parser.add_argument("--no-mutants", action="store_true")
    parser.add_argument("--only-mutants", action="store_true")
    parser.add_argument("--replay", metavar="SCHEDULE", help="play one schedule and say what came")
    parser.add_argument(
        "--jobs", type=int, default=1 + (os.cpu_count() or 1), help="lives at a time"
    )
    parser.add_argument("--merge", nargs="+", type=Path, help="play nothing, add up these reports")
    parser.add_argument("--durable", action="store_true", help="Postgres with fsync, on disk")
    parser.add_argument("--report", type=Path, default=Path("crash-report.json"))
    return parser.parse_args()


def say(line: str) -> None:
    """Tell the terminal at once."""
    print(line, flush=True)


async def prove(here: Stand, asked: argparse.Namespace, report: Report) -> None:
    """Fill the report."""
    if asked.replay:
        mutant = asked.mutant[0] if asked.mutant else None
        outcome = await play(here, Schedule.parse(asked.replay), mutant)
        report.add(outcome)
        say("\n".join(outcome.violations) or ("seam not reached" if outcome.missed else "holds"))
        return
    if not asked.only_mutants:
        recovered = []
        for name in asked.scenario or SCENARIOS:
            began, before = time.monotonic(), report.schedules
            recovered += await singles(here, report, name, say, number=asked.singles)
            took = time.monotonic() - began
            say(f"{name}: {report.schedules - before} singles, {took:.0f} s")
        pairs = {
            "all": second_kills(recovered),
            "classes": different(recovered),
            "labels": each_with_each_label(recovered),
            "cover": cover(recovered, asked.seed),
        }
        report.pairs = {name: len(found) for name, found in pairs.items()}
        say("pairs: " + ", ".join(f"{number:,} {name}" for name, number in report.pairs.items()))
        chosen = pairs[asked.pairs_of]
        number = len(chosen) if asked.pairs is None else asked.pairs
        await played(here, report, sampled(chosen, number, asked.seed), say)
    if not asked.no_mutants:
        waiting = list(reversed(asked.mutant or list(MUTANTS)))

        async def lane() -> None:
            while waiting:
                await hunted(here, report, waiting.pop(), say)

        async with asyncio.TaskGroup() as group:
            for _ in range(here.lanes_number):
                group.create_task(lane())


async def run(asked: argparse.Namespace, directory: Path) -> Report:
    """Set everything up, prove, take everything down."""
    report, began = Report(), time.monotonic()
    server = EmbeddedPostgres(directory, {} if asked.durable else FAST)
    await server.start()
    try:
        await migrate(server.dsn, schema=SCHEMA)
        async with stand(server.dsn, directory, asked.jobs) as here:
            await prove(here, asked, report)
    finally:
        await server.stop()
    report.seconds = time.monotonic() - began
    return report


def main() -> int:
    """The exit status."""
    asked = arguments()
    log_output.configure(level="warning")
    if asked.merge:
        return told(Report.read(asked.merge), asked.report)
    shared = None if asked.durable or not os.access("/dev/shm", os.W_OK) else "/dev/shm"
    with tempfile.TemporaryDirectory(prefix="tradesaga-crash-", dir=shared) as name:
        directory = Path(name)
        directory.chmod(0o711)  # the server's unprivileged user must get through
        report = asyncio.run(run(asked, directory))
    return told(report, asked.report)


def told(report: Report, path: Path) -> int:
    """Write it, say it, and return the exit status."""
    report.write(path)
    say(report.text())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
