"""The limits in force: as configured, as changed since, never wider than the strategy's mode."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tradesaga.domain.agent import Mode
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.errors import Conflict, Fenced, Invalid, Unavailable
from tradesaga.domain.ids import AgentId, derived
from tradesaga.domain.limit_change import LimitChange, in_force, layers
from tradesaga.domain.risk import Changes, Limits, on_the_wire, raised, stricter
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert
from tradesaga.ports.records import Records

FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class LimitBook:
    """One profile per mode; a strategy's `riskMode` may only make them stricter.

    `changes` are all that were ever made; a change is in force from its commit on.
    """

    def __init__(
        self,
        configured: Mapping[Mode, Limits],
        *,
        scribe: Scribe,
        records: Records,
        clock: Clock,
        agent_id: AgentId,
    ) -> None:
        self._configured = configured
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._turn = asyncio.Lock()
        self._combined: dict[tuple[Limits, Limits], Limits] = {}
        self.changes: tuple[LimitChange, ...] = ()

    async def load(self) -> None:
        """Read what was changed. Raises Invalid when it does not go with the configuration."""
        self.changes = tuple(await self._records.limit_changes(self._agent_id))
        for mode in Mode:
            self.of_mode(mode)

    @property
    def revision(self) -> int:
        """How many changes were made."""
        return len(self.changes)

    def of_mode(self, mode: Mode) -> Limits:
        """The limits of a mode, now."""
        if not self.changes:
            return self._configured[mode]
        return in_force(self._configured, self.changes, mode, self._clock.now())

    def layers(self, mode: Mode) -> tuple[LimitChange, ...]:
        """The changes of a mode that count now."""
        return layers(self.changes, mode, self._clock.now())

    def in_force(self, mode: Mode, risk_mode: str | None) -> Limits:
        """For a strategy's order; a `risk_mode` that is no mode is taken for the strictest."""
        limits = self.of_mode(mode)
        if risk_mode is None or risk_mode == mode:
            return limits
        own = Mode(risk_mode) if risk_mode in Mode.__members__.values() else Mode.CONSERVATIVE
        both = limits, self.of_mode(own)
        if both not in self._combined:
            if len(self._combined) > len(Mode) ** 2:
                self._combined.clear()
            self._combined[both] = stricter(*both)
        return self._combined[both]

    async def change(
        self,
        mode: Mode,
        limits: Changes,
        *,
        expires_at: datetime | None,
        revision: int | None,
        actor: str,
        reason: str,
        confirmed: bool = False,
        as_read: AsRead = None,
    ) -> None:
        """Set the layer of `mode` to `limits`; in force when this returns, and audited.

        Raises:
            Invalid: unknown limits, values out of bounds, contradictions, an end that has passed;
                a limit becomes looser, now or later, and that is not `confirmed`.
            Conflict: `revision`, which the caller has read, is not the present one.
            Stale: nor is one of `as_read`.
            Unavailable: the journal takes nothing, or another node holds the agent.
        """
        async with self._turn:
            now = self._clock.now()
            must_be_as_read("the limits", self.revision, as_read)
            if revision is not None and revision != self.revision:
                raise Conflict(f"the limits are at revision {self.revision}, not {revision}")
            if expires_at is not None and expires_at <= now:
                raise Invalid([f"expiresAt is {expires_at.isoformat()}: it takes a time to come"])
            change = LimitChange(
                id=derived(self._agent_id, "limits", self.revision + 1),
                agent_id=self._agent_id,
                revision=self.revision + 1,
                mode=mode,
                limits=dict(limits),
                expires_at=expires_at,
                actor=actor,
                reason=reason,
                made_at=now,
            )
            after = in_force(self._configured, (*self.changes, change), mode, now)
            # Also what holds when the change has ended must hold together.
            if expires_at is not None:
                in_force(self._configured, (*self.changes, change), mode, expires_at)
            if not confirmed:
                self._must_not_raise(change, now)
            await self._commit(change, self.of_mode(mode), after)
            self.changes = (*self.changes, change)

    def _must_not_raise(self, change: LimitChange, now: datetime) -> None:
        """Compare what holds at each time at which something ends; between them nothing changes."""
        changes = (*self.changes, change)
        ends = {one.expires_at for one in changes if one.mode is change.mode}
        times = {now, FOR_EVER} | {end for end in ends if end is not None and end > now}
        looser: dict[str, str] = {}
        for at in times:
            before = in_force(self._configured, self.changes, change.mode, at)
            after = in_force(self._configured, changes, change.mode, at)
            old, new = on_the_wire(before), on_the_wire(after)
            looser |= {name: f"{old[name]} to {new[name]}" for name in raised(before, after)}
        if looser:
            said = ", ".join(f"{name} from {change}" for name, change in sorted(looser.items()))
            raise Invalid([f"confirm is missing: this loosens {said}; it takes true"])

    async def _commit(self, change: LimitChange, before: Limits, after: Limits) -> None:
        old, new = on_the_wire(before), on_the_wire(after)
        body = {
            "mode": change.mode,
            "revision": change.revision,
            "reason": change.reason,
            "expiresAt": change.expires_at,
            "before": {name: value for name, value in old.items() if new[name] != value},
            "after": {name: value for name, value in new.items() if old[name] != value},
        }
        entry = Entry(
            kind="limits.changed", subject=str(self._agent_id), actor=change.actor, body=body
        )
        try:
            await self._scribe.fact([Insert(change)], [entry])
        except Fenced as error:
            raise Unavailable("another node has taken over the agent; ask again") from error
