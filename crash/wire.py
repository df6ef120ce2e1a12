"""The line between a life and what is outside it: pickled frames over a Unix socket.

Both ends are this program, so pickling is no door. A request is (place, operation, arguments); an
answer is an optional "done" (the act has happened, nothing is said yet), then the value or error.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradesaga.domain.errors import NotSent

DONE = "done"
LENGTH_BYTES = 4


async def read(reader: asyncio.StreamReader) -> Any:
    """The next frame. Raises IncompleteReadError at the end of the stream."""
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    return pickle.loads(await reader.readexactly(length))


def frame(value: object) -> bytes:
    """The bytes of one frame."""
    body = pickle.dumps(value)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Wire:
    """The life's end; every call has a connection of its own."""

    def __init__(self, path: Path, place: str) -> None:
        self._path = path
        self.place = place

    async def call(
        self,
        operation: str,
        *arguments: object,
        sent: Callable[[], None] | None = None,
        leave: Callable[[], str] | None = None,
    ) -> Any:
        """The answer; `sent` is called when the other side has acted and not answered yet.

        `leave` is asked when the first byte is about to go, as the product's client does it.
        """
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            if leave is not None and (reason := leave()):
                raise NotSent(reason)
            writer.write(frame((self.place, operation, arguments)))
            await read(reader)
            if sent is not None:
                sent()
            answer = await read(reader)
        finally:
            writer.close()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that gets every message of the bus that is not acknowledged yet."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        writer.write(frame((self.place, "subscribe", ())))
        return reader, writer
