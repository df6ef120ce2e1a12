"""Journal over a store in memory: what is written is gone with the process.

The conditions and errors are those of the port: epoch, versions, unique keys, all or nothing. The
log is the real one, chained by the same hashes as on Postgres. A Change is applied at once and its
caller woken a turn of the loop later, so a cancelled caller does not cancel its commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tradesaga.adapters.chain import GENESIS, LogRow, hash_of, rows_of
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.approval import Approval
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.errors import Conflict, Fenced, Invalid, Unavailable
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.ids import AgentId
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Fill, Order, Reservation, Trade
from tradesaga.domain.saga import Saga
from tradesaga.domain.strategies import Strategy
from tradesaga.ports.journal import (
    Add,
    Change,
    CycleLog,
    DeadLetter,
    Entry,
    InboxEntry,
    PositionDelta,
    Row,
    Stored,
    Update,
)
from tradesaga.ports.records import PositionSums

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEntry:
    """One entry of the log with its place, as it was hashed, and the hash."""

    agent_id: AgentId
    seq: int
    epoch: int
    at: datetime
    entry: Entry
    row: LogRow
    hash: bytes


@dataclass(slots=True)
class MemoryStore:
    """What is durable: hand the same store to a new journal to play a restart."""

    rows: dict[tuple[type, UUID], Stored] = field(default_factory=dict)
    unique: set[Key] = field(default_factory=set)
    logs: list[tuple[AgentId, CycleLog]] = field(default_factory=list)
    dead_letters: list[tuple[AgentId, DeadLetter]] = field(default_factory=list)
    counts: dict[AgentId, AgentCounts] = field(default_factory=dict)
    positions: dict[tuple[AgentId, str], PositionSums] = field(default_factory=dict)
    log: dict[AgentId, list[LoggedEntry]] = field(default_factory=dict)
    epochs: dict[AgentId, int] = field(default_factory=dict)
    published: dict[AgentId, int] = field(default_factory=dict)

    def log_of(self, agent_id: AgentId) -> list[LoggedEntry]:
        """The log of one agent, in order."""
        return self.log.setdefault(agent_id, [])

    def put(self, value: Stored) -> None:
        """Have a row there that was written before all that is told of."""
        self.rows[type(value), value.id] = value
        self.unique.update(_unique_keys(value))

    def of(self, cls: type[Any], agent_id: AgentId) -> list[Any]:
        """All rows of a type that belong to an agent, in order of their insertion."""
        return [
            row for (kind, _), row in self.rows.items() if kind is cls and owner_of(row) == agent_id
        ]


def owner_of(value: Stored) -> AgentId:
    """The agent whose row it is."""
    return value.id if isinstance(value, Agent) else value.agent_id


class MemoryJournal:
    """Implements `ports.journal.Journal`."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = MemoryStore() if store is None else store
        self._open: dict[AgentId, int] = {}
        self._closed = False

    async def open(self, agent_id: AgentId, epoch: int) -> int:
        """Write for the agent under `epoch`; a store that knows no epoch takes this one."""
        if self.store.epochs.setdefault(agent_id, epoch) != epoch:
            raise Fenced(f"agent {agent_id} is not held under epoch {epoch}")
        self._open[agent_id] = epoch
        return len(self.store.log_of(agent_id))

    async def commit(self, change: Change) -> int:
        """As the port says; Invalid for a Change that could not be stored."""
        sequence = self._commit(change)
        await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop, no time
        return sequence

    async def close(self) -> None:
        """Refuse all further Changes."""
        self._closed = True

    def _commit(self, change: Change) -> int:
        said = rows_of(change)
        if self._closed:
            raise Unavailable("the journal is closed; nothing was written")
        epoch = self.store.epochs.get(change.agent_id)
        if not change.epoch == epoch == self._open.get(change.agent_id):
            raise Fenced(f"agent {change.agent_id} is not held under epoch {change.epoch}")
        touched = [(type(v), v.id) for v in _stored_values(change)]
        if len(set(touched)) < len(touched):
            raise Invalid([f"a change touches a row twice: {touched}"])
        claims = [key for row in change.rows for key in _checked(self.store, change, row)]
        if len(set(claims)) < len(claims):
            raise Conflict(f"two rows of a change claim one key: {claims}")
        self.store.unique.update(claims)
        for row in change.rows:
            _apply(self.store, change.agent_id, row)
        return self._log(change, said)

    def _log(self, change: Change, said: list[LogRow]) -> int:
        log, agent_id, epoch = self.store.log_of(change.agent_id), change.agent_id, change.epoch
        digest = log[-1].hash if log else GENESIS
        for entry, row in zip(change.entries, said, strict=True):
            seq = len(log) + 1
            digest = hash_of(digest, agent_id, seq, epoch, row)
            log.append(
                LoggedEntry(
                    agent_id=agent_id,
                    seq=seq,
                    epoch=epoch,
                    at=change.at,
                    entry=entry,
                    row=row,
                    hash=digest,
                )
            )
        return len(log)


def _stored_values(change: Change) -> Iterator[Any]:
    without_id = CycleLog | InboxEntry | DeadLetter | PositionDelta | AgentCounts
    return (row.value for row in change.rows if not isinstance(row.value, without_id))


def _checked(store: MemoryStore, change: Change, row: Row) -> Iterator[Key]:
    """The keys that the row claims, once it is clear that it can be applied."""
    value = row.value
    match value:
        case CycleLog():
            new = any(
                isinstance(r.value, Cycle) and r.value.id == value.cycle_id for r in change.rows
            )
            if not new and (Cycle, value.cycle_id) not in store.rows:
                raise Invalid([f"log line of unknown cycle {value.cycle_id}"])
        case AgentCounts():
            new = any(isinstance(r.value, Agent) for r in change.rows)
            if not new and (Agent, change.agent_id) not in store.rows:
                raise Invalid([f"counts of unknown agent {change.agent_id}"])
        case InboxEntry():
            yield _free(store, ("inbox", change.agent_id, value.event_id))
        case PositionDelta() | DeadLetter():
            pass
        case _:
            yield from _checked_stored(store, change.agent_id, row)


def _checked_stored(store: MemoryStore, agent_id: AgentId, row: Row) -> Iterator[Key]:
    value: Any = row.value
    name = f"{type(value).__name__} {value.id}"
    if owner_of(value) != agent_id:
        raise Invalid([f"{name} belongs to agent {owner_of(value)}"])
    stored: Any = store.rows.get((type(value), value.id))
    if isinstance(row, Add) or (isinstance(row, Update) and not hasattr(value, "version")):
        raise Invalid([f"{name} is only inserted"])
    if isinstance(row, Update):
        if stored is None or stored.version != value.version - 1:
            raise Conflict(f"{name} was changed: load it again")
        return
    if stored is not None:
        raise Conflict(f"{name} exists")
    for key in _unique_keys(value):
        yield _free(store, key)


def _unique_keys(value: Stored) -> Iterator[Key]:
    match value:
        case Strategy():
            yield "strategy", value.agent_id, value.external_id
        case Approval():
            yield "approval", value.agent_id, value.decision_id
        case ExternalOrder():
            yield "external order", value.agent_id, value.venue_order_id
        case LimitChange():
            yield "limits", value.agent_id, value.revision
        case Saga():
            yield "saga", value.agent_id, value.decision_id, value.type
        case Order():
            yield "order", value.agent_id, value.client_order_id
        case Reservation():
            yield "reservation", value.saga_id
        case Fill():
            yield "fill", value.agent_id, value.venue_fill_id
        case Trade():
            yield "trade", value.fill_id
        case _:
            pass


def _free(store: MemoryStore, key: Key) -> Key:
    if key in store.unique:
        raise Conflict(f"{key} exists")
    return key


def _apply(store: MemoryStore, agent_id: AgentId, row: Row) -> None:
    value = row.value
    match value:
        case CycleLog():
            store.logs.append((agent_id, value))
        case DeadLetter():
            store.dead_letters.append((agent_id, value))
        case InboxEntry():
            pass  # its key is all there is
        case PositionDelta():
            _add_position(store, agent_id, value)
        case AgentCounts():
            _add_counts(store, agent_id, value)
        case _:
            store.rows[type(value), value.id] = value


def _add_position(store: MemoryStore, agent_id: AgentId, delta: PositionDelta) -> None:
    key = agent_id, delta.symbol
    names = ("quantity", "bought_quantity", "bought_value", "sold_quantity", "sold_value", "fees")
    before = store.positions.get(key)
    sums = {name: getattr(before, name, ZERO) + getattr(delta, name) for name in names}
    store.positions[key] = PositionSums(symbol=delta.symbol, **sums)


def _add_counts(store: MemoryStore, agent_id: AgentId, more: AgentCounts) -> None:
    before = store.counts.get(agent_id, AgentCounts())
    store.counts[agent_id] = AgentCounts(
        cycles_completed=before.cycles_completed + more.cycles_completed,
        decisions_generated=before.decisions_generated + more.decisions_generated,
        orders_executed=before.orders_executed + more.orders_executed,
        errors_count=before.errors_count + more.errors_count,
    )
