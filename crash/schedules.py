"""Schedules: who dies where, and what came of it.

A schedule is a scenario and, life by life, what happens at which seam; the lives after those are
left in peace. Its text is its replay: `full/kill@venue.submit.sent#2/kill@recovery.trades#1`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count

from typing_extensions import override

from crash.actions import Action, Event
from crash.life import End, Plan
from crash.market import FastClock
from crash.outside import Outside
from crash.scenarios import SCENARIOS
from crash.stand import Lane, Stand
from tradesaga.adapters.system import real_ns
from tradesaga.domain.ids import AgentId, derived
from tradesaga.testing.seams import Seam

LOOK_SECONDS = 0.004
LIVES_MAX = 6
_numbers = count(1)
_run = real_ns()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A scenario and what happens in its lives, in order; then lives in peace."""

    scenario: str
    events: tuple[Event, ...] = ()

    @override
    def __str__(self) -> str:
        return "/".join((self.scenario, *map(str, self.events)))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read what `str` writes; ValueError or KeyError when it is not that."""
        name, *events = text.split("/")
        found = [event.partition("@") for event in events]
        return cls(
            SCENARIOS[name].name,
            tuple(Event(Action(action), Seam.parse(at)) for action, _, at in found),
        )

    def then(self, event: Event) -> Schedule:
        """The same with one more disturbed life."""
        return replace(self, events=(*self.events, event))


@dataclass(slots=True)
class Outcome:
    """What came of one schedule. `lives` are the seams passed by each life that was not killed.

    `missed`: a planned seam was not reached, since lives side by side are never quite the same.
    `left` is the condition in which the first kill left the world.
    """

    schedule: Schedule
    violations: list[str] = field(default_factory=list)
    lives: list[tuple[Seam, ...]] = field(default_factory=list)
    missed: bool = False
    hung: bool = False
    left: str = ""


async def play(stand: Stand, schedule: Schedule, mutant: str | None = None) -> Outcome:
    """Run the schedule on a new agent with a world of its own, and judge it."""
    place = f"{_run}-{next(_numbers)}"
    agent_id = AgentId(derived("crash", place))
    scenario, clock = SCENARIOS[schedule.scenario], FastClock(real_ns())
    outside = stand.server.places[place] = Outside(place, scenario, clock)
    outcome = Outcome(schedule)
    lane = await stand.lanes.get()
    planned = list(schedule.events)
    actions = {event.action for event in planned}
    try:
        for number in range(LIVES_MAX):
            event = planned.pop(0) if planned else None
            pausing = await stand.oracle.is_pausing(agent_id)
            plan = Plan(
                place=place, number=number, agent_id=agent_id, scenario=scenario, dsn=stand.dsn,
                socket=stand.socket, anchor_ns=clock.anchor_ns, start=not outside.started,
                mutant=mutant, pausing=pausing,
                replaced=Action.FREEZE in actions,
                action=Action.KILL if event is None else event.action,
                at=None if event is None else event.at,
            )  # fmt: skip
            outside.running.clear()
            outside.quiet.clear()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(_call_quiet(stand, agent_id, outside, lane))
                end = await lane.live(plan)
                watching.cancel()
            _note(outcome, plan, end)
            if end.killed and number == 0 and len(schedule.events) == 1:
                outcome.left = await stand.oracle.condition(agent_id, outside)
            last = event is None and not end.killed and not end.frozen and not pausing
            outcome.violations += await stand.oracle.broken_invariants(agent_id, quiet=last)
            if outcome.violations or last:
                break
        if not outcome.violations or outcome.hung:
            outcome.violations += await stand.oracle.disagreements(
                agent_id, outside, schedule.events
            )
    finally:
        stand.lanes.put_nowait(lane)
        outside.quiet.set()  # whoever still waits for it on the server is gone
        del stand.server.places[place]
    return outcome


def _note(outcome: Outcome, plan: Plan, end: End) -> None:
    outcome.hung |= end.hung
    if end.error:
        outcome.violations.append(f"life {plan.number + 1}: {end.error}")
    if not end.killed and not end.frozen:
        outcome.lives.append(end.passed)
        if plan.at is not None and not end.error and plan.at not in end.passed:
            outcome.missed = True


async def _call_quiet(stand: Stand, agent_id: AgentId, outside: Outside, lane: Lane) -> None:
    await outside.running.wait()
    at = real_ns()
    if lane.thaw():
        outside.thawed_ns = at
    while not await stand.oracle.is_quiet(agent_id, outside):  # noqa: ASYNC110 -- no event tells
        await asyncio.sleep(LOOK_SECONDS)
    outside.quiet.set()
