"""Waiting for news or a moment, whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from tradesaga.domain.errors import DeadlineExceeded, TradesagaError
from tradesaga.ports.clock import Clock

T = TypeVar("T")


async def news_or_moment(clock: Clock, news: asyncio.Event, moment: datetime) -> bool:
    """Return when `news` is set (True) or the clock is at `moment` (False)."""
    if news.is_set():
        return True
    if moment <= clock.now():
        return False
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(news.wait())
        passed = group.create_task(clock.sleep_until(moment))
        await asyncio.wait([heard, passed], return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        passed.cancel()
    return news.is_set()


async def within(clock: Clock, until: datetime, work: Coroutine[Any, Any, T]) -> T:
    """Do `work`, cancelled when the clock comes to `until`.

    Raises:
        DeadlineExceeded: it was not done in time.
        TradesagaError: whatever the work raised, as it is and not in a group.
    """
    async with asyncio.TaskGroup() as group:
        working = group.create_task(_caught(work))
        passed = group.create_task(clock.sleep_until(until))
        await asyncio.wait([working, passed], return_when=asyncio.FIRST_COMPLETED)
        passed.cancel()
        if not working.done():
            working.cancel()
    if working.cancelled():
        raise DeadlineExceeded(f"not done by {until.isoformat()}")
    outcome = working.result()
    if isinstance(outcome, TradesagaError):
        raise outcome
    return outcome


async def _caught(work: Coroutine[Any, Any, T]) -> T | TradesagaError:
    """Our errors as values: a task group would wrap them, and end its other tasks."""
    try:
        return await work
    except TradesagaError as error:
        return error
