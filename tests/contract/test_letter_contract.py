"""Dead letters as stored, the same over memory and Postgres."""

from __future__ import annotations

import pytest

from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain.dead_letters import Letter, LetterState, ended
from tradesaga.domain.errors import Conflict, IllegalTransition
from tradesaga.ports.journal import DeadLetter, Insert

FIRST = DeadLetter(subject="s.1", reason="no JSON", body=b"\x00\xff{", received_at=NOW)
SECOND_ONE = DeadLetter(subject="s.2", reason="ü", body=b"", received_at=NOW + SECOND)


async def stored(backend: Backend) -> tuple[Letter, Letter]:
    await backend.journal.commit(change(Insert(FIRST), Insert(SECOND_ONE)))
    later, first = await backend.records.letters(AGENT, limit=9)
    return first, later


async def test_letters_are_read_as_they_came_the_latest_first(backend: Backend) -> None:
    first, later = await stored(backend)
    assert (first.subject, first.problem, first.body) == ("s.1", "no JSON", b"\x00\xff{")
    assert (later.received_at, later.state) == (NOW + SECOND, LetterState.OPEN)
    assert await backend.records.letter(AGENT, first.id) == first
    assert await backend.records.letter(AGENT, later.id + 1) is None
    assert list(await backend.records.letters(AGENT, limit=1)) == [later]
    assert list(await backend.records.letters(AGENT, limit=9, before=later.id)) == [first]


async def test_a_letter_has_one_end(backend: Backend) -> None:
    first, later = await stored(backend)
    end = ended(first, AGENT, LetterState.DISCARDED, who='ann "ü"', reason="old", now=NOW)
    await backend.journal.commit(change(Insert(end)))
    found = await backend.records.letter(AGENT, first.id)
    assert found is not None
    assert (found.end, found.state) == (end, LetterState.DISCARDED)
    of = backend.records.letters
    assert list(await of(AGENT, limit=9, state=LetterState.OPEN)) == [later]
    assert list(await of(AGENT, limit=9, state=LetterState.DISCARDED)) == [found]
    another = ended(first, AGENT, LetterState.REPLAYED, who="bob", reason="new", now=NOW)
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(another)))
    with pytest.raises(IllegalTransition, match="is discarded since"):
        ended(found, AGENT, LetterState.REPLAYED, who="bob", reason="new", now=NOW)
