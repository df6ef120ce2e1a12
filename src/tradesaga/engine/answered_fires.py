"""Up to when the fires of the configuration's cycles have been answered for, as the journal says.

A cycle answers for its fire, whatever became of it. A rebalance that a restart or a stop cut off
does not: it may have held its orders for the open, and the time to make it up is long. Fires from
before the records that are looked at are taken as answered: what is not known is not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.ids import AgentId
from tradesaga.domain.schedule import REBALANCE_CATCH_UP
from tradesaga.engine.cycle_runner import INTERRUPTED, STOPPED
from tradesaga.ports.records import Records

CYCLES_LOOKED_AT: Final = 1000
"""More than the time in which a rebalance is made up has, at the default intervals."""
CYCLES_WITHOUT_REBALANCE: Final = 50
"""More than the minute in which an analysis is made up has: many agents begin at a time."""
INSTANT: Final = timedelta(microseconds=1)


async def answered_until(
    records: Records, agent_id: AgentId, now: datetime, *, rebalances: bool
) -> dict[CycleType, datetime]:
    """By type the last fire that is answered for; a type that never ran may be missing."""
    looked_at = CYCLES_LOOKED_AT if rebalances else CYCLES_WITHOUT_REBALANCE
    latest = await records.cycles(agent_id, limit=looked_at)
    last = {cycle.type: cycle.scheduled_at for cycle in reversed(latest)}
    if rebalances:
        last[CycleType.REBALANCE] = _rebalanced_until(latest, now)
    return last


def _rebalanced_until(latest: Sequence[Cycle], now: datetime) -> datetime:
    since = now - REBALANCE_CATCH_UP - INSTANT
    if len(latest) == CYCLES_LOOKED_AT and latest[-1].started_at > since:
        since = latest[-1].started_at
    answered = [
        c.scheduled_at for c in latest if c.type is CycleType.REBALANCE and not _was_cut_off(c)
    ]
    return max([since, *answered])


def _was_cut_off(cycle: Cycle) -> bool:
    reasons = {error.error for error in cycle.errors}
    return cycle.status is CycleStatus.CANCELLED and not reasons.isdisjoint({INTERRUPTED, STOPPED})
