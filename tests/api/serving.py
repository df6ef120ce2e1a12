"""The application behind a real socket on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from tradesaga.api.server import serve


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[str]:
    """The address at which `app` answers, for the length of the block."""
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(app, "127.0.0.1", 0, ready=address.set_result, stop=stop))
        try:
            yield await address
        finally:
            stop.set()
