"""`python -m sim --seeds N [--start S] [--hours H] [--trace]`: simulate, check, report.

`--mutants` breaks the product on purpose, each safety line in turn, until a seed notices.
Ends with 1 if any seed broke an invariant; each such seed prints the command that replays it.
"""

from __future__ import annotations

import argparse
import io
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from sim.extras import Extra
from sim.hour import Result, simulate
from sim.mutants import MUTANTS, caught
from sim.setting import HOURS_MAX
from tradesaga.adapters import logging as log_output

RATIO_MIN = 1000
"""Simulated seconds for each real one, at least."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the seeds, say what they showed, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--hours", type=float, default=1.0, help=f"at most {HOURS_MAX:g}")
    parser.add_argument("--trace", action="store_true", help="print every line of the trace")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument(
        "--with", dest="extras", action="append", type=Extra, choices=Extra, default=[],
        help="what a seed does not draw; several times for several",
    )  # fmt: skip
    parser.add_argument("--mutants", action="store_true", help="try the known-bad variants")
    asked = parser.parse_args(arguments)
    if asked.seeds < 1 or asked.jobs < 1 or not 0 < asked.hours <= HOURS_MAX:
        parser.error(
            f"--seeds and --jobs are at least 1, --hours above 0 and at most {HOURS_MAX:g}"
        )
    quiet()
    if asked.mutants:
        return try_mutants(asked.seeds, asked.start, asked.hours)
    seeds = range(asked.start, asked.start + asked.seeds)
    results = []
    for result in results_of(
        seeds, asked.hours, asked.jobs, trace=asked.trace, extras=frozenset(asked.extras)
    ):
        results.append(result)
        if result.violations or asked.seeds <= 20:
            say(line_of(result))
    report(results)
    return 1 if any(result.violations for result in results) else 0


def quiet() -> None:
    """Keep the engine's log lines to itself: the trace tells more."""
    log_output.configure(level="error", stream=io.BytesIO())


def results_of(
    seeds: Sequence[int],
    hours: float,
    jobs: int,
    *,
    trace: bool,
    extras: Set[Extra] = frozenset(),
) -> Iterator[Result]:
    """The results in the order of the seeds, each as soon as it is there."""
    if trace or jobs == 1:
        yield from (
            simulate(s, hours=hours, on_note=say if trace else None, extras=extras) for s in seeds
        )
        return
    with ProcessPoolExecutor(jobs, initializer=quiet) as pool:
        yield from pool.map(partial(simulate, hours=hours, extras=extras), seeds)


def try_mutants(seeds: int, start: int, hours: float) -> int:
    """Say for each mutant which seed caught it; 1 if any was not."""
    missed = 0
    for name in MUTANTS:
        found = caught(name, seeds=seeds, start=start, hours=hours)
        if found is None:
            missed += 1
            say(f"{name}: NOT CAUGHT in {seeds} seeds")
        else:
            say(f"{name}: seed {found.result.seed}: {found.result.violations[0]}")
    say(f"{len(MUTANTS) - missed} of {len(MUTANTS)} mutants caught")
    return 1 if missed else 0


def line_of(result: Result) -> str:
    """One seed, and its violations if it has any."""
    figures = result.figures
    said = (
        f"seed {result.seed}: trace {result.trace}, {figures['sagas']} sagas, "
        f"{figures['lives']} lives, {result.real_seconds:.2f} s"
    )
    broken = [f"    {line}" for line in result.violations]
    return "\n".join([said, *broken, *([f"    replay: {result.replay}"] if broken else [])])


def report(results: Sequence[Result]) -> None:
    """The sums."""
    figures = sum((result.figures for result in results), Counter[str]())
    simulated = sum(result.simulated_seconds for result in results)
    real = sum(result.real_seconds for result in results)
    cpu = sum(result.cpu_seconds for result in results)
    broken = [result for result in results if result.violations]
    say(f"Python {platform.python_version()} (traces depend on it)")
    say(", ".join(f"{number:,} {name}" for name, number in sorted(figures.items())))
    say(
        f"{len(results)} seeds, {simulated / 3600:,.1f} h simulated in {real:,.1f} s: "
        f"{simulated / real:,.0f} times real time (bar {RATIO_MIN:,}), "
        f"{simulated / cpu:,.0f} times CPU time"
    )
    violations = sum(len(result.violations) for result in broken)
    say(f"{violations} violations in {len(broken)} seeds")
    for result in broken[:10]:
        say(f"    replay: {result.replay}")


def say(line: str) -> None:
    """Print."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
