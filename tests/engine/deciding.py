"""A bus whose decision makers answer at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from typing_extensions import override

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import ANALYSIS_REQUESTED, DecisionGenerated, Incoming
from tradesaga.ports.bus import Published
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.bus import MemoryBus, MemoryDelivery
from tradesaga.testing.clock import VirtualClock


class DecidingBus(MemoryBus):
    """Answers each question once, as `decide` says: buy 2 on the first, then hold.

    What a process that died had in hand is delivered again to the next one.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.decide: Callable[[int, str], Proposal | None] = self.buy_once
        self._handed: list[MemoryDelivery] = []

    @override
    def deliver(self, incoming: Incoming) -> MemoryDelivery:
        self._handed.append(super().deliver(incoming))
        return self._handed[-1]

    def restart(self) -> None:
        """Deliver again what nobody has answered."""
        handed, self._handed = self._handed, []
        for delivery in handed:
            if delivery.answer is None and delivery.incoming is not None:
                self.deliver(delivery.incoming)

    @override
    async def publish(self, row: OutboxRow) -> Published:
        known = len(self.published)
        published = await super().publish(row)
        if row.type == ANALYSIS_REQUESTED and len(self.published) > known:
            self._answer(json.loads(row.payload))
        return published

    def buy_once(self, number: int, symbol: str) -> Proposal | None:
        """Buy 2 on the first question, then hold."""
        return self.proposal(number, symbol, "buy" if number == 1 else "hold")

    def proposal(
        self, number: int, symbol: str, action: str, quantity: Decimal | int = 2
    ) -> Proposal:
        """The answer to question `number`."""
        return Proposal(
            external_id=f"d-{number}",
            symbol=symbol,
            action=action,
            confidence=Decimal("0.9"),
            reasoning="",
            said_at=self.clock.now(),
            suggested_quantity=Decimal(quantity),
        )

    def _answer(self, asked: dict[str, str]) -> None:
        number = sum(1 for row in self.published if row.type == ANALYSIS_REQUESTED)
        said = self.decide(number, asked["symbol"])
        if said is None:
            return
        said = replace(said, request_id=asked["requestId"], strategy_id=asked["strategyId"])
        incoming = Incoming(
            event_id=f"e-{number}",
            type="ai.decision.generated",
            source="ai-decision",
            correlation_id=asked["requestId"],
            at=self.clock.now(),
            content=DecisionGenerated(proposal=said),
        )
        self.deliver(incoming)
