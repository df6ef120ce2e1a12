"""A neighbour's clock, to compare the host's with: the Date of its answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tradesaga.adapters.http.client import ServiceClient
from tradesaga.adapters.http.transport import Transport
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.clock import Offset

STALE = timedelta(seconds=1)
"""Servers make the text once a second, and it has no fractions: it is up to twice as old."""


class HttpClock:
    """Implements `ports.clock.OtherClock` for the service at `url`."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        time_max: timedelta,
        host_now: Callable[[], datetime],
        transport: Transport | None = None,
    ) -> None:
        self._host_now = host_now
        self._client = ServiceClient(name=name, url=url, time_max=time_max, transport=transport)

    async def offset(self) -> Offset:
        """Ask for its health, whatever it says of it.

        Raises:
            Unavailable, DeadlineExceeded: no answer, or one without a date.
        """
        before = self._host_now()
        text = await self._client.date()
        doubt = (self._host_now() - before) / 2
        try:
            told = parsedate_to_datetime(text).astimezone(UTC) + STALE
        except ValueError as error:
            raise Unavailable(f"{self._client.name} tells no time: {text!r}") from error
        return Offset(ahead=before + doubt - told, doubt=abs(doubt) + STALE)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
