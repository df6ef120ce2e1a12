"""How late the event loop comes to what is due: everything that trades waits at least so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

PERIOD_SECONDS: Final = 0.25


async def watch_loop(tell: Callable[[float], None]) -> None:
    """Tell for ever how many seconds late a timer was."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PERIOD_SECONDS
        await asyncio.sleep(PERIOD_SECONDS)  # noqa: TID251 -- real time is what is measured
        tell(max(0.0, loop.time() - due))
