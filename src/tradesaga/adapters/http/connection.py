"""One HTTP/1.1 connection: one request at a time, and whatever comes unasked ends it.

A library reads what comes (httptools); what is here is whose answer it is. An answer belongs to
the request that waits, and a connection on which anything came that nobody waited for is never
used again: else it would be taken for the answer to the next request.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import httptools
from typing_extensions import override

from tradesaga.adapters.http.transport import Answer, BadAnswer, Request

HEAD_BYTES_MAX: Final = 64 * 1024
_INTERIM: Final = range(100, 200)
_ENDS_WITH_IT: Final = frozenset({"content-length", "transfer-encoding"})
"""An answer without either ends with its connection."""


class Connection(asyncio.Protocol):
    """Made by the event loop; `ask` may be called while `is_free`."""

    def __init__(self) -> None:
        self._wire: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._bytes_max = 0
        self._lasts = True
        self._is_headed = False
        self._taken = 0

    @property
    def is_free(self) -> bool:
        """Whether the next request may take it."""
        alive = self._wire is not None and not self._wire.is_closing()
        return alive and self._lasts and self._waiting is None

    def ask(self, request: Request) -> asyncio.Future[Answer]:
        """Write the request now; its answer, or OSError. Whoever gives up on it closes it."""
        assert self._wire is not None, "the event loop has said that it is connected"
        written = request.encoded()
        self._bytes_max = request.bytes_max
        self._parser = httptools.HttpResponseParser(self)
        self._begin()
        self._waiting = asyncio.get_running_loop().create_future()
        self._wire.write(written)
        return self._waiting

    def close(self) -> None:
        """Let go of it at once, whatever is under way."""
        if self._wire is not None:
            self._wire.abort()

    # ---- the event loop's words ---------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self._lasts = False
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"an answer that cannot be read: {error}"))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is None:
            return
        if exc is None and self._is_headed and _ENDS_WITH_IT.isdisjoint(self._headers):
            self.on_message_complete()
        else:
            said = str(exc or "") or "the connection ended before the answer did"
            self._fail(ConnectionError(said))

    # ---- the parser's words -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins; a second one to one request is nobody's."""
        if self._waiting is None:
            self._lasts = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._room(len(name) + len(value), HEAD_BYTES_MAX)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_headed = True
        self._taken = 0

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._room(len(data), self._bytes_max)
        self._body += data

    def on_message_complete(self) -> None:
        """The answer is whole."""
        waiting, status = self._waiting, self._parser.get_status_code()
        if waiting is None:
            return
        if status in _INTERIM:
            self._begin()
            return
        self._waiting = None
        self._lasts = self._lasts and self._parser.should_keep_alive()
        if not waiting.done():
            waiting.set_result(Answer(status=status, headers=self._headers, body=bytes(self._body)))

    def _begin(self) -> None:
        self._headers, self._body = {}, bytearray()
        self._is_headed, self._taken = False, 0

    def _room(self, number: int, most: int) -> None:
        self._taken += number
        if self._taken > most:
            self._fail(BadAnswer(f"more than {most} bytes"))

    def _fail(self, error: OSError) -> None:
        self._lasts = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
        self.close()
