"""The agent's strategies in memory, and the commits that change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tradesaga.domain.errors import Conflict, Fenced, Invalid
from tradesaga.domain.events import STRATEGY_ACTIVATED, STRATEGY_DEACTIVATED, Event
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.strategies import Strategy, StrategyStatus
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.records import Records


class StrategyBook:
    """Loaded once the lease is held."""

    def __init__(
        self, *, scribe: Scribe, records: Records, clock: Clock, agent_id: AgentId
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._strategies: dict[StrategyId, Strategy] = {}

    def active(self) -> Sequence[Strategy]:
        """The active ones, those of higher priority first."""
        found = [s for s in self._strategies.values() if s.status is StrategyStatus.ACTIVE]
        return sorted(found, key=lambda s: (-s.priority, s.external_id))

    def known(self) -> Sequence[Strategy]:
        """All of them, in no order."""
        return tuple(self._strategies.values())

    async def load(self, configured: Sequence[Strategy]) -> None:
        """Read what is stored, and add what is configured and not stored yet."""
        await self._read()
        known = {s.external_id for s in self._strategies.values()}
        new = [s for s in configured if s.external_id not in known]
        if not new:
            return
        try:
            await self._scribe.fact(
                [Insert(s) for s in new], [_entry(s, "strategy.created", "engine") for s in new]
            )
        except Fenced:
            raise
        except Conflict:  # added by another hand meanwhile
            await self._read()
        else:
            self._strategies |= {s.id: s for s in new}

    async def select(self, names: Sequence[str], *, actor: str) -> None:
        """Make exactly the named strategies (ids or external ids) active.

        Raises:
            Invalid: unknown names, all of them.
            Fenced, Unavailable: as the journal.
        """
        wanted = {name: self._find(name) for name in names}
        if unknown := [name for name, strategy in wanted.items() if strategy is None]:
            known = ", ".join(sorted(s.external_id for s in self._strategies.values()))
            raise Invalid(
                [f"strategies: {name!r} is not known; known: {known}" for name in unknown]
            )
        chosen = {strategy.id for strategy in wanted.values() if strategy is not None}
        rows: list[Row] = []
        entries: list[Entry] = []
        changed: list[Strategy] = []
        for strategy in self._strategies.values():
            status = StrategyStatus.ACTIVE if strategy.id in chosen else StrategyStatus.STOPPED
            if strategy.status is status:
                continue
            after = replace(
                strategy,
                status=status,
                updated_at=self._clock.now(),
                version=strategy.version + 1,
            )
            changed.append(after)
            rows.append(Update(after))
            entries.append(_entry(after, f"strategy.{_word(after)}", actor))
        if changed:
            await self._scribe.fact(rows, entries)
            self._strategies |= {s.id: s for s in changed}

    async def _read(self) -> None:
        records = await self._records.strategies(self._agent_id)
        self._strategies = {r.strategy.id: r.strategy for r in records}

    def _find(self, name: str) -> Strategy | None:
        for strategy in self._strategies.values():
            if name in (str(strategy.id), strategy.external_id):
                return strategy
        return None


def _word(strategy: Strategy) -> str:
    return "activated" if strategy.status is StrategyStatus.ACTIVE else "deactivated"


def _entry(strategy: Strategy, kind: str, actor: str) -> Entry:
    active = strategy.status is StrategyStatus.ACTIVE
    payload = {
        "strategyId": strategy.id,
        "name": strategy.name,
        "type": strategy.type,
        "status": strategy.status,
        "symbols": list(strategy.symbols),
        "activatedAt" if active else "deactivatedAt": strategy.updated_at,
    }
    event = Event(
        type=STRATEGY_ACTIVATED if active else STRATEGY_DEACTIVATED,
        payload=payload,
        correlation_id=str(strategy.id),
    )
    body = {"externalId": strategy.external_id, "status": strategy.status}
    return Entry(kind=kind, subject=str(strategy.id), actor=actor, body=body, event=event)
