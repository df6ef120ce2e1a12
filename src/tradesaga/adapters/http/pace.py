"""Requests to one service at its pace: who finds no token waits, for a bounded time.

What reduces risk may use the reserve, and waits `URGENT_SECONDS_MIN` at least: it is asked for
again at once when it has found nothing. A refusal here is certain: the request was not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from tradesaga.domain.errors import Throttled
from tradesaga.domain.token_bucket import Rate, TokenBucket

URGENT_SECONDS_MIN = 0.25
WAITED, REFUSED, TOLD = "waited", "refused", "told"

Noted = Callable[[str, str], None]
"""Called with the service and what came of a request: one of the three words above."""


def _unnoted(_service: str, _outcome: str) -> None:
    pass


class Pace:
    """One service's bucket, for all of its clients; without a rate nothing ever waits."""

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        *,
        wait_max: timedelta,
        monotonic: Callable[[], float],
        noted: Noted = _unnoted,
    ) -> None:
        self._name = name
        self._bucket = None if rate is None else TokenBucket(rate, monotonic())
        self._seconds_max = wait_max.total_seconds()
        self._monotonic = monotonic
        self._noted = noted

    async def token(self, *, urgent: bool) -> None:
        """Return when the request may be sent.

        Raises:
            Throttled: there is no token in time.
        """
        if self._bucket is None:
            return
        began, has_waited = self._monotonic(), False
        until = began + max(self._seconds_max, URGENT_SECONDS_MIN if urgent else 0.0)
        while (wait := self._bucket.take(now := self._monotonic(), urgent=urgent)) > 0.0:
            if now >= until or (not urgent and now + wait > until):
                self._noted(self._name, REFUSED)
                raise Throttled(f"{self._name} is not asked: its rate limit leaves no token")
            has_waited = True
            await asyncio.sleep(min(wait, until - now))  # noqa: TID251 -- the neighbour's real time
        if has_waited:
            self._noted(self._name, WAITED)

    def told(self) -> None:
        """The service has answered that it was too much."""
        self._noted(self._name, TOLD)
        if self._bucket is not None:
            self._bucket.drain(self._monotonic())


UNPACED = Pace("", None, wait_max=timedelta(), monotonic=lambda: 0.0)
"""For a service without a limit; keeps no state."""
