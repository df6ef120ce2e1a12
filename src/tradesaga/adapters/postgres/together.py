"""What many agents ask the database at a time, or tell it, by one statement.

A node that takes hundreds of agents over reads the same things for each of them. While a question
is under way, whoever has the same one about another agent waits; then all who wait are asked for by
one statement: the same query, run for each of them on the server. Who is alone asks as ever. What
is answered was read after it was asked for: nobody is given an answer of before. After a statement
that fails or takes too long each asks alone, and waits for nobody: one agent's trouble is no
other's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from structlog import get_logger

from tradesaga.adapters.postgres.decoding import Row
from tradesaga.domain.errors import Unavailable

log = get_logger()
AT_ONCE_MAX: Final = 128
"""Agents in one statement."""
Fetch = Callable[..., Awaitable[Sequence[Row]]]
_PARAMETER: Final = re.compile(r"\$(\d+)")
_TYPES: Final = ((UUID, "uuid"), (datetime, "timestamptz"), (int, "bigint"), (str, "text"))


@dataclass(slots=True, eq=False)
class _Asked:
    """One who waits, with its rows once there are; `alone` after a failure of all together."""

    arguments: tuple[object, ...]
    answer: Sequence[Row] | None = None
    alone: bool = False


@dataclass(slots=True, kw_only=True)
class _Question:
    """`many` is `one` about all who wait, its parameters in arrays, its rows with their places.

    What is told has no rows and one form alone: `one` takes arrays, too.
    """

    one: str
    many: str
    is_told: bool
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Asked] = field(default_factory=list)


class Together:
    """Asks by `fetch`, a pool's; what that raises is raised here."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._questions: dict[tuple[str, tuple[str, ...]], _Question] = {}

    async def ask(self, sql: str, *arguments: object) -> Sequence[Row]:
        """The rows of one query, in its order; to be read by position, they may be tuples."""
        return await self._asked(self._question(sql, arguments, is_told=False), arguments)

    async def tell(self, sql: str, *arguments: object) -> None:
        """Have something written by a statement whose parameters are arrays."""
        await self._asked(self._question(sql, arguments, is_told=True), arguments)

    async def _asked(self, question: _Question, arguments: tuple[object, ...]) -> Sequence[Row]:
        asked = _Asked(arguments)
        question.waiting.append(asked)
        try:
            async with question.turn:
                if asked.answer is None and not asked.alone:
                    await self._answer(question, asked)
        finally:
            if asked in question.waiting:
                question.waiting.remove(asked)
        return await self._alone(question, asked) if asked.answer is None else asked.answer

    async def _answer(self, question: _Question, asked: _Asked) -> None:
        """Answer `asked`, and by the same statement all who wait."""
        await asyncio.sleep(0)  # noqa: TID251 -- whoever was woken with us asks first
        others = [one for one in question.waiting if one is not asked and not one.alone]
        if not others:
            asked.answer = await self._alone(question, asked)
            return
        taken = [asked, *others[: AT_ONCE_MAX - 1]]
        arrays = map(list, zip(*(one.arguments for one in taken), strict=True))
        try:
            rows = await self._fetch(question.many, *arrays)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.info("asked by each alone", agents=len(taken), error=repr(error))
            for one in taken:  # it may be about one of them: each learns what concerns it
                one.alone = True
        else:
            found: list[list[Row]] = [[] for _ in taken]
            for row in sorted(rows, key=_place_and_turn):
                found[row[0] - 1].append(row[2:])
            for one, its in zip(taken, found, strict=True):
                one.answer = its
        done = set(map(id, taken))
        question.waiting = [one for one in question.waiting if id(one) not in done]

    async def _alone(self, question: _Question, asked: _Asked) -> Sequence[Row]:
        arguments = asked.arguments
        if question.is_told:
            arguments = tuple([argument] for argument in arguments)
        return await self._fetch(question.one, *arguments)

    def _question(self, sql: str, arguments: Sequence[object], *, is_told: bool) -> _Question:
        types = tuple(map(_type_of, arguments))
        found = self._questions.get((sql, types))
        if found is None:
            many = sql if is_told else _for_each(sql, types)
            found = _Question(one=sql, many=many, is_told=is_told)
            self._questions[sql, types] = found
        return found


def _place_and_turn(row: Row) -> tuple[int, int]:
    return row[0], row[1]


def _type_of(argument: Any) -> str:
    """The server's type of a parameter; those of our queries that may be left out are text."""
    if argument is None:
        return "text"
    return next(name for cls, name in _TYPES if isinstance(argument, cls))


def _for_each(sql: str, types: Sequence[str]) -> str:
    """The query, run for each place of its parameters, which are arrays now.

    Each row begins with its place and its turn among the rows of that place.
    """
    names = [f"a{number}" for number in range(1, len(types) + 1)]
    arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1))
    inner = _PARAMETER.sub(r"asked_for.a\1", sql.rstrip().removesuffix(";"))
    return (
        f"select asked_for.place, answered.* from unnest({arrays}) "  # noqa: S608 -- our own text
        f"with ordinality as asked_for({', '.join(names)}, place) "
        f"cross join lateral (select row_number() over () as turn, * from ({inner}) q) answered"
    )
