"""Parks a trading engine that executes decisions by itself: its durable consumer is paused.

    paused before                       stays so
    there, and not paused               paused
    missing (it has never started)      made as the engine itself would make it, and paused: what
                                        it asks for at its start leaves it so

It is never released here: what waits for it would be traded all at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from structlog import get_logger

from tradesaga.domain.errors import Unavailable

log = get_logger(__name__)
DECIDED: Final = "ai.decision.generated"
CONSUMER: Final = "trading-engine-ai-decision-generated"
UNTIL: Final = "2099-01-01T00:00:00Z"
MISSING: Final = 10014
"""The server's code for a consumer that does not exist."""
ACK_WAIT_NS: Final = 30_000_000_000

Ask = Callable[[str, bytes], Awaitable[bytes]]
"""Sends a request to the server; its answer. Raises Unavailable."""


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    paused: bool = False
    pause_until: str = ""
    error: _Error | None = None


@dataclass(frozen=True, slots=True)
class ParkedConsumer:
    """Where it is: on the stream of `subject`, on which decisions are published."""

    subject: str
    name: str = CONSUMER

    @property
    def stream(self) -> str:
        """Named as the platform's streams are."""
        domain = self.subject.rpartition(".decision.")[0]
        return domain.replace("-", "_").replace(".", "_").upper()

    @property
    def pausing(self) -> str:
        """Where the server is asked to pause it."""
        return f"$JS.API.CONSUMER.PAUSE.{self.stream}.{self.name}"

    @property
    def making(self) -> str:
        """Where the server is asked to make it."""
        return f"$JS.API.CONSUMER.CREATE.{self.stream}.{self.name}.{self.subject}"


class ConsumerParking:
    """Implements `ports.services.EngineParking`; `subject` is where decisions are published."""

    def __init__(self, ask: Ask, *, subject: str) -> None:
        self._ask = ask
        self._consumer = ParkedConsumer(subject)

    async def park(self) -> None:
        """See the port."""
        found = await self._request(self._consumer.pausing, {"pause_until": UNTIL})
        if found.error is not None and found.error.err_code == MISSING:
            await self._make()
            found = await self._request(self._consumer.pausing, {"pause_until": UNTIL})
        if found.error is not None or not found.paused:
            why = "it is not paused" if found.error is None else found.error.description
            where = f"{self._consumer.name} of {self._consumer.stream}"
            raise Unavailable(f"consumer {where}: {why}")

    async def _make(self) -> None:
        config = {
            "durable_name": self._consumer.name,
            "name": self._consumer.name,
            "deliver_policy": "new",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_NS,
            "max_deliver": 3,
            "max_ack_pending": 1000,
            "filter_subject": self._consumer.subject,
            "pause_until": UNTIL,
        }
        body = {"stream_name": self._consumer.stream, "config": config, "action": "create"}
        made = await self._request(self._consumer.making, body)
        if made.error is not None:
            log.warning("consumer not made", reason=made.error.description)
            return  # the engine may have been quicker: whether it is paused is asked next

    async def _request(self, subject: str, body: dict[str, Any]) -> _Answer:
        raw = await self._ask(subject, msgspec.json.encode(body))
        try:
            return msgspec.json.decode(raw, type=_Answer)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{subject}: an unreadable answer") from error
