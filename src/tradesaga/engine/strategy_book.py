"""The agent's strategies in memory, and the commits that change them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from tradesaga.domain import strategies as machine
from tradesaga.domain.as_read import AsRead, must_be_as_read
from tradesaga.domain.errors import Conflict, Fenced, Invalid, NotFound, Unavailable
from tradesaga.domain.events import STRATEGY_ACTIVATED, STRATEGY_DEACTIVATED, Event
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.orders import Order
from tradesaga.domain.strategies import Strategy, StrategyStatus
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.records import Records

CONFLICTS_MAX = 5
Transition: TypeAlias = Callable[[Strategy], Strategy]


class StrategyBook:
    """Loaded once the lease is held; one command at a time."""

    def __init__(
        self, *, scribe: Scribe, records: Records, clock: Clock, agent_id: AgentId
    ) -> None:
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._agent_id = agent_id
        self._strategies: Mapping[StrategyId, Strategy] = {}
        self._active: Mapping[StrategyId, Strategy] | None = None
        self._turn = asyncio.Lock()
        self.is_loaded = False
        self.closing = asyncio.Event()
        """Set when a strategy's positions are to be closed."""

    def known(self) -> Sequence[Strategy]:
        """All that are not deleted, in no order."""
        return tuple(s for s in self._strategies.values() if s.deleted_at is None)

    def active(self) -> Sequence[Strategy]:
        """The active ones, those of higher priority first."""
        return tuple(self.active_by_id().values())

    def active_by_id(self) -> Mapping[StrategyId, Strategy]:
        """The same by their ids; made anew only when a strategy has changed."""
        if self._active is None:
            found = [s for s in self.known() if s.status is StrategyStatus.ACTIVE]
            self._active = {s.id: s for s in sorted(found, key=machine.standing)}
        return self._active

    def refusal_to_send(self, order: Order) -> str:
        """Why an order of the strategy is not sent; empty unless it is a shadow."""
        strategy = None if order.strategy_id is None else self._strategies.get(order.strategy_id)
        return "its strategy is a shadow" if strategy is not None and strategy.is_shadow else ""

    def find(self, name: str) -> Strategy:
        """The strategy of that id or external id. Raises NotFound."""
        strategy = self.known_as(name)
        if strategy is not None:
            return strategy
        raise NotFound(f"there is no strategy {name}; `GET /api/v1/strategies` lists them")

    def known_as(self, name: str) -> Strategy | None:
        """The strategy of that id or external id, if there is one."""
        found = (s for s in self.known() if name in (str(s.id), s.external_id))
        return next(found, None)

    async def load(self, configured: Sequence[Strategy]) -> None:
        """Read what is stored, and add what is configured and was never stored."""
        await self._read()
        taken = {s.external_id for s in self._strategies.values()}
        new = [s for s in configured if s.external_id not in taken]
        try:
            if new:
                await self._scribe.fact(
                    [Insert(s) for s in new], [_status_entry(s, "created", "engine") for s in new]
                )
        except Fenced:
            raise
        except Conflict:  # added by another hand meanwhile
            await self._read()
        else:
            self._keep(new)
        self.is_loaded = True
        self.closing.set()

    async def select(self, names: Sequence[str], *, actor: str) -> None:
        """Make exactly the named strategies (ids or external ids) active.

        Raises:
            Invalid: unknown names, all of them.
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            chosen = self._chosen(names)
            now, rows, entries = self._clock.now(), list[Row](), list[Entry]()
            changed: list[Strategy] = []
            for strategy in self.known():
                after = (
                    machine.activated(strategy, now)
                    if strategy.id in chosen
                    else machine.deactivated(strategy, now, close_positions=False)
                )
                if after.status is not strategy.status:
                    changed.append(after)
                    rows.append(Update(after))
                    entries.append(_status_entry(after, _word(after), actor))
            if changed:
                await self._scribe.fact(rows, entries)
                self._keep(changed)

    async def add(self, strategy: Strategy, *, actor: str) -> None:
        """Commit a new strategy.

        Raises:
            Invalid: it cannot be so, or its name is taken.
            Fenced, Unavailable: as the journal.
        """
        machine.check(strategy)
        async with self._turn:
            if any(s.external_id == strategy.external_id for s in self._strategies.values()):
                raise Invalid([f"name is {strategy.external_id!r}: it is taken, choose another"])
            entry = _status_entry(strategy, "created", actor)
            await self._scribe.fact([Insert(strategy)], [entry])
            self._keep([strategy])

    async def change(
        self, name: str, word: str, transition: Transition, *, actor: str, as_read: AsRead = None
    ) -> Strategy:
        """Commit what `transition` makes of the strategy; nothing when it changes nothing.

        Raises:
            NotFound, and whatever the transition raises.
            Stale: it is not at one of the versions `as_read`.
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            for _ in range(CONFLICTS_MAX):
                before = self.find(name)
                must_be_as_read(f"strategy {name}", before.version, as_read)
                after = transition(before)
                if after is before:
                    return before
                try:
                    await self._scribe.fact([Update(after)], [_entry(before, after, word, actor)])
                except Fenced:
                    raise
                except Conflict:
                    await self._read()
                    continue
                self._keep([after])
                if after.closing_at is not None:
                    self.closing.set()
                return after
        raise Unavailable(f"strategy {name} conflicts again and again")

    def _chosen(self, names: Sequence[str]) -> set[StrategyId]:
        by_name = {str(s.id): s.id for s in self.known()}
        by_name |= {s.external_id: s.id for s in self.known()}
        if unknown := [name for name in names if name not in by_name]:
            known = ", ".join(sorted(s.external_id for s in self.known()))
            raise Invalid(
                [f"strategies: {name!r} is not known; known: {known}" for name in unknown]
            )
        return {by_name[name] for name in names}

    async def _read(self) -> None:
        stored = await self._records.strategies_stored(self._agent_id)
        self._strategies = {}
        self._keep(stored)

    def _keep(self, changed: Iterable[Strategy]) -> None:
        self._strategies = {**self._strategies, **{s.id: s for s in changed}}
        self._active = None


def _word(strategy: Strategy) -> str:
    return "activated" if strategy.status is StrategyStatus.ACTIVE else "deactivated"


def _entry(before: Strategy, after: Strategy, word: str, actor: str) -> Entry:
    """A change; one of the status is also an event."""
    if before.status is not after.status:
        return _status_entry(after, word, actor)
    body = {"externalId": after.external_id, "before": _told(before), "after": _told(after)}
    return Entry(kind=f"strategy.{word}", subject=str(after.id), actor=actor, body=body)


def _told(strategy: Strategy) -> dict[str, object]:
    return {
        "name": strategy.name,
        "status": strategy.status,
        "symbols": list(strategy.symbols),
        "riskMode": strategy.risk_mode,
        "parameters": dict(strategy.parameters),
        "priority": strategy.priority,
        "mode": strategy.mode,
        "closingAt": strategy.closing_at,
        "closeAttempts": strategy.close_attempts,
        "closeFailure": strategy.close_failure,
        "deletedAt": strategy.deleted_at,
    }


def _status_entry(strategy: Strategy, word: str, actor: str) -> Entry:
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
    if strategy.closing_at is not None:
        body["closing"] = "positions"
    return Entry(
        kind=f"strategy.{word}", subject=str(strategy.id), actor=actor, body=body, event=event
    )
