"""Commands that may be sent twice and are taken once; the driving side of `engine.repeat_book`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tradesaga.domain.repeats import KeptAnswer


class Attempt(Protocol):
    """One command under its key; exactly one of `earlier` and a fresh start."""

    @property
    def is_same(self) -> bool:
        """Whether the earlier use was of the same command."""
        ...

    @property
    def earlier(self) -> KeptAnswer | None:
        """The same key as it was used before; None when this is its first use."""
        ...

    async def keep(self, *, status: int, media_type: str, body: str, withheld: bool) -> None:
        """Keep the answer of a fresh command; it tries for a bounded time and raises nothing."""
        ...


class RepeatOperations(Protocol):
    """Knows which commands were taken."""

    def attempt(
        self, *, token_id: str, key: str, method: str, path: str, body: bytes, must_know: bool
    ) -> AbstractAsyncContextManager[Attempt]:
        """Look the key up; within the block the first commit of this task carries it along.

        With `must_know` false a command is tried although nobody can tell whether it was before.

        Raises:
            Conflict: the same key is being worked on at this moment.
            Unavailable: it cannot be told, and must be known.
        """
        ...
