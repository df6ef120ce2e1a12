"""A key and the effect of its command: in one commit, or neither; also over a crash."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.place import Place
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.repeats import KeptAnswer
from tradesaga.engine.assembly import Parts
from tradesaga.engine.repeat_book import RepeatBook
from tradesaga.testing.records import MemoryAccessRecords

SAID: dict[str, Any] = {
    "token_id": "t", "key": "k", "method": "POST", "path": "/agent/pause", "body": b"{}",
    "must_know": True,
}  # fmt: skip


def book_of(place: Place, parts: Parts) -> RepeatBook:
    return RepeatBook(
        scribe=parts.control.scribe,
        records=MemoryAccessRecords(place.store),
        clock=place.clock,
        agent_id=DEFAULT_AGENT,
    )


def kept(place: Place) -> list[KeptAnswer]:
    return place.store.of(KeptAnswer, DEFAULT_AGENT)


async def pause(parts: Parts) -> None:
    await parts.control.pause(duration=None, actor="ann", reason="x")


async def test_the_key_is_in_the_commit_of_the_effect() -> None:
    place = Place()
    async with place.running() as parts:
        book = book_of(place, parts)
        async with book.attempt(**SAID) as attempt:
            assert (attempt.earlier, kept(place)) == (None, [])
            await pause(parts)
            (row,) = kept(place)
            assert (row.status, row.operation) == (None, "POST /agent/pause")
            await parts.control.resume(actor="ann", reason="x")  # a second commit carries nothing
            await attempt.keep(status=200, media_type="application/json", body="{}", withheld=False)
        assert [(row.status, row.body, row.version) for row in kept(place)] == [(200, "{}", 2)]
        async with book.attempt(**SAID) as attempt:
            assert attempt.earlier == kept(place)[0]
            assert attempt.is_same
        async with book.attempt(**SAID | {"body": b'{"duration":1}'}) as attempt:
            assert not attempt.is_same
        await pause(parts)  # without a key nothing is carried
    assert len(kept(place)) == 1


async def test_a_command_without_a_commit_keeps_its_answer_in_one() -> None:
    place = Place()
    async with place.running() as parts:
        async with book_of(place, parts).attempt(**SAID) as attempt:
            await attempt.keep(status=200, media_type="text/plain", body="x", withheld=False)
        assert [(row.status, row.version) for row in kept(place)] == [(200, 1)]


async def test_a_refusal_without_effect_keeps_nothing() -> None:
    place = Place()
    async with place.running() as parts, book_of(place, parts).attempt(**SAID) as attempt:
        await attempt.keep(status=409, media_type="text/plain", body="x", withheld=False)
    assert kept(place) == []


async def test_a_change_that_is_refused_gives_the_key_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    async with place.running() as parts:
        journal = parts.control.scribe._journal
        commit = journal.commit
        refused: list[Any] = []

        async def refuse_once(change: Any) -> int:
            if not refused:
                refused.append(change)
                raise Conflict("moved on")
            return await commit(change)

        monkeypatch.setattr(journal, "commit", refuse_once)
        async with book_of(place, parts).attempt(**SAID):
            await pause(parts)  # is refused once and tried again
        assert any(isinstance(row.value, KeptAnswer) for row in refused[0].rows)
        assert len(kept(place)) == 1


async def test_the_same_key_is_not_worked_on_twice() -> None:
    place = Place()
    async with place.running() as parts:
        book = book_of(place, parts)
        async with book.attempt(**SAID):
            with pytest.raises(Conflict):
                async with book.attempt(**SAID):
                    pass
            async with book.attempt(**SAID | {"token_id": "another"}):
                pass


async def test_after_a_crash_before_the_answer_the_command_is_known_to_be_taken() -> None:
    place = Place()
    async with place.running() as parts, book_of(place, parts).attempt(**SAID):
        await pause(parts)
    async with place.node() as parts, book_of(place, parts).attempt(**SAID) as attempt:
        assert attempt.earlier is not None
        assert attempt.earlier.status is None
