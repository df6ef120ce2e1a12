"""Which second kills differ: the classes of pairs, so that one of each can stand for all.

A recovery is a function of what the dead life has left: first kills that leave the same condition
have the same recoveries. And within a recovery only what goes out changes anything: kills at two
seams between which no request was made leave the same. So one first kill of each condition with
one seam after each request of its recovery stand for all pairs. The cover takes fewer: every
condition, and every two of scenario, label of the first kill and label of the second.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from crash.actions import Action, Event
from crash.schedules import Outcome, Schedule
from tradesaga.testing.seams import Seam

RENEWALS_MAX = 3
"""The lease is renewed by time: later renewals are no other places in the story."""
WITHIN = frozenset({"journal.commit.before"})
"""Begins something inside the process; the statement that follows has a seam of its own."""


def second_kills(outcomes: Iterable[Outcome]) -> list[Schedule]:
    """A second kill at every seam of each recovery."""
    return [
        outcome.schedule.then(Event(Action.KILL, seam))
        for outcome in outcomes
        if _recovered(outcome)
        for seam in places(outcome.lives[0])
    ]


def different(outcomes: Iterable[Outcome]) -> list[Schedule]:
    """One second kill of every class."""
    return [
        outcome.schedule.then(Event(Action.KILL, seam))
        for outcome in _one_of_each(outcomes)
        for seam in after_requests(outcome.lives[0])
    ]


def each_with_each_label(outcomes: Iterable[Outcome]) -> list[Schedule]:
    """Every condition with every label of its recovery; the hits of a label take turns."""
    return [schedule for _, schedule in _by_label(_one_of_each(outcomes))]


def cover(outcomes: Iterable[Outcome], seed: int) -> list[Schedule]:
    """A cover of all pairs of axis values; the axes: scenario, condition, both kills' labels."""
    candidates = list(_by_label([outcome for outcome in outcomes if _recovered(outcome)]))
    random.Random(seed).shuffle(candidates)
    found, covered = [], set[tuple[object, ...]]()
    for outcome, schedule in candidates:
        first, second = (event.at.label for event in schedule.events)
        values = (schedule.scenario, first, second)
        pairs = {*combinations(enumerate(values), 2), (schedule.scenario, outcome.left)}
        if not pairs <= covered:
            covered |= pairs
            found.append(schedule)
    return found


def _by_label(outcomes: Iterable[Outcome]) -> Iterable[tuple[Outcome, Schedule]]:
    turns = Counter[tuple[str, str]]()
    for outcome in outcomes:
        hits = defaultdict[str, list[Seam]](list)
        for seam in after_requests(outcome.lives[0]):
            hits[seam.label].append(seam)
        for label, seams in hits.items():
            turn = outcome.schedule.scenario, label
            seam = seams[turns[turn] % len(seams)]
            turns[turn] += 1
            yield outcome, outcome.schedule.then(Event(Action.KILL, seam))


def _one_of_each(outcomes: Iterable[Outcome]) -> Iterable[Outcome]:
    """The first of those that left the same condition."""
    first: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        if _recovered(outcome):
            first.setdefault((outcome.schedule.scenario, outcome.left), outcome)
    return first.values()


def _recovered(outcome: Outcome) -> bool:
    """Whether it is one kill and an undisturbed life after it."""
    killed = [event.action for event in outcome.schedule.events] == [Action.KILL]
    return killed and bool(outcome.lives) and not outcome.missed and not outcome.violations


def places(seams: Sequence[Seam]) -> list[Seam]:
    """Those that are places in the story, not moments in time."""
    return [s for s in seams if not s.label.startswith("lease.renew") or s.hit <= RENEWALS_MAX]


def after_requests(seams: Sequence[Seam]) -> list[Seam]:
    """The first of each stretch without a request in it."""
    found, requested = [], True
    for seam in seams:
        if requested and seam in places((seam,)):
            found.append(seam)
            requested = False
        requested |= seam.label.endswith(".before") and seam.label not in WITHIN
    return found
