"""Tokens as stored, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain.access import AccessScope, ApiToken, digest_of
from tradesaga.domain.errors import Conflict
from tradesaga.ports.journal import Insert, Update

FIRST = ApiToken(
    id=UUID(int=41),
    agent_id=AGENT,
    name="ci",
    digest=digest_of("one"),
    scopes=(AccessScope.READ, AccessScope.RISK_ADMIN),
    created_at=NOW,
    created_by='api:"ann"',
    expires_at=NOW + 900 * SECOND,
)
SECOND_ONE = replace(
    FIRST, id=UUID(int=42), digest=digest_of("two"), created_at=NOW + SECOND, version=1
)


async def test_tokens_are_read_as_they_were_written(backend: Backend) -> None:
    assert await backend.access.api_tokens(AGENT) == []
    await backend.journal.commit(change(Insert(SECOND_ONE), Insert(FIRST)))
    assert await backend.access.api_tokens(AGENT) == [FIRST, SECOND_ONE]
    ended = replace(
        FIRST,
        digest=digest_of("three"),
        revoked_at=NOW + SECOND,
        last_used_at=NOW,
        expires_at=NOW + SECOND,
        version=2,
    )
    await backend.journal.commit(change(Update(ended)))
    assert await backend.access.api_tokens(AGENT) == [ended, SECOND_ONE]
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(ended)))
