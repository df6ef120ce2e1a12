"""A log of three events that goes away when it has been read to its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tradesaga.domain.errors import Unavailable
from tradesaga.ports.records import OutboxRow


def row(sequence: int, event_type: str = "orchestrator.cycle.started") -> OutboxRow:
    return OutboxRow(
        sequence=sequence,
        event_id=f"e{sequence}",
        type=event_type,
        payload=b'{"cycleId":"c","text":"a\\nb"}',
        correlation_id="c1",
        causation_id=None,
        at=datetime(2020, 12, 15, 17, tzinfo=UTC),
    )


class FakeFeed:
    """Implements `ports.event_feed`; without `stays` it is away after the last event."""

    def __init__(self) -> None:
        self.rows = [row(3), row(7, "orchestrator.cycle.completed"), row(9)]
        self.stays = False

    async def latest(self) -> int:
        return self.rows[-1].sequence

    async def since(self, sequence: int, *, limit: int) -> Sequence[OutboxRow]:
        found = [one for one in self.rows if one.sequence > sequence][:limit]
        if not found and not self.stays:
            raise Unavailable("the end")
        return found
