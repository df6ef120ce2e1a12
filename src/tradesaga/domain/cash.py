"""The cash that the venue's account should have, from one mark and all that our fills moved since.

    expected = base + what our trades brought and cost, fees included

The base is what was there beside our trades when the mark was made: deposits, and whatever else is
not ours. A transfer is no trade of ours, so it is a difference until a person acknowledges it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tradesaga.domain.ids import AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMark:
    """What cash is measured from; `id` is that of the agent, `version` counts the commits."""

    id: AgentId
    agent_id: AgentId
    base: Decimal
    marked_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CashDrift:
    """The account's cash is not what it should be."""

    ours: Decimal
    venue: Decimal

    def told(self) -> str:
        """For people."""
        return (
            f"we expect {self.ours:.2f} in cash, the venue has {self.venue:.2f} "
            f"({self.venue - self.ours:+.2f})"
        )


def first_mark(agent_id: AgentId, cash: Decimal, flow: Decimal, now: datetime) -> CashMark:
    """The mark of an account that has `cash`, of which our trades moved `flow`."""
    return CashMark(id=agent_id, agent_id=agent_id, base=cash - flow, marked_at=now)


def marked_anew(mark: CashMark, cash: Decimal, flow: Decimal, now: datetime) -> CashMark:
    """What differs is known to a person: it counts as not ours from now on."""
    return replace(mark, base=cash - flow, marked_at=now, version=mark.version + 1)


def difference(
    mark: CashMark, cash: Decimal, flow: Decimal, *, tolerance: Decimal, moving: Decimal
) -> CashDrift | None:
    """How the account differs by more than `tolerance` and what open orders may have `moving`."""
    ours = mark.base + flow
    if abs(cash - ours) <= tolerance + moving:
        return None
    return CashDrift(ours=ours, venue=cash)
