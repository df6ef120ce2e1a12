"""The marks of the kill switch on a machine: noted when they are noticed, and noticed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tradesaga.domain.ladder import Scope, ScopeKind
from tradesaga.ports.halt_marks import HaltMarks
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.notes import Notes
from tradesaga.replay.tape import Line

Noticed = Callable[[Sequence[Scope]], None]


class CapturedMarks:
    """Implements `ports.halt_marks.HaltMarks`."""

    def __init__(self, marks: HaltMarks, notes: Notes) -> None:
        self._marks = marks
        self._notes = notes

    def watch(self, noticed: Noticed) -> None:
        """As the port."""

        def noted(scopes: Sequence[Scope]) -> None:
            for scope in scopes:
                self._notes.note("mark", name=scope.kind, key=scope.subject)
            noticed(scopes)

        self._marks.watch(noted)

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """As the port."""
        return await self._marks.set(scope, content)

    async def clear(self, scope: Scope) -> None:
        """As the port."""
        await self._marks.clear(scope)

    async def report(self, content: Mapping[str, Any]) -> None:
        """As the port."""
        await self._marks.report(content)


class RecordedMarks:
    """Implements `ports.halt_marks.HaltMarks`; `marked` is told what stands, to close the gate."""

    def __init__(
        self,
        clock: PlayedClock,
        marked: Callable[[frozenset[Scope]], object],
        lines: Iterable[Line],
    ) -> None:
        self._clock = clock
        self._marked = marked
        self._lines = [line for line in lines if line.kind == "mark"]
        self._standing: frozenset[Scope] = frozenset()

    def watch(self, noticed: Noticed) -> None:
        """Each mark is noticed at its moment; nothing is told now that was not told then."""
        for line in self._lines:
            self._clock.call_at(line.at, self._come, Scope(ScopeKind(line.name), line.key), noticed)

    async def set(self, scope: Scope, content: Mapping[str, Any]) -> bool:
        """Nothing: the mark is among those that were noticed."""
        return True

    async def clear(self, scope: Scope) -> None:
        """As the port."""
        self._stand(self._standing - {scope})

    async def report(self, content: Mapping[str, Any]) -> None:
        """Nothing: it was for people."""

    def _come(self, scope: Scope, noticed: Noticed) -> None:
        self._stand(self._standing | {scope})
        noticed((scope,))

    def _stand(self, scopes: frozenset[Scope]) -> None:
        self._standing = scopes
        self._marked(scopes)
