"""The HTTP server: uvicorn inside our own loop, with our own ending.

Signals are not its business: the owner of the process handles them and sets `stop`. The listening
socket is opened here, so that a port that is taken is told in words before anything is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from litestar import Litestar
from typing_extensions import override

from tradesaga.api.connections import BoundedProtocol
from tradesaga.api.loopback import is_loopback
from tradesaga.domain.errors import Invalid, Unavailable

GRACE_SECONDS: Final = 1
"""How long open requests may go on after `stop`; an event stream would never end by itself."""
BACKLOG: Final = 2048


async def serve(
    app: Litestar,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    allow_remote: bool = False,
) -> None:
    """Serve `app` until `stop` is set; `ready` gets the address once requests are answered.

    Port 0 takes a free one. Returns when open requests have ended, at most about a second and a
    half after `stop`.

    Raises:
        Invalid: `host` is no address of this machine, or reaches beyond it without `allow_remote`.
        Unavailable: the port is taken.
    """
    if not (allow_remote or is_loopback(host)):
        raise Invalid(
            [
                f"--host {host} is open to other machines, and the API speaks plain HTTP, where "
                "tokens can be read: use --host 127.0.0.1, or put a proxy with TLS in front and "
                "say --allow-remote"
            ]
        )
    listener = _listen(host, port)
    try:
        address = _address(listener)
        config = uvicorn.Config(
            app,
            access_log=False,
            backlog=BACKLOG,
            http=BoundedProtocol,
            lifespan="off",  # the composition root owns all lives
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws="none",
        )
        server = _Server(config, started=lambda: ready(address))
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_exit_when(stop, server))
            try:
                await server.serve([listener])
            finally:
                waiting.cancel()
                server.close()
    finally:
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, telling when it has started."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_started = started

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._when_started()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the owner of the process."""
        yield

    def close(self) -> None:
        """Accept nothing more; for an ending that did not come through `should_exit`."""
        for server in getattr(self, "servers", ()):
            server.close()


async def _exit_when(stop: asyncio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, else asyncio leaves Nagle's delay on: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror):
            raise Invalid([f"--host {host} is no address: use 127.0.0.1"]) from error
        raise Unavailable(
            f"the API cannot listen on {host} port {port} ({error.strerror}): "
            "stop what uses it, or choose another with --port"
        ) from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
