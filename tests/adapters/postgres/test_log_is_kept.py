"""The log takes rows and gives none back, whoever asks; an auditor reads it and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.adapters.postgres.running import Running, running

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "use-other-servers.md"


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        await parts.admin.execute("alter table journal_log enable trigger kept")
        yield parts


@pytest.mark.parametrize(
    "statement",
    ["update journal_log set actor = 'x'", "delete from journal_log where seq = 1",
     "truncate journal_log", "truncate journal_log cascade", "delete from audit_log",
     "update journal_log set actor = 'x' where false"],
)  # fmt: skip
async def test_not_even_its_owner_changes_the_log(parts: Running, statement: str) -> None:
    before = await parts.admin.fetch("select * from journal_log")
    with pytest.raises(
        (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)
    ):
        await parts.admin.execute(statement)
    assert await parts.admin.fetch("select * from journal_log") == before
    assert before


async def test_the_auditor_of_the_page_reads_the_log_alone(parts: Running) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"((?:^    .*\n)+)", text.partition("## An auditor\n")[2], re.MULTILINE)[
        :1
    ]
    transaction = parts.admin.transaction()
    await transaction.start()
    try:
        await parts.admin.execute(block)
        await parts.admin.execute("set local role tradesaga_auditor")
        assert await parts.admin.fetchval("select count(*) from orchestration.audit_log") > 0
        for denied in (
            "insert into orchestration.heads default values",
            "select * from orchestration.orders",
            "select * from orchestration.api_tokens",
            "delete from orchestration.journal_log",
            "create table orchestration.mine (x int)",
        ):
            savepoint = parts.admin.transaction()
            await savepoint.start()
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await parts.admin.execute(denied)
            await savepoint.rollback()
    finally:
        await transaction.rollback()
