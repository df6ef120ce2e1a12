"""A change of the risk limits: what a named person set, for which mode, and until when.

Changes are only added. Of each mode two layers count over the configuration: the latest change
without an end, and above it the latest one with an end, until that. An empty change clears its
layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tradesaga.domain.agent import Mode
from tradesaga.domain.ids import AgentId
from tradesaga.domain.risk import Changes, Limits, with_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """`revision` counts the changes of an agent from 1; `id` is a function of both."""

    id: UUID
    agent_id: AgentId
    revision: int
    mode: Mode
    limits: Changes
    expires_at: datetime | None
    actor: str
    reason: str
    made_at: datetime


def in_force(
    configured: Mapping[Mode, Limits], changes: Iterable[LimitChange], mode: Mode, now: datetime
) -> Limits:
    """The limits of `mode` at `now`; `changes` in the order of their revisions.

    Raises:
        Invalid: what is stored does not go with what is configured.
    """
    limits = configured[mode]
    for change in layers(changes, mode, now):
        limits = with_changes(limits, change.limits)
    return limits


def layers(changes: Iterable[LimitChange], mode: Mode, now: datetime) -> tuple[LimitChange, ...]:
    """The changes of `mode` that count at `now`: the lasting one, then the one with an end."""
    lasting: LimitChange | None = None
    ending: LimitChange | None = None
    for change in changes:
        if change.mode is not mode:
            continue
        if change.expires_at is None:
            lasting = change
        else:
            ending = change
    if ending is not None and ending.expires_at is not None and ending.expires_at <= now:
        ending = None
    return tuple(change for change in (lasting, ending) if change is not None)


def order_rates(configured: Limits, changes: Sequence[LimitChange]) -> tuple[int, int]:
    """The greatest orders per minute and day that any change has ever allowed.

    An order that was allowed when it was made is no breach after the limit was lowered again.
    """
    rates = []
    for wire, rate in (
        ("ordersPerMinute", configured.orders_per_minute),
        ("ordersPerDay", configured.orders_per_day),
    ):
        changed = [int(c.limits[wire]) for c in changes if wire in c.limits]
        rates.append(max([rate, *changed]))
    return rates[0], rates[1]
