"""Which schedules are played: singles over all scenarios, pairs, and mutants against them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from crash.actions import Action, Event
from crash.classes import places
from crash.mutants import MUTANTS, Mutant
from crash.report import Report, replay_of
from crash.schedules import Outcome, Schedule, play
from crash.stand import Stand
from tradesaga.testing.seams import Seam

TRIES_MAX = 3
UNDISTURBED_TRIES_MAX = 20
"""A seam that was not reached is tried this often: sagas side by side are never quite the same."""
DISTURBED = {
    Action.STOP: frozenset({"full", "no_fill"}),
    Action.PAUSE: frozenset({"full"}),
    Action.HALT: frozenset({"full"}),
    Action.TERM: frozenset({"full"}),
    Action.TIMEOUT: frozenset({"full", "partial", "no_dedupe_late"}),
    Action.FREEZE: frozenset({"full", "no_dedupe"}),
}
"""The scenarios whose every seam is also disturbed by something else than a kill."""
UNANSWERED = ("venue.", "bus.", "lease.take.", "lease.renew.", "outbox.mark.")
"""The requests that may go without an answer; of the journal's and the readers' CUT tells."""
Say = Callable[[str], None]


async def played(
    stand: Stand, report: Report, schedules: Sequence[Schedule], say: Say
) -> list[Outcome]:
    """Play all of them on all lanes; the report gets what came of each."""
    waiting = list(reversed(schedules))
    outcomes: list[Outcome] = []

    async def lane() -> None:
        while waiting:
            outcome = await reached(stand, waiting.pop())
            outcomes.append(outcome)
            report.add(outcome)
            if outcome.violations:
                said = "\n  ".join(outcome.violations)
                say(f"VIOLATION {replay_of(str(outcome.schedule))}\n  {said}")

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(stand.lanes_number):
            group.create_task(lane())
    report.played_seconds += time.monotonic() - began
    return outcomes


async def reached(stand: Stand, schedule: Schedule) -> Outcome:
    """Play it until its seams are reached, or the tries are used up."""
    outcome = await play(stand, schedule)
    for _ in range(TRIES_MAX - 1):
        if outcome.violations or not outcome.missed:
            break
        outcome = await play(stand, schedule)
    return outcome


async def singles(
    stand: Stand, report: Report, scenario: str, say: Say, *, number: int | None = None
) -> list[Outcome]:
    """Every seam of the undisturbed life, with every action that the scenario is played with.

    `number` takes a sample of so many.
    """
    undisturbed = await played(stand, report, [Schedule(scenario)], say)
    if undisturbed[0].violations:
        return []
    (seams,) = undisturbed[0].lives
    wanted = list(disturbed(scenario, seams))
    wanted = wanted if number is None else sampled(wanted, number, seed=1)
    return await played(stand, report, wanted, say)


def disturbed(scenario: str, seams: Sequence[Seam]) -> Iterable[Schedule]:
    """All schedules with one event over these seams."""
    for seam in places(seams):
        for action in Action:
            if _fits(action, scenario, seam):
                yield Schedule(scenario, (Event(action, seam),))


def _fits(action: Action, scenario: str, seam: Seam) -> bool:
    if action is Action.KILL:
        return True
    if action is Action.CUT:
        return seam.label == "statement.committed"
    if scenario not in DISTURBED[action]:
        return False
    if action is Action.TIMEOUT:
        return seam.label.startswith(UNANSWERED)
    return True


def sampled(schedules: Sequence[Schedule], number: int, seed: int) -> list[Schedule]:
    """So many of them, the same for the same seed."""
    if number >= len(schedules):
        return list(schedules)
    return random.Random(seed).sample(list(schedules), number)


async def hunted(stand: Stand, report: Report, name: str, say: Say) -> Outcome | None:
    """The first schedule that catches the mutant; None when all that are named let it live."""
    mutant = MUTANTS[name]
    async for outcome in _against(stand, name, mutant):
        if outcome.violations:
            report.mutants[name] = str(outcome.schedule)
            why = outcome.violations[0].strip().splitlines()
            say(f"  {name}: caught by {outcome.schedule}: {why[-1].strip(' |+-') or why[0]}")
            return outcome
    report.mutants[name] = None
    say(f"  {name}: NOT CAUGHT")
    return None


async def _against(stand: Stand, name: str, mutant: Mutant) -> AsyncIterator[Outcome]:
    # What side by side sagas do to each other is a matter of chance where nothing is disturbed.
    seams: Sequence[Seam] = ()
    for _ in range(1 if mutant.labels else UNDISTURBED_TRIES_MAX):
        first = await play(stand, Schedule(mutant.scenario), name)
        yield first
        if first.violations:
            return
        (seams,) = first.lives
    places_to_try = [seam for seam in seams if seam.label in mutant.labels]
    for seam in places_to_try * TRIES_MAX:
        yield await play(stand, Schedule(mutant.scenario, (Event(mutant.action, seam),)), name)
