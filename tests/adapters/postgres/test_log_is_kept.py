"""The log takes rows and gives none back, whoever asks; test_roles.py has who may read it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.adapters.postgres.running import Running, running


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
