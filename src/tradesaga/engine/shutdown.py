"""Finishing what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end however often the caller is cancelled; then the cancellation goes on.

    Only for commits and acknowledgements, which bound their own time. `asyncio.shield` would not
    do: the wait for the shielded work ends with the second cancellation.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # does not cancel the task when it is cancelled itself
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved: the cancellation is the louder of the two
    raise cancelled
