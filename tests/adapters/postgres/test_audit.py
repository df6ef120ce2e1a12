"""The audit log as people check it: every kind of tampering is found and named, in the database and
in an exported file; a chain that was written anew to its end is told by an anchor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, change, entry
from tradesaga.adapters.chain import GENESIS, LogRow, hash_of
from tradesaga.adapters.postgres.audit import (
    AuditLine,
    ChainCheck,
    PostgresAuditLog,
    anchor_of,
    check_lines,
    read_anchor,
)
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.errors import Invalid
from tradesaga.domain.events import Event
from tradesaga.ports.journal import Entry
from tradesaga.ports.records import LogMark

ROWS = 6


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        for _ in range(ROWS - 1):
            await parts.journal.commit(change())
        yield parts


async def check(parts: Running, anchors: dict[int, bytes] | None = None) -> ChainCheck:
    pool = ReaderPool(parts.dsn, schema=SCHEMA)
    try:
        return await PostgresAuditLog(pool, AGENT).check(anchors or {})
    finally:
        await pool.close()


async def exported(parts: Running, after: int = 0, until: int | None = None) -> list[bytes]:
    pool = ReaderPool(parts.dsn, schema=SCHEMA)
    try:
        log = PostgresAuditLog(pool, AGENT)
        return [line async for line in log.lines(after=after, until=until)]
    finally:
        await pool.close()


async def test_a_whole_chain_ends_at_its_head(parts: Running) -> None:
    found = await check(parts)
    assert (found.rows, found.faults, found.head.seq) == (ROWS, [], ROWS)
    assert read_anchor(anchor_of(found.head)) == found.head
    again = await check(parts, {found.head.seq: found.head.hash})
    assert again.faults == []


@pytest.mark.parametrize(
    ("tampering", "rows"),
    [
        ("update journal_log set body = '{}' where seq = 3", [3]),
        ("update journal_log set at = at - interval '1 us' where seq = 3", [3]),
        ("update journal_log set epoch = 9 where seq = 3", [3]),
        ("delete from journal_log where seq = 3", [4]),
        ("delete from journal_log where seq = 1", [2]),
        ("delete from journal_log where seq = 6", [6]),
        ("update journal_log set hash = decode(repeat('00', 32), 'hex') where seq = 3", [3, 4]),
    ],
)
async def test_tampering_with_any_row_is_found(
    parts: Running, tampering: str, rows: list[int]
) -> None:
    await parts.admin.execute(tampering)
    assert [fault.seq for fault in (await check(parts)).faults] == rows


OTHERWISE = {
    "uuid": "'00000000-0000-7000-8000-0000000000ff'::uuid",
    "bigint": "77",
    "timestamp with time zone": "'2020-01-01 00:00:00Z'::timestamptz",
    "text": "'something else'",
    "bytea": "decode(repeat('ab', 32), 'hex')",
}
"""Another value of each type that a column of the log has."""


async def test_no_column_of_a_row_can_be_changed_unnoticed(parts: Running) -> None:
    told = Event(type="orchestrator.test", payload={"n": 1}, correlation_id="c", causation_id="d")
    seq = await parts.journal.commit(change(entries=(entry(event=told),)))
    await parts.journal.commit(change())
    columns = await parts.admin.fetch(
        "select attname as name, format_type(atttypid, null) as type from pg_attribute "
        "where attrelid = 'journal_log'::regclass and attnum > 0 and not attisdropped"
    )
    unnoticed = []
    for column in columns:
        name = column["name"]
        saved = await parts.admin.fetchval(f"select {name} from journal_log where seq = $1", seq)
        await parts.admin.execute(
            f"update journal_log set {name} = {OTHERWISE[column['type']]} where seq = {seq}"
        )
        if not (await check(parts)).faults:
            unnoticed.append(name)
        undo = "seq = 77" if name == "seq" else f"seq = {seq}"
        await parts.admin.execute(f"update journal_log set {name} = $1 where {undo}", saved)
        assert (await check(parts)).faults == [], name
    assert unnoticed == []
    assert len(columns) == 14


async def test_a_chain_written_anew_is_told_by_its_anchor(parts: Running) -> None:
    before = (await check(parts)).head
    digest = GENESIS
    rows = await parts.admin.fetch("select * from journal_log order by seq")
    for row in rows:
        kind = "forged" if row["seq"] == 3 else row["kind"]
        content = LogRow(
            row["at"], kind, row["subject"], row["actor"], row["body"], row["event_type"],
            row["event_payload"], row["correlation_id"], row["causation_id"],
        )  # fmt: skip
        digest = hash_of(digest, AGENT, row["seq"], row["epoch"], content)
        statement = "update journal_log set kind = $2, hash = $3 where seq = $1"
        await parts.admin.execute(statement, row["seq"], kind, digest)
    await parts.admin.execute("update heads set hash = $1", digest)
    assert (await check(parts)).faults == []
    [fault] = (await check(parts, {before.seq: before.hash})).faults
    assert (fault.seq, "written anew" in fault.what) == (ROWS, True)
    [fault] = (await check(parts, {ROWS + 1: before.hash})).faults
    assert "taken from its end" in fault.what


async def test_an_exported_log_is_checked_without_the_database(parts: Running) -> None:
    said = Entry(kind="note", subject="é", actor="operator", body={"text": 'a "quote"\n', "n": 1})
    await parts.journal.commit(change(entries=(said,)))
    lines = await exported(parts)
    whole = check_lines(lines, {})
    assert (whole.rows, whole.faults) == (ROWS + 1, [])
    assert whole.head == (await check(parts)).head
    assert check_lines(lines, {whole.head.seq: whole.head.hash}).faults == []
    part = check_lines(await exported(parts, after=2, until=4), {})
    assert (part.begin.seq, part.rows, part.faults, part.head.seq) == (2, 2, [], 4)


def changed(lines: list[bytes], place: int, **columns: object) -> list[bytes]:
    line = msgspec.structs.replace(msgspec.json.decode(lines[place], type=AuditLine), **columns)
    return [*lines[:place], msgspec.json.encode(line), *lines[place + 1 :]]


@pytest.mark.parametrize(
    ("tamper", "rows"),
    [
        (lambda lines: changed(lines, 2, actor="nobody"), [3]),
        (lambda lines: changed(lines, 2, body=msgspec.Raw(b"{}")), [3]),
        (lambda lines: [*lines[:2], *lines[3:]], [4]),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], [3, 2, 4]),
    ],
)
async def test_tampering_with_a_file_is_found(
    parts: Running, tamper: Callable[[list[bytes]], list[bytes]], rows: list[int]
) -> None:
    lines = tamper(await exported(parts))
    assert [fault.seq for fault in check_lines(lines, {}).faults] == rows


@pytest.mark.parametrize("text", ["", "6", "0:" + "00" * 32, "6:xyz", "6:00", "-1:" + "00" * 32])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_anchor(text)


@pytest.mark.parametrize("line", [b"", b"{}", b"no json", b'{"seq": 1}'])
def test_what_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(Invalid, match="line 1"):
        check_lines([line], {})
    with pytest.raises(Invalid, match="no line"):
        check_lines([], {})


def test_an_anchor_is_number_and_hash() -> None:
    mark = LogMark(seq=12, hash=bytes(range(32)))
    assert anchor_of(mark) == "12:" + bytes(range(32)).hex()
