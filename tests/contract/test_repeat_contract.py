"""Keys of commands as stored, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.adapters.postgres.values import AGENT, NOW, change
from tests.contract.conftest import Backend
from tradesaga.domain.errors import Conflict
from tradesaga.domain.repeats import taken
from tradesaga.ports.journal import Insert, Update

ROW = taken(
    AGENT,
    token_id="t",
    key="k",
    method="POST",
    path="/agent/stop",
    body=b'{"a":"x"}',
    now=NOW,
)


async def test_a_key_is_read_as_it_was_written_and_taken_once(backend: Backend) -> None:
    assert await backend.access.kept_answer(AGENT, ROW.id) is None
    await backend.journal.commit(change(Insert(ROW)))
    assert await backend.access.kept_answer(AGENT, ROW.id) == ROW
    assert await backend.access.kept_answer(AGENT, UUID(int=1)) is None
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(ROW)))
    answered = replace(ROW, status=200, media_type="text/plain", body='"ü"\n', version=2)
    await backend.journal.commit(change(Update(answered)))
    assert await backend.access.kept_answer(AGENT, ROW.id) == answered
