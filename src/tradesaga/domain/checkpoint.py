"""Checkpoints: under which code, configuration and strategies an agent's state came to be.

State itself needs no copy, each commit holds it whole. What a commit does not say is who made it: a
checkpoint ties a place in the log to an identity. A process that takes over compares its own with
the last one. Sagas go on under any identity, as the venue already knows their orders; decisions do
not, as no intent of an older epoch can be committed. A changed identity begins a new lineage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Any
from uuid import UUID

from tradesaga.domain.ids import AgentId
from tradesaga.domain.strategies import Strategy


class Occasion(StrEnum):
    """When a checkpoint is taken."""

    RECOVERED = "recovered"
    HANDED_OVER = "handed_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What acts: the release, and digests (hexadecimal SHA-256) of code and settings."""

    release: str = ""
    code: str = ""
    configuration: str = ""
    strategies: str = ""

    def changed_from(self, other: Identity) -> tuple[str, ...]:
        """The names of the parts that differ."""
        names = (field.name for field in fields(self))
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One place in an agent's life; `lineage` counts its identities from 1.

    `changed` names the parts of the identity that differ from the checkpoint before. `report` is
    for people: what was found open, and what became of it.
    """

    id: UUID
    agent_id: AgentId
    taken_at: datetime
    occasion: Occasion
    epoch: int
    lineage: int
    release: str
    code: str
    configuration: str
    strategies: str
    changed: tuple[str, ...]
    report: Mapping[str, Any]

    @property
    def identity(self) -> Identity:
        """Who took it."""
        return Identity(
            release=self.release,
            code=self.code,
            configuration=self.configuration,
            strategies=self.strategies,
        )


def following(
    before: Checkpoint | None,
    identity: Identity,
    *,
    checkpoint_id: UUID,
    agent_id: AgentId,
    occasion: Occasion,
    epoch: int,
    now: datetime,
    report: Mapping[str, Any],
) -> Checkpoint:
    """The checkpoint after `before`: of the same lineage unless the identity has changed."""
    changed = () if before is None else identity.changed_from(before.identity)
    lineage = 1 if before is None else before.lineage + bool(changed)
    return Checkpoint(
        id=checkpoint_id,
        agent_id=agent_id,
        taken_at=now,
        occasion=occasion,
        epoch=epoch,
        lineage=lineage,
        release=identity.release,
        code=identity.code,
        configuration=identity.configuration,
        strategies=identity.strategies,
        changed=changed,
        report=report,
    )


def deaths(latest_first: Sequence[Checkpoint], since: datetime) -> int:
    """How many processes have ended later than `since` without handing over.

    Each was found by the one that took over after it; the very first had nobody before it.
    """
    return sum(1 for found_at in death_times(latest_first) if found_at > since)


def death_times(latest_first: Sequence[Checkpoint]) -> tuple[datetime, ...]:
    """When each death was found, the latest first; see `deaths`."""
    return tuple(
        taken.taken_at
        for taken, before in pairwise(latest_first)
        if taken.occasion is Occasion.RECOVERED is before.occasion
    )


def digest_of(strategies: Sequence[Strategy]) -> str:
    """What the strategies are set to, whatever their order, state and history."""
    told = sorted(
        repr((s.external_id, s.type, s.symbols, s.risk_mode, sorted(s.parameters.items())))
        + (" shadow" if s.is_shadow else "")
        for s in strategies
    )
    return sha256("\n".join(told).encode()).hexdigest()
