"""The event bus: at least once both ways; we deduplicate what comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from tradesaga.domain.events import Incoming
from tradesaga.ports.records import OutboxRow

ReadMessage = Callable[[str, bytes], Incoming]
"""Reads a message of a subject as a delivery would. Raises Rejected with the reason."""


class Delivery(Protocol):
    """One message in hand: exactly one of the three must be called, after its effect is durable."""

    @property
    def incoming(self) -> Incoming | None:
        """The decoded event; None for a message that cannot be read."""
        ...

    @property
    def subject(self) -> str:
        """Where it came from."""
        ...

    @property
    def body(self) -> bytes:
        """The message as received, and why it cannot be read."""
        ...

    @property
    def problem(self) -> str:
        """Why `incoming` is None; empty otherwise."""
        ...

    async def acknowledge(self) -> None:
        """Its effect is durable. Never raises: if that is lost, the message comes again."""
        ...

    async def retry_later(self) -> None:
        """It could not be handled now; the bus delivers it again."""
        ...

    async def discard(self) -> None:
        """It will never be handled (a dead letter); the bus must not deliver it again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The bus's acknowledgement."""

    stream_sequence: int
    duplicate: bool


class Bus(Protocol):
    """Publish with acknowledgement, consume durably; reconnects for ever by itself."""

    async def run(self) -> None:
        """Hold the connection and take what comes, for ever; for the holder of the lease alone."""
        ...

    async def publish(self, row: OutboxRow) -> Published:
        """Return when the bus has stored the event, under its event id as message id.

        Raises:
            Unavailable: no acknowledgement in time; it may have been stored: publish again.
        """
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """All subscribed events for ever, in order per stream; survives outages of the bus."""
        ...

    def is_connected(self) -> bool:
        """Whether the connection stands at this moment."""
        ...
