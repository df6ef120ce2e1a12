"""A wire between a journal and its server that a test can cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tradesaga.adapters.postgres.encoding import Operation
from tradesaga.adapters.postgres.journal import PostgresJournal

_LOG = 6 + len(Operation)
"""The parameter that holds the rows of the log."""


class Wire:
    """Stands between a journal and its connection: `fault` is called around the next batch."""

    def __init__(self, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.fault: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None
        connected = journal._connected
        wire = self

        class Connection:
            def __init__(self, inner: Any) -> None:
                self._inner = inner

            def __getattr__(self, name: str) -> Any:
                return getattr(self._inner, name)

            async def fetchval(self, query: str, *arguments: Any) -> Any:
                if not query.startswith("select apply"):
                    return await self._inner.fetchval(query, *arguments)
                wire.batches.append(len(msgspec.json.decode(arguments[_LOG])))
                fault, wire.fault = wire.fault, None

                async def send() -> Any:
                    return await self._inner.fetchval(query, *arguments)

                return await (send() if fault is None else fault(send))

        async def wrapped() -> Any:
            return Connection(await connected())

        monkeypatch.setattr(journal, "_connected", wrapped)
