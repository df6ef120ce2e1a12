"""A checkpoint that was taken when a process took over."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from tradesaga.domain.checkpoint import Checkpoint, Occasion
from tradesaga.domain.ids import DEFAULT_AGENT

NOON = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
CHECKPOINT = Checkpoint(
    id=UUID("01934f0e-0000-7000-8000-0000000000cc"),
    agent_id=DEFAULT_AGENT,
    taken_at=NOON,
    occasion=Occasion.RECOVERED,
    epoch=3,
    lineage=2,
    release="1.2.3",
    code="c0de" * 16,
    configuration="c0f1" * 16,
    strategies="57a7" * 16,
    changed=("configuration",),
    report={
        "cyclesCancelled": ["01934f0e-0000-7000-8000-0000000000c1"],
        "sagasFound": 1,
        "sagasEnded": 1,
        "waitingForPerson": 0,
        "sagas": [
            {
                "sagaId": "01934f0e-0000-7000-8000-0000000000aa",
                "symbol": "SPY",
                "found": "running, order intent",
                "now": "completed, order filled",
                "filled": "5/5",
            }
        ],
    },
)
