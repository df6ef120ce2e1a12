"""One message in hand, answered over whatever connection stands when its effect is durable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tradesaga.domain.events import Incoming

ACKNOWLEDGE = b"+ACK"
DISCARD = b"+TERM"

Answer = Callable[[str, bytes], Awaitable[None]]
"""Sends an answer to a reply subject; never raises: a lost answer is a repeated delivery."""


class NatsDelivery:
    """Implements `ports.bus.Delivery`; `retry_after` is how long the bus holds it back."""

    def __init__(
        self,
        *,
        incoming: Incoming | None,
        problem: str,
        subject: str,
        body: bytes,
        reply: str,
        answer: Answer,
        retry_after: timedelta,
    ) -> None:
        self.incoming = incoming
        self.problem = problem
        self.subject = subject
        self.body = body
        self._reply = reply
        self._send = answer
        self._retry_after = retry_after
        self._answered = False

    async def acknowledge(self) -> None:
        """Its effect is durable."""
        await self._answer(ACKNOWLEDGE)

    async def retry_later(self) -> None:
        """Have it again after `retry_after`."""
        nanoseconds = self._retry_after // timedelta(microseconds=1) * 1000
        await self._answer(b'-NAK {"delay": %d}' % nanoseconds)

    async def discard(self) -> None:
        """Never have it again."""
        await self._answer(DISCARD)

    async def _answer(self, body: bytes) -> None:
        assert not self._answered, f"{self.subject} is answered twice"
        self._answered = True
        await self._send(self._reply, body)
