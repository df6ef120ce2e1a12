"""The archivist: what is due, in small batches, audited, and never a reason to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from typing_extensions import override

from tests.domain.trades import START
from tests.engine.place import SETTINGS, Place
from tradesaga.adapters.memory.archive import MemoryArchive
from tradesaga.domain.errors import Fenced, Refused, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.retention import KEEP_ALL, Kind, RetentionPolicy
from tradesaga.engine import retention as module
from tradesaga.engine.retention import BATCH_ROWS

DAY = timedelta(days=1)
POLICY = RetentionPolicy(sagas=30 * DAY, inbox=2 * DAY, interval=timedelta(hours=1))
DUE = {Kind.TRADES: 2 * BATCH_ROWS + 1, Kind.FILLS: 5, Kind.CYCLES: 7, Kind.INBOX: 1}


@dataclass(slots=True, kw_only=True)
class RaisingArchive(MemoryArchive):
    """Has the epoch raised by a stop while its first batch is on the way."""

    place: Place = field(repr=False)
    raised: bool = False

    @override
    async def move(
        self, agent_id: AgentId, kind: Kind, *, epoch: int, before: datetime, rows_max: int
    ) -> Mapping[str, int]:
        if not self.raised:
            self.raised = True
            self.place.store.epochs[DEFAULT_AGENT] += 1
        return await MemoryArchive.move(
            self, agent_id, kind, epoch=epoch, before=before, rows_max=rows_max
        )


def place(policy: RetentionPolicy = POLICY) -> Place:
    made = Place(settings=replace(SETTINGS, retention=policy))
    made.archive.due = dict(DUE)
    return made


def told(made: Place) -> list[tuple[str, str, Mapping[str, Any]]]:
    lines = [line.entry for line in made.store.log_of(DEFAULT_AGENT)]
    return [(e.kind, e.actor, e.body) for e in lines if e.kind.startswith("retention.")]


async def test_all_that_is_due_is_moved_in_batches_and_is_in_the_log() -> None:
    made = place()
    async with made.node() as parts:
        run = await parts.control.retention.run_once(actor="api:x")
        report = await parts.control.retention.report()
    assert (run.complete, run.problem) == (True, "")
    assert run.rows == {"trades": 2 * BATCH_ROWS + 1, "fills": 5, "inbox": 1}
    assert made.archive.due[Kind.CYCLES] == 7  # kept for ever
    assert {kind for kind, _ in made.archive.asked} == {
        Kind.TRADES, Kind.FILLS, Kind.DECISIONS, Kind.INBOX
    }  # fmt: skip
    assert dict(made.archive.asked)[Kind.TRADES] == START - 30 * DAY
    assert dict(made.archive.asked)[Kind.INBOX] == START - 2 * DAY
    (begun, who, due), (ended, _, counts) = told(made)
    assert (begun, who, ended) == ("retention.begun", "api:x", "retention.ended")
    assert due["tradesBefore"] == START - 30 * DAY
    assert counts == {"rows": run.rows, "complete": True, "problem": ""}
    assert ("rows_archived", "inbox", 1) in made.metrics.seen
    assert (report.policy, report.last) == (POLICY, run)
    assert [table.name for table in report.tables] == ["orders"]


async def test_a_run_that_takes_long_ends_and_the_next_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = place()
    async with made.node() as parts:
        monkeypatch.setattr(module, "RUN_SECONDS_MAX", 0.0)
        first = await parts.control.retention.run_once(actor="x")
        monkeypatch.setattr(module, "RUN_SECONDS_MAX", 60.0)
        second = await parts.control.retention.run_once(actor="x")
    assert (first.complete, first.rows) == (False, {})
    assert (second.complete, second.rows["fills"]) == (True, 5)


async def test_what_goes_wrong_with_one_kind_leaves_the_others() -> None:
    made = place()
    made.archive.failures = [Refused("no such column"), Unavailable("in use")]
    async with made.node() as parts:
        run = await parts.control.retention.run_once(actor="x")
    assert run.rows == {"inbox": 1}
    assert not run.complete
    assert run.problem == "trades: no such column; fills: in use"
    assert ("error_occurred", "retention") in made.metrics.seen
    assert told(made)[-1][2]["problem"] == run.problem


async def test_a_stop_in_the_middle_does_not_end_it() -> None:
    made = place()
    made.archive = RaisingArchive(due=dict(DUE), epochs=made.store.epochs, place=made)
    async with made.node() as parts:
        leadership = parts.leadership
        settled = leadership.epoch_settled

        async def learns() -> int:
            await leadership.raise_epoch()  # as the stop command would have done by now
            return await settled()

        leadership.epoch_settled = learns  # type: ignore[method-assign]  # the race, at will
        run = await parts.control.retention.run_once(actor="x")
    assert (run.complete, run.rows["fills"]) == (True, 5)


async def test_without_the_lease_nothing_is_moved() -> None:
    made = place()
    async with made.node() as parts:
        made.store.epochs[DEFAULT_AGENT] += 1  # another node has it
        with pytest.raises(Unavailable, match="another node"):
            await parts.control.retention.run_once(actor="x")
        with pytest.raises(Fenced):
            await parts.retention._move(Kind.TRADES, START)
    assert made.archive.due == DUE


async def test_it_runs_by_itself_every_interval_of_the_clocks_time() -> None:
    made = place()
    async with made.node() as parts, asyncio.timeout(5), asyncio.TaskGroup() as group:
        looking = group.create_task(parts.retention.run())
        while made.archive.due[Kind.INBOX]:
            await made.clock.sleep_until(made.clock.now() + timedelta(minutes=1))
        looking.cancel()
    (_, actor, _), *_ = told(made)
    assert actor == "engine"
    assert made.clock.now() - START >= POLICY.interval


async def test_a_policy_that_keeps_all_asks_and_says_nothing() -> None:
    made = place(KEEP_ALL)
    async with made.node() as parts:
        run = await parts.control.retention.run_once(actor="x")
    assert (run.complete, run.rows, made.archive.asked, told(made)) == (True, {}, [], [])
