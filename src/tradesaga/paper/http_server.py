"""An HTTP server inside our own event loop: it leaves signals alone and can cut connections."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from litestar.types import ASGIApp
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tradesaga.domain.errors import Unavailable

TRANSPORT = "paper.transport"
GRACE_SECONDS = 1
BACKLOG = 256


class Server(uvicorn.Server):
    """A server that is told to stop; the process's signals are not its business."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: else it would stop by itself and raise the signal again."""
        yield


class _Protocol(HttpToolsProtocol):
    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # extended by one key
        scope[TRANSPORT] = self.transport


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without it each answer waits for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port} ({error.strerror}); stop what uses it "
            "or choose another port"
        ) from error
    return listener


def server(app: ASGIApp) -> Server:
    """A server for one application; `serve(sockets=[...])` runs it until `should_exit` is set."""
    return Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
