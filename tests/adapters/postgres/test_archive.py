"""Archiving moves rows and changes nothing else: answers, keys, checks, late events stay right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.archived import ARCHIVED, INBOX, Archived, archived_books
from tests.adapters.postgres.books import GIVEN
from tests.adapters.postgres.test_invariants import PLANTED
from tests.adapters.postgres.values import AGENT, NOW, change, entry
from tradesaga.adapters.postgres import archive as archive_module
from tradesaga.adapters.postgres.invariants import check_invariants
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import DecisionId, FillId, OrderId, SagaId, TradeId, derived
from tradesaga.domain.orders import Fill
from tradesaga.domain.retention import Kind
from tradesaga.ports.journal import Add, Insert, PositionDelta, Row, Update


@pytest.fixture
async def books(database_dsn: str) -> AsyncIterator[Archived]:
    async with archived_books(database_dsn) as found:
        yield found


async def test_all_that_ended_moves_and_every_reader_answers_as_before(books: Archived) -> None:
    before = await books.answers()
    assert await books.rows() == dict.fromkeys(ARCHIVED, 2) | {
        "cycle_logs": 1, "inbox": 1, "dead_letters": 1
    }  # fmt: skip
    moved = [await books.move(kind) for kind in Kind]
    assert moved == [
        {"sagas": 2, "orders": 2, "venue_order_ids": 2, "reservations": 2},
        {"fills": 2, "trades": 2},
        {"decisions": 2},
        {"cycles": 1, "cycle_logs": 1},
        {"inbox": 1},
        {"dead_letters": 1},
        {"relay_marks": 0},
        {"kept_answers": 0},
    ]
    assert await books.rows() == {"cycles": 1}  # the one that runs
    assert await books.in_two_places() == []
    assert await books.answers() == before
    again = [await books.move(kind) for kind in Kind]
    assert not any(count for counts in again for count in counts.values())


async def test_a_batch_is_bounded_and_the_next_goes_on(books: Archived) -> None:
    before = await books.answers()
    assert (await books.move(Kind.TRADES, rows_max=1))["orders"] == 1
    assert (await books.rows())["sagas"] == (await books.rows())["orders"] == 1
    assert (await books.move(Kind.FILLS))["trades"] == 1  # the other's saga still stands
    assert await books.move(Kind.DECISIONS) == {"decisions": 1}
    assert await books.answers() == before


async def test_what_is_young_or_under_way_stays(books: Archived) -> None:
    everything = await books.rows()
    for kind in Kind:
        await books.move(kind, before=NOW)
    assert await books.rows() == everything
    await books.parts.admin.execute("update sagas set status = 'manual_required'")
    await books.parts.admin.execute("update cycles set status = 'started', completed_at = null")
    await books.move_all()
    kept = ("sagas", "orders", "venue_order_ids", "reservations", "fills", "trades", "decisions")
    assert await books.rows() == dict.fromkeys(kept, 2) | {"cycles": 2, "cycle_logs": 1}


async def test_another_agents_rows_stay(books: Archived) -> None:
    await books.parts.admin.execute("update sagas set agent_id = gen_random_uuid()")
    assert (await books.move(Kind.TRADES))["sagas"] == 0


async def test_what_the_archive_holds_is_never_taken_again(books: Archived) -> None:
    await books.move_all()
    known = values.trade("a")
    fresh_id = SagaId(derived("another"))
    fill = replace(values.fill(values.working(known)), id=FillId(derived("again")))
    again: list[Row] = [
        Insert(INBOX),
        Insert(replace(known.saga, id=fresh_id)),
        Insert(replace(known.order, id=OrderId(derived("again")))),
        Insert(fill),
    ]
    honest = [change(Insert(replace(INBOX, event_id=f"new-{n}"))) for n in range(4)]
    outcomes = await asyncio.gather(
        *(books.parts.journal.commit(one) for one in (*(change(row) for row in again), *honest)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes[:4]] == [Conflict] * 4
    assert all(isinstance(outcome, int) for outcome in outcomes[4:])
    assert await books.broken() == set()


async def test_a_late_fill_and_a_bust_are_booked_on_the_archived_order(books: Archived) -> None:
    await books.move_all()
    ended = values.filled(values.working(values.trade("a")))
    fill = values.fill(ended)
    more = replace(ended.order, quantity=Decimal(12))
    await books.parts.admin.execute("update archived_orders set quantity = 12")
    await books.parts.admin.execute("update archived_decisions set quantity = 12")
    for number, part in ((1, Decimal(2)), (2, Decimal(-10))):
        booked = replace(
            fill,
            id=FillId(derived("late", number)),
            venue_fill_id=f"late:{number}",
            quantity=part,
            fee=Decimal(0),
        )
        more = replace(
            more,
            filled_quantity=more.filled_quantity + part,
            filled_value=more.filled_value + part * fill.price,
            version=more.version + 1,
        )
        held = replace(
            ended.reservation,
            consumed=more.filled_value + more.fees,
            version=ended.reservation.version + number,
        )
        await books.parts.journal.commit(
            change(Update(more), Update(held), *_booked(ended.order.decision_id, booked))
        )
    assert await books.broken() == set()
    assert set(await books.rows()) == {"cycles", "fills", "trades"}
    stored = await books.parts.records.trade(AGENT, ended.saga.id)
    assert stored is not None
    assert (stored.state.order.filled_quantity, len(stored.fills)) == (Decimal(2), 3)
    assert await books.move(Kind.FILLS) == {"fills": 2, "trades": 2}
    assert await books.broken() == set()


def _booked(decision_id: DecisionId, fill: Fill) -> tuple[Row, ...]:
    trade = values.trade_record(values.trade("a"), fill)
    value = fill.quantity * fill.price
    delta = PositionDelta(
        symbol=fill.symbol, quantity=fill.quantity, bought_quantity=fill.quantity,
        bought_value=value, sold_quantity=Decimal(0), sold_value=Decimal(0), fees=fill.fee, at=NOW,
    )  # fmt: skip
    return (
        Insert(fill),
        Insert(replace(trade, id=TradeId(derived(fill.id, "t")), decision_id=decision_id)),
        Add(delta),
    )


@pytest.mark.parametrize("rows_max", [1, 100], ids=["half", "all"])
async def test_every_planted_violation_is_found_among_archived_rows(
    books: Archived, rows_max: int
) -> None:
    await books.move_all(rows_max)
    admin, missed = books.parts.admin, []
    for planted, names in PLANTED:
        sql = planted
        for table, key in (
            ("sagas", "agent_id_decision_id_type"),
            ("orders", "agent_id_client_order_id"),
            ("fills", "agent_id_venue_fill_id"),
        ):
            drop = f"alter table {table} drop constraint {table}_{key}_key;"
            sql = sql.replace(drop, f"{drop} alter table archived_{drop.split(maxsplit=2)[2]}")
            sql = sql.replace(f"archived_{table} drop constraint ", f"archived_{table} drop constraint archived_")  # fmt: skip # noqa: E501
        transaction = admin.transaction()
        await transaction.start()
        await admin.execute(sql)
        found = {one.name for one in await check_invariants(admin, AGENT, GIVEN) if one.violations}
        await transaction.rollback()
        if not names <= found:
            missed.append((planted, names - found))
    assert missed == []


@pytest.mark.parametrize(
    ("kind", "mistake", "seen"),
    [
        # a copy that stays behind, and a row that goes nowhere
        (Kind.TRADES, ("delete from only orders t", "select t.* from only orders t"), "I1_"),
        (Kind.TRADES, ("insert into archived_orders select * from old_orders returning 1",
                       "select 1 from old_orders"), "I6_whole_trades"),
        (Kind.FILLS, ("insert into archived_fills select * from old_fills returning 1",
                      "select 1 from old_fills"), "I4_positions"),
        (Kind.CYCLES, ("insert into archived_cycles select * from old_cycles returning 1",
                       "select 1 from old_cycles"), "I19_counters"),
    ],
)  # fmt: skip
async def test_a_wrong_move_would_be_seen(
    books: Archived,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    mistake: tuple[str, str],
    seen: str,
) -> None:
    sql = archive_module._SQL[kind]
    wrong = sql.replace(*mistake)
    if "select t.*" in mistake[1]:
        wrong = wrong.replace("from only orders t using due where", "from only orders t, due where")
        wrong = wrong.replace("due.id returning t.*),\nold_ids", "due.id),\nold_ids")
    assert wrong != sql
    monkeypatch.setattr(archive_module, "_SQL", {**archive_module._SQL, kind: wrong})
    await books.move_all()
    assert any(name.startswith(seen) for name in await books.broken())


async def test_old_keys_of_commands_are_deleted(books: Archived) -> None:
    at = datetime.fromisoformat("2026-11-18T12:00Z")
    for number in range(4):
        await books.parts.admin.execute(
            "insert into kept_answers values (gen_random_uuid(), $1, 't', 'POST /x', 'f', $2,"
            " 200, 'text/plain', 'x', false, 2)",
            AGENT, at + timedelta(days=number),
        )  # fmt: skip
    assert await books.move(Kind.REPEATS, before=at + timedelta(days=2)) == {"kept_answers": 2}
    assert await books.parts.admin.fetchval("select count(*) from kept_answers") == 2


async def test_marks_are_thinned_to_the_last_of_each_day(books: Archived) -> None:
    at = datetime.fromisoformat("2026-11-18T12:00Z")
    rows = [(AGENT, n, n, at + timedelta(hours=6 * n)) for n in range(1, 9)]
    await books.parts.admin.executemany("insert into relay_marks values ($1, $2, $3, $4)", rows)
    published = "select seq, published_at from outbox where published_at is not null order by seq"
    before = await books.parts.admin.fetch(published)
    assert await books.move(Kind.RELAY_MARKS, before=at + timedelta(days=2)) == {"relay_marks": 5}
    left = await books.parts.admin.fetch("select seq from relay_marks order by seq")
    assert [row["seq"] for row in left] == [1, 5, 8]
    assert await books.parts.outbox.pending(AGENT, limit=9) == []
    after = await books.parts.admin.fetch(published)
    assert [row["seq"] for row in after] == [row["seq"] for row in before]
    assert all(a["published_at"] >= b["published_at"] for a, b in zip(after, before, strict=True))
    assert await books.broken() == set()


async def test_every_archive_has_the_columns_and_keys_of_its_table(books: Archived) -> None:
    columns = """
        select array_agg(attname || ' ' || format_type(atttypid, atttypmod) order by attnum)
        from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped"""
    keys = """
        select array_agg(k order by k) from (
          select (select string_agg(attname, ',' order by attnum) from pg_attribute
            where attrelid = indrelid and attnum = any (indkey)) as k
          from pg_index where indrelid = $1::regclass and indisunique) x"""
    for table in ARCHIVED:
        for query in (columns, keys):
            working = await books.parts.admin.fetchval(query, table)
            assert await books.parts.admin.fetchval(query, f"archived_{table}") == working


async def test_sizes_tell_both_sides(books: Archived) -> None:
    sizes = {size.name: size for size in await books.archive.sizes()}
    assert sizes.keys() == {*ARCHIVED, "relay_marks", "journal_log"}
    assert all(size.bytes > 0 for size in sizes.values())
    assert sizes["journal_log"].archived_bytes == 0 < sizes["orders"].archived_bytes


async def test_a_log_entry_is_untouched_by_all_of_it(books: Archived) -> None:
    await books.parts.journal.commit(change(entries=(entry("x", "last"),)))
    log = "select * from journal_log order by seq"
    before = await books.parts.admin.fetch(log)
    await books.move_all()
    assert await books.parts.admin.fetch(log) == before
