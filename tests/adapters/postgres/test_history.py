"""The log and the decisions by pages, from what the journal wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, change
from tradesaga.adapters.postgres.history import COMMON_KINDS, PostgresHistory, is_rare
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.ids import AgentId, DecisionId, derived
from tradesaga.ports.history import DecisionQuery, LogQuery
from tradesaga.ports.journal import Entry, Insert


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        yield parts


@pytest.fixture
async def history(parts: Running) -> AsyncIterator[PostgresHistory]:
    pool = ReaderPool(parts.dsn, schema=SCHEMA)
    yield PostgresHistory(pool, AGENT)
    await pool.close()


async def test_the_log_is_read_from_its_end_and_narrowed(
    parts: Running, history: PostgresHistory
) -> None:
    for actor in ("engine", "api:ann#1@x", "api:anna#2@x"):
        said = [Entry(kind=f"agent.{n}", subject="s", actor=actor, body={"n": n}) for n in "ab"]
        await parts.journal.commit(change(entries=tuple(said)))
    stored = await parts.admin.fetch("select seq, at, kind, actor, hash from journal_log")
    rows = sorted(stored, key=lambda row: -row["seq"])

    async def found(**narrowed: object) -> list[int]:
        query = replace(LogQuery(limit=100), **narrowed)  # type: ignore[arg-type]  # its own fields
        return [row.seq for row in await history.log(query)]

    assert await found() == [row["seq"] for row in rows]
    assert await found(limit=2) == [row["seq"] for row in rows[:2]]
    assert await found(before=rows[1]["seq"]) == [row["seq"] for row in rows[2:]]
    assert await found(actor="api:ann") == [row["seq"] for row in rows[:4]]
    assert await found(actor="api:ann#") == [row["seq"] for row in rows[2:4]]
    assert await found(actor="ann") == []
    assert await found(kind="agent.a") == [r["seq"] for r in rows if r["kind"] == "agent.a"]
    assert await found(actor="%") == []
    latest = rows[0]["at"]
    assert await found(since=latest + timedelta(microseconds=1)) == []
    assert rows[0]["seq"] in await found(since=latest)
    assert rows[0]["seq"] not in await found(until=latest)
    [first] = await history.log(LogQuery(limit=1))
    assert (first.hash, first.body) == (rows[0]["hash"], b'{"n":"b"}')


@pytest.mark.parametrize(
    ("narrowed", "rare"),
    [
        ({}, False),
        ({"actor": "api:"}, True),
        ({"actor": "e"}, False),
        ({"actor": "engine"}, False),
        ({"actor": "engineer"}, True),
        ({"actor": "neigh"}, False),
        ({"actor": "neighbour:ai"}, False),
        ({"kind": "agent."}, True),
        ({"kind": "saga."}, False),
        ({"kind": "saga.steps"}, False),
        ({"kind": "saga.settled"}, True),
        ({"kind": ""}, False),
        ({"actor": "engine", "kind": "alert"}, True),
        ({"actor": "api:", "kind": "saga.steps"}, True),
    ],
)
async def test_what_is_rare_is_found_by_its_index_and_nothing_is_left_out(
    parts: Running, history: PostgresHistory, narrowed: dict[str, str], rare: bool
) -> None:
    query = replace(LogQuery(limit=100), **narrowed)  # type: ignore[arg-type]  # its own fields
    assert is_rare(query) is rare
    said = [
        Entry(kind=kind, subject="s", actor=actor, body={})
        for kind in (*COMMON_KINDS, "agent.paused", "alert", "saga.settled")
        for actor in ("engine", "engineer", "neighbour:ai-decision", "api:ann#1@x", "recovery")
    ]
    await parts.journal.commit(change(entries=tuple(said)))
    wanted = await parts.admin.fetch(
        "select seq from journal_log where ($1::text is null or starts_with(actor, $1))"
        " and ($2::text is null or starts_with(kind, $2)) order by seq desc",
        narrowed.get("actor"), narrowed.get("kind"),
    )  # fmt: skip
    assert [row.seq for row in await history.log(query)] == [row["seq"] for row in wanted]


async def test_the_search_for_rare_rows_says_what_its_index_says(parts: Running) -> None:
    await parts.admin.execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan")
    sql = load("history")["rare_log"].sql
    await parts.admin.execute(
        f"prepare asked(uuid, bigint, timestamptz, timestamptz, text, text, bigint) as {sql}"
    )
    plan = await parts.admin.fetch(
        f"explain execute asked('{AGENT}', 99, null, null, 'api:', null, 21)"
    )
    assert any("journal_log_rare" in row[0] for row in plan), plan
    await parts.admin.execute("drop index journal_log_rare")
    plan = await parts.admin.fetch(
        f"explain execute asked('{AGENT}', 99, null, null, 'api:', null, 21)"
    )
    assert any("journal_log_pkey" in row[0] for row in plan), plan


def _decision(number: int, **changes: object) -> Decision:
    made = replace(
        values.decision(),
        id=DecisionId(derived("decision", number)),
        external_id=f"d{number}",
        created_at=NOW + timedelta(seconds=number // 2),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # its own fields


async def test_decisions_are_read_by_creation_and_narrowed(
    parts: Running, history: PostgresHistory
) -> None:
    made = [_decision(n) for n in range(6)]
    made[1] = replace(made[1], symbol="BOLT")
    made[2] = replace(made[2], verdict=Verdict.SHADOW)
    await parts.journal.commit(
        change(Insert(values.strategy()), Insert(values.cycle()), *map(Insert, made))
    )
    wanted = sorted(made, key=lambda one: (one.created_at, one.id), reverse=True)
    assert list(await history.decisions(DecisionQuery(limit=9))) == wanted
    seen: list[Decision] = []
    place = None
    for _ in wanted:
        [one] = await history.decisions(DecisionQuery(limit=1, after=place))
        seen.append(one)
        place = (one.created_at, one.id)
    assert seen == wanted, "no place twice, none left out, also within one moment"
    assert await history.decisions(DecisionQuery(limit=1, after=place)) == []
    assert list(await history.decisions(DecisionQuery(limit=9, symbol="BOLT"))) == [made[1]]
    shadow = DecisionQuery(limit=9, verdict=Verdict.SHADOW)
    assert list(await history.decisions(shadow)) == [made[2]]
    of_cycle = [one for one in wanted if one.cycle_id is not None]
    if of_cycle:
        query = DecisionQuery(limit=9, cycle_id=of_cycle[0].cycle_id)
        assert list(await history.decisions(query)) == of_cycle


async def test_another_agent_sees_nothing_of_it(parts: Running) -> None:
    pool = ReaderPool(parts.dsn, schema=SCHEMA)
    nobody = PostgresHistory(pool, AgentId(derived("nobody")))
    assert await nobody.log(LogQuery(limit=9)) == []
    await parts.journal.commit(change())
    assert len(await nobody.log(LogQuery(limit=1, agent_id=AGENT))) == 1
    assert await nobody.decisions(DecisionQuery(limit=9)) == []
    await pool.close()


async def test_a_page_of_decisions_is_read_by_its_index(parts: Running) -> None:
    await parts.admin.execute("set enable_seqscan = off")
    plan = await parts.admin.fetch(
        "explain select id from decisions where agent_id = $1"
        " and (created_at, id) < (now(), $1) order by created_at desc, id desc limit 9",
        AGENT,
    )
    text = "\n".join(row[0] for row in plan)
    assert "decisions_by_time" in text
    assert "archived_decisions_by_time" in text
    assert "Sort" not in text.replace("Sort Key", "")
