"""HTTP connections that cannot be held for nothing: bounded head, bounded patience, bounded number.

uvicorn bounds none of these: headers without end grow its memory, and a client that sends a byte a
minute keeps its connection for ever. Such a connection is cut without an answer. What one address
may hold is less than what all may, so that nobody locks the others out alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar, Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX: Final = 32 * 1024
HEAD_SECONDS_MAX: Final = 10.0
"""From the connection, or the first byte of a further request, to the end of its headers."""
CONNECTIONS_MAX: Final = 1024
OF_ONE_ADDRESS_MAX: Final = 256


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with these bounds; the counts are of the process's one server."""

    _held: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._patience: asyncio.TimerHandle | None = None
        self._address = ""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._address = self.client[0] if self.client else "unknown"
        self._held[self._address] += 1
        if self._held.total() > CONNECTIONS_MAX or self._held[self._address] > OF_ONE_ADDRESS_MAX:
            transport.abort()
            return
        self._be_patient()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._be_at_ease()
        self._held[self._address] -= 1
        if self._held[self._address] <= 0:
            del self._held[self._address]
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()

    @override
    def on_message_begin(self) -> None:
        self._in_head = True
        if self._patience is None:
            self._head_bytes = 0
            self._be_patient()
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._be_at_ease()
        super().on_headers_complete()

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS_MAX, self.transport.abort)

    def _be_at_ease(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
