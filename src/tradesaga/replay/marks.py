"""The marks of the kill switch on a machine: noted when they are noticed, and noticed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

from tradesaga.domain.ladder import Scope, ScopeKind
from tradesaga.ports.halt_marks import HaltMarks
from tradesaga.replay.notes import Notes
from tradesaga.replay.tape import MARK, Line
from tradesaga.replay.telling import Telling
from tradesaga.replay.turns import part

Noticed = Callable[[Sequence[Scope]], None]


class CapturedMarks:
    """Implements `ports.halt_marks.HaltMarks`."""

    def __init__(self, marks: HaltMarks, notes: Notes) -> None:
        self._marks = marks
        self._notes = notes

    def watch(self, noticed: Noticed) -> None:
        """As the port."""

        context = copy_context()  # the engine's: what it reads then is noted, too

        def in_turn(scopes: Sequence[Scope]) -> None:
            for scope in scopes:
                self._notes.note(MARK, name=scope.kind, key=scope.subject)
                context.run(noticed, (scope,))

        def noticed_first(scopes: Sequence[Scope]) -> None:
            self._notes.turns.call(partial(in_turn, scopes), first=True)

        self._marks.watch(noticed_first)

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """As the port."""
        marked = self._marks.set(scope, content)
        return await self._notes.call("marks.set", part(), marked, keep=False)

    async def clear(self, scope: Scope) -> None:
        """As the port."""
        await self._notes.call("marks.clear", part(), self._marks.clear(scope))

    async def report(self, content: Mapping[str, Any]) -> None:
        """As the port."""
        await self._notes.call("marks.report", part(), self._marks.report(content))


class RecordedMarks:
    """Implements `ports.halt_marks.HaltMarks`; `marked` is told what stands, to close the gate."""

    def __init__(self, telling: Telling, marked: Callable[[frozenset[Scope]], object]) -> None:
        self._telling = telling
        self._marked = marked
        self._standing: frozenset[Scope] = frozenset()
        self._noticed: Callable[[Sequence[Scope]], None] | None = None

    def watch(self, noticed: Noticed) -> None:
        """Each mark is noticed in its turn; nothing is told now that was not told then."""
        context = copy_context()
        self._noticed = lambda scopes: context.run(noticed, scopes)

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """Nothing: the mark is among those that were noticed."""
        await self._telling.line_of("marks.set", part())
        return True

    async def clear(self, scope: Scope) -> None:
        """As the port."""
        await self._telling.line_of("marks.clear", part())
        self._stand(self._standing - {scope})

    async def report(self, content: Mapping[str, Any]) -> None:
        """Nothing: it was for people."""
        await self._telling.line_of("marks.report", part())

    def come(self, line: Line) -> None:
        """It is its turn."""
        scope = Scope(ScopeKind(line.name), line.key)
        self._stand(self._standing | {scope})
        if self._noticed is not None:
            self._noticed((scope,))

    def _stand(self, scopes: frozenset[Scope]) -> None:
        self._standing = scopes
        self._marked(scopes)
