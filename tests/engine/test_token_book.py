"""Tokens from creation to their end: who is let in, when no more, and what the log says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tests.engine.place import Place
from tradesaga.adapters.system import SystemIds, new_api_secret
from tradesaga.domain.access import TOKEN, AccessScope, Caller, digest_of
from tradesaga.domain.errors import Conflict, Invalid, NotFound, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.engine.token_book import LOOK_EVERY, USE_NOTED_EVERY, TokenBook
from tradesaga.testing.records import MemoryAccessRecords

DAY = timedelta(days=1)
READ, TRADE = AccessScope.READ, AccessScope.TRADE
FILE = "tsk_" + "f" * 43
LOCAL = Caller(name="local", token_id="file", scopes=frozenset(AccessScope))


@asynccontextmanager
async def book_of(
    place: Place, *, fixed: Mapping[str, Caller] | None = None
) -> AsyncIterator[TokenBook]:
    async with place.node() as parts:
        book = TokenBook(
            scribe=parts.control.scribe,
            records=MemoryAccessRecords(place.store),
            clock=place.clock,
            ids=SystemIds(),
            mint=new_api_secret,
            fixed=lambda: fixed or {},
            agent_id=DEFAULT_AGENT,
        )
        await book.run_once()
        yield book


def entries(place: Place) -> list[tuple[str, str]]:
    lines = place.store.log_of(DEFAULT_AGENT)
    return [(e.kind, e.actor) for e in (line.entry for line in lines) if "token" in e.kind]


async def test_a_token_opens_what_it_was_made_for_and_its_secret_is_kept_nowhere() -> None:
    place = Place()
    async with book_of(place) as book:
        minted = await book.create("ci", [TRADE], life=DAY, actor="ann")
        caller = book.caller(minted.secret)
    assert TOKEN.fullmatch(minted.secret)
    assert caller is not None
    assert (caller.name, caller.token_id) == ("ci", str(minted.token.id))
    assert caller.scopes == {READ, TRADE}
    assert minted.secret not in repr(minted)
    kept = repr(place.store)
    assert minted.secret not in kept
    assert minted.token.digest in kept
    async with book_of(place) as book:  # after a restart
        assert book.caller(minted.secret) == caller
    assert entries(place)[0] == ("token.created", "ann")


async def test_a_revoked_token_opens_nothing_here_at_once_and_elsewhere_at_the_next_look() -> None:
    place = Place()
    async with book_of(place) as book:
        minted = await book.create("ci", [READ], life=DAY, actor="ann")
        other = TokenBook(
            scribe=book._scribe, records=book._records, clock=place.clock, ids=SystemIds(),
            mint=new_api_secret, fixed=dict, agent_id=DEFAULT_AGENT,
        )  # fmt: skip
        await other.run_once()
        assert other.caller(minted.secret) is not None
        assert (await book.revoke("ci", actor="bob")).revoked_at == place.clock.now()
        assert book.caller(minted.secret) is None
        await other.run_once()
        assert other.caller(minted.secret) is None
        await book.revoke(str(minted.token.id), actor="bob")  # again: nothing changes
    assert timedelta(seconds=0.5) >= LOOK_EVERY
    assert [kind for kind, _ in entries(place)].count("token.revoked") == 1


async def test_a_rotated_token_has_another_secret_and_the_same_name() -> None:
    place = Place()
    async with book_of(place) as book:
        first = await book.create("ci", [READ], life=DAY, actor="ann")
        second = await book.rotate("ci", life=2 * DAY, actor="ann")
        assert (book.caller(first.secret), book.caller(second.secret) is None) == (None, False)
        assert second.token.id == first.token.id
        assert second.token.expires_at == place.clock.now() + 2 * DAY
    async with book_of(place) as book:
        assert book.caller(first.secret) is None
        assert book.caller(second.secret) is not None


async def test_a_token_ends_at_its_moment() -> None:
    place = Place()
    async with book_of(place) as book:
        minted = await book.create("ci", [READ], life=DAY, actor="ann")
        end = minted.token.expires_at
        place.clock._now = end - timedelta(microseconds=1)
        assert book.caller(minted.secret) is not None
        place.clock._now = end
        assert book.caller(minted.secret) is None
        with pytest.raises(NotFound, match="has ended"):
            await book.rotate("ci", life=DAY, actor="ann")
        await book.create("ci", [READ], life=DAY, actor="ann")  # the name is free again


async def test_use_is_noted_at_most_once_an_hour() -> None:
    place = Place()
    async with book_of(place) as book:
        minted = await book.create("ci", [READ], life=DAY, actor="ann")
        for _ in range(5):
            book.caller(minted.secret)
            await book.run_once()
        first = place.clock.now()
        place.clock._now += USE_NOTED_EVERY
        await book.run_once()
        assert [token.last_used_at for token in await book.tokens()] == [first]
        book.caller(minted.secret)
        await book.run_once()
        assert [token.last_used_at for token in await book.tokens()] == [place.clock.now()]
    assert [kind for kind, _ in entries(place)].count("token.used") == 2


async def test_the_file_of_this_machine_needs_no_database() -> None:
    place = Place()
    fixed = {digest_of(FILE): LOCAL}
    async with book_of(place, fixed=fixed) as book:

        async def away(*_: object) -> None:
            raise Unavailable("gone")

        minted = await book.create("ci", [READ], life=DAY, actor="ann")
        book._records.api_tokens = away  # type: ignore[method-assign, assignment]  # the database goes away
        await book.look()
        assert book.caller(FILE) is LOCAL
        assert book.caller(minted.secret) is not None, "the last look stands"
        fixed.clear()
        await book.look()
        assert book.caller(FILE) is None, "revoked by removing the file"


@pytest.mark.parametrize(
    ("name", "scopes", "life"),
    [("", [READ], DAY), ("a b", [READ], DAY), ("x" * 65, [READ], DAY), ("ci", [], DAY),
     ("ci", [READ], timedelta()), ("ci", [READ], timedelta(days=367)), ("#", [READ], DAY)],
)  # fmt: skip
async def test_what_no_token_may_be_is_refused(
    name: str, scopes: list[AccessScope], life: timedelta
) -> None:
    place = Place()
    async with book_of(place) as book:
        with pytest.raises(Invalid):
            await book.create(name, scopes, life=life, actor="ann")
    assert entries(place) == []


async def test_two_tokens_of_one_name_do_not_live_together() -> None:
    async with book_of(Place()) as book:
        await book.create("ci", [READ], life=DAY, actor="ann")
        with pytest.raises(Conflict, match="rotate or revoke"):
            await book.create("ci", [TRADE], life=DAY, actor="ann")


@pytest.mark.parametrize("secret", ["", "x", "tsk_", "tsk_" + "ü" * 43, "tsk_" + "a" * 44])
async def test_what_is_no_token_opens_nothing(secret: str) -> None:
    async with book_of(Place()) as book:
        assert book.caller(secret) is None
