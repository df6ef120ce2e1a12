"""Serves all that is outside the lives over one Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from crash.outside import Message, Outside
from crash.wire import DONE, frame, read
from tradesaga.domain.errors import TradesagaError
from tradesaga.ports.services import AmbiguousMatch

GONE = (ConnectionError, asyncio.IncompleteReadError)
"""The life at the other end was killed."""


class Server:
    """The places by name; one for each schedule."""

    def __init__(self) -> None:
        self.places: dict[str, Outside] = {}

    async def start(self, path: Path) -> asyncio.Server:
        """Listen at `path`."""
        return await asyncio.start_unix_server(self._serve, path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            name, operation, arguments = await read(reader)
            outside = self.places[name]
            match operation:
                case "subscribe":
                    await self._push(outside, reader, writer)
                case "until_quiet":
                    writer.write(frame(DONE))
                    await outside.quiet.wait()
                    writer.write(frame(True))
                case "submit" if outside.scenario.reply_after:
                    answer = _do(outside, operation, arguments)
                    writer.write(frame(DONE))
                    await asyncio.sleep(
                        outside.scenario.reply_after
                    )  # the event overtakes the reply
                    writer.write(frame(answer))
                case _:
                    answer = _do(outside, operation, arguments)
                    writer.write(frame(DONE) + frame(answer))
            await writer.drain()
        except GONE:
            pass
        finally:
            writer.close()

    async def _push(
        self, outside: Outside, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        def push(message: Message) -> None:
            writer.write(frame((message.number, message.incoming)))

        end = outside.listen(push)
        try:
            await reader.read()  # until the life is gone
        finally:
            end()


def _do(outside: Outside, operation: str, arguments: tuple[object, ...]) -> object:
    try:
        return getattr(outside, operation)(*arguments)
    except (TradesagaError, AmbiguousMatch) as error:
        return error
