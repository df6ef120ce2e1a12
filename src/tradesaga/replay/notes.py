"""Writes what is seen on a tape, with the times of the clock."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tradesaga.domain.errors import Refused, Transient
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import AmbiguousMatch
from tradesaga.replay.tape import Line, Tape

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Notes:
    """Writes lines with the clock's times."""

    tape: Tape
    clock: Clock

    def note(
        self, kind: str, *, name: str = "", key: str = "", body: object = None, code: str = ""
    ) -> None:
        """A line about this moment."""
        line = Line(
            at=self.clock.now(),
            kind=kind,
            monotonic=self.clock.monotonic(),
            name=name,
            key=key,
            body=msgspec.Raw(_encode(body)),
            code=code,
        )
        self.tape.write(line)

    async def call(self, name: str, key: str, asked: Awaitable[T]) -> T:
        """Await the answer and note it, or the error. Raises what it raises."""
        line = Line(
            at=self.clock.now(), kind="call", monotonic=self.clock.monotonic(), name=name, key=key
        )
        try:
            answer = await asked
        except (Transient, Refused, AmbiguousMatch) as error:
            code = error.code if isinstance(error, Refused) else ""
            self._end(line, error=type(error).__name__, text=str(error), code=code)
            raise
        self._end(line, body=msgspec.Raw(_encode(answer)))
        return answer

    def _end(self, line: Line, **more: Any) -> None:
        self.tape.write(msgspec.structs.replace(line, until=self.clock.now(), **more))
