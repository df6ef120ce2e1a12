"""The check that a system at work makes: the chain from a mark on, the rest within its time; and
the rules about stops and pauses where nothing is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tradesaga.adapters.postgres import invariants, records
from tradesaga.ports.journal import Insert
from tradesaga.ports.records import Circumstances, Invariant, LogMark

GIVEN = Circumstances(now=NOW)
TIME_MAX = timedelta(seconds=60)


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    """A log of five rows: the agent's, and four without a meaning."""
    async with running(database_dsn) as parts:
        for _ in range(4):
            await parts.journal.commit(change())
        yield parts


async def recheck(
    parts: Running, mark: LogMark | None, time_max: timedelta = TIME_MAX
) -> tuple[dict[str, Invariant], LogMark | None]:
    found, reached = await parts.records.recheck(AGENT, GIVEN, mark=mark, time_max=time_max)
    return {one.name: one for one in found}, reached


async def test_the_chain_is_followed_from_the_mark_on(parts: Running) -> None:
    found, mark = await recheck(parts, None)
    assert not [one for one in found.values() if one.violations]
    assert (found["I12_chain"].looked_at, mark and mark.seq) == (5, 5)
    for _ in range(2):
        await parts.journal.commit(change())
    await parts.admin.execute("update journal_log set actor = 'x' where seq = 3")
    found, mark = await recheck(parts, mark)
    chain = found["I12_chain"]
    assert (chain.looked_at, chain.violations, mark and mark.seq) == (2, 0, 7)
    whole = {one.name: one for one in await parts.records.invariants(AGENT)}
    assert whole["I12_chain"].violations == 1  # what the mark has passed is for the whole check


async def test_rechecks_of_many_agents_leave_connections_to_what_must_be_read_now(
    parts: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, may_end = asyncio.Semaphore(0), asyncio.Event()

    async def slow(*_: object, **__: object) -> tuple[list[Invariant], None]:
        under_way.release()
        await may_end.wait()
        return [], None

    monkeypatch.setattr(records, "recheck_invariants", slow)
    async with asyncio.TaskGroup() as group:
        for _ in range(9):
            group.create_task(recheck(parts, None))
        await under_way.acquire()
        async with asyncio.timeout(5):
            assert await parts.records.agent(AGENT) == values.agent()
        assert under_way.locked(), "one at a time"
        may_end.set()


async def test_the_mark_stays_before_a_break(parts: Running) -> None:
    _, mark = await recheck(parts, None)
    await parts.journal.commit(change())
    await parts.admin.execute("update journal_log set actor = 'x' where seq = 6")
    for _ in range(2):
        found, reached = await recheck(parts, mark)
        assert (found["I12_chain"].violations, reached) == (1, mark)


async def test_a_log_cut_off_at_its_end_is_seen(parts: Running) -> None:
    _, mark = await recheck(parts, None)
    await parts.admin.execute("delete from journal_log where seq > 3")
    assert (await recheck(parts, mark))[0]["I12_chain"].violations == 0  # the mark has its hash
    await parts.journal.commit(change())
    await parts.admin.execute("delete from journal_log where seq = 6")
    assert (await recheck(parts, mark))[0]["I12_chain"].violations == 1


async def test_a_long_log_is_taken_in_parts(
    parts: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "LOG_ROWS_PER_RECHECK", 3)
    found, mark = await recheck(parts, None)  # from two before the end: the rest is history
    assert (found["I12_chain"].looked_at, mark and mark.seq) == (3, 5)
    for _ in range(4):
        await parts.journal.commit(change())
    found, mark = await recheck(parts, mark)
    chain = found["I12_chain"]
    assert (chain.violations, chain.skipped, mark and mark.seq) == (
        0, "1 rows are left for the next time", 8,
    )  # fmt: skip
    found, mark = await recheck(parts, mark)
    assert (found["I12_chain"].skipped, mark and mark.seq) == ("", 9)


async def test_a_check_that_takes_too_long_is_skipped_alone(parts: Running) -> None:
    await parts.journal.commit(change(Insert(values.cycle())))
    await parts.admin.execute("set idle_in_transaction_session_timeout = 0")
    async with parts.admin.transaction():
        await parts.admin.execute("lock table cycles in access exclusive mode")
        found, mark = await recheck(parts, None, timedelta(seconds=2))
    skipped = {one.name for one in found.values() if "took longer" in one.skipped}
    locked = {"I11_cycle_events", "I15_no_overlap", "I15_live_epoch", "I19_counters"}
    assert locked <= skipped  # the budget is shared: a busy machine may leave out more
    assert len(skipped) < len(found) / 2
    assert not [name for name in skipped if found[name].violations]
    assert mark is not None
    assert mark.seq == 6
    found, _ = await recheck(parts, mark)
    assert found["I11_cycle_events"].violations == 1  # the cycle has no event


async def test_what_is_not_given_is_not_checked_and_said(parts: Running) -> None:
    found = {one.name: one for one in await parts.records.invariants(AGENT)}
    assert {name for name, one in found.items() if one.skipped} == {"I13_rate", "I16_session"}
    given = Circumstances(orders_per_minute=1, orders_per_day=1, sessions=[(NOW, NOW + SECOND)])
    assert not [one for one in await parts.records.invariants(AGENT, given) if one.skipped]


# ---- stops and pauses ----------------------------------------------------------------------------


async def told(parts: Running, *log: tuple[str, str, object]) -> set[str]:
    """Write kind, the `to` of the body (or `from` of a step) and subject; what breaks I14."""
    for number, (kind, word, subject) in enumerate(log, 1):
        step = f'{{"from": "{word}"}}'
        body = {"saga.step": step, "saga.steps": f'{{"steps": [{step}, {{}}], "fills": []}}'}.get(
            kind, f'{{"to": "{word}"}}'
        )
        await parts.admin.execute(
            "update journal_log set kind = $2, body = $3, subject = $4 where seq = $1",
            number, kind, body, str(subject),
        )  # fmt: skip
    found = await parts.records.invariants(AGENT)
    return {one.name for one in found if one.violations and one.name.startswith("I14")}


CYCLE, TRADE = values.cycle().id, values.trade()
BEGUN, BEGUN_BEFORE = [(kind, "pending", TRADE.saga.id) for kind in ("saga.steps", "saga.step")]
CYCLED = ("cycle.started", "started", CYCLE)
STOPPED, STARTED = ("agent.stopped", "stopped", AGENT), ("agent.started", "running", AGENT)
PAUSED, RESUMED = ("agent.paused", "paused", AGENT), ("agent.resumed", "running", AGENT)
AFTER_STOP, IN_PAUSE = {"I14_nothing_after_stop"}, {"I14_no_entry_while_paused"}


@pytest.mark.parametrize(
    ("log", "broken"),
    [
        ((STARTED, CYCLED, BEGUN, STOPPED), set()),
        ((STARTED, CYCLED, STOPPED, BEGUN), AFTER_STOP),
        ((STARTED, CYCLED, STOPPED, BEGUN_BEFORE), AFTER_STOP),
        ((STOPPED, STARTED, CYCLED, BEGUN), set()),
        ((STARTED, ("agent.failed", "error", AGENT), CYCLED, BEGUN), AFTER_STOP),
        ((PAUSED, CYCLED, BEGUN), IN_PAUSE),
        ((PAUSED, CYCLED, BEGUN_BEFORE), IN_PAUSE),
        ((STARTED, CYCLED, PAUSED, BEGUN), set()),  # the race of the cycle under way
        ((PAUSED, CYCLED, RESUMED, BEGUN), set()),
    ],
)
async def test_what_comes_after_a_stop_or_within_a_pause(
    parts: Running, log: tuple[tuple[str, str, object], ...], broken: set[str]
) -> None:
    await parts.journal.commit(change(*values.began(values.working(TRADE))))
    assert await told(parts, *log) == broken


async def test_an_intent_that_was_never_sent_is_no_matter(parts: Running) -> None:
    await parts.journal.commit(change(*values.began(TRADE)))
    assert await told(parts, STARTED, CYCLED, STOPPED, BEGUN) == set()


async def test_an_exit_may_be_decided_within_a_pause(parts: Running) -> None:
    await parts.journal.commit(change(*values.began(values.working(TRADE))))
    await parts.admin.execute("update orders set opening = false")
    assert await told(parts, PAUSED, CYCLED, BEGUN) == set()
