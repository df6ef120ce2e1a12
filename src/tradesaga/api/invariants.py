"""What must always hold: the last result of the watch, and the shape in which it is told.

`tradesaga verify -o json` uses the same shape. Samples are rows of many kinds: their values are
text or null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from litestar import get
from msgspec import Struct

from tradesaga.api.agent_control import OperationsPort
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures
from tradesaga.domain.invariants import is_money
from tradesaga.ports.records import Invariant


class InvariantAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One check; `skipped` says why it was not or not wholly made, empty when it was.

    `lookedAt` is null when the rows were not counted: the watch counts those of the log alone.
    """

    name: str
    description: str
    violations: int
    looked_at: int | None
    money: bool
    sample: list[dict[str, str | None]]
    remedy: str
    skipped: str


class InvariantsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """The last check; `checkedAt` is null and the list empty before the first one."""

    checked_at: Timestamp | None
    broken: int
    runs_skipped: int
    invariants: list[InvariantAnswer]


@get(
    "/invariants",
    operation_id="getInvariants",
    summary="Get the last check of the invariants",
    responses=failures(400, 503),
    tags=["monitoring"],
)
async def get_invariants(operations: OperationsPort) -> InvariantsAnswer:
    """What the watch found last; asking does not check again."""
    report = await operations.invariants()
    return invariants_answer(
        report.invariants, checked_at=report.checked_at, runs_skipped=report.runs_skipped
    )


def invariants_answer(
    found: Sequence[Invariant], *, checked_at: datetime | None, runs_skipped: int = 0
) -> InvariantsAnswer:
    """The answer about `found`."""
    return InvariantsAnswer(
        checked_at=None if checked_at is None else stamp(checked_at),
        broken=sum(1 for one in found if one.violations),
        runs_skipped=runs_skipped,
        invariants=[
            InvariantAnswer(
                name=one.name,
                description=one.description,
                violations=one.violations,
                looked_at=one.looked_at,
                money=is_money(one.name),
                sample=[
                    {name: None if value is None else str(value) for name, value in row.items()}
                    for row in one.sample
                ],
                remedy=one.remedy,
                skipped=one.skipped,
            )
            for one in found
        ],
    )
