"""Consistent books: two finished trades, a finished and a running cycle, two decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running
from tests.adapters.postgres.values import NOW, SECOND, change, entry
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.events import CYCLE_COMPLETED, CYCLE_STARTED, Event
from tradesaga.ports.journal import Add, Insert, Update
from tradesaga.ports.records import Circumstances

GIVEN = Circumstances(
    now=NOW + 4 * SECOND,
    orders_per_minute=2,
    orders_per_day=2,
    sessions=[
        (datetime(2026, 11, day, 14, 30, tzinfo=UTC), datetime(2026, 11, day, 21, tzinfo=UTC))
        for day in (20, 23)
    ],
)
"""Two orders a minute are what the consistent rows have."""


async def write_books(parts: Running) -> None:
    """Write them through the journal, as the engine would: ten log entries."""
    cycles = [values.cycle(0), values.cycle(1)]
    for cycle in cycles:
        told = entry(cycle.id, "cycle.started", Event(type=CYCLE_STARTED, payload={}))
        await parts.journal.commit(change(Insert(cycle), entries=(told,)))
    ended = replace(
        cycles[0], status=CycleStatus.COMPLETED, completed_at=NOW + 9 * SECOND, version=2
    )
    told = entry(ended.id, "cycle.completed", Event(type=CYCLE_COMPLETED, payload={}))
    counts = AgentCounts(cycles_completed=1, decisions_generated=2)
    await parts.journal.commit(change(Update(ended), Add(counts), entries=(told,)))
    for name in "ab":
        began = values.trade(name)
        works = values.working(began)
        ends = values.filled(works)
        decision = Insert(values.allowed(name))
        end = Update(ends.saga), Update(ends.order), Update(ends.reservation)
        ending = ("running", "completed") if name == "a" else ("running", "running", "completed")
        for rows, taken in (
            ((decision, *values.began(began)), ("pending", "running")),
            ((Update(works.saga), Update(works.order)), ("running", "running")),
            ((*end, *values.booked_rows(ends)), ending),
        ):
            steps = [{"from": before, "to": after} for before, after in pairwise(taken)]
            if name == "a":  # as the log was written before, an entry a step
                told = entry(began.saga.id, "saga.step", body=steps[0])
            else:
                told = entry(began.saga.id, "saga.steps", body={"steps": steps, "fills": []})
            await parts.journal.commit(change(*rows, entries=(told,)))
