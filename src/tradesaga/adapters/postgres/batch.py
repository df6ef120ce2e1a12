"""What one call of `apply` writes: Changes numbered, hashed and laid out as its parameters.

A Change is encoded when it is handed in, by its caller, and numbered when its batch is made: only
then is it known what stands before it. No row is claimed twice in a batch, so whatever the
database refuses can be told from what the batch itself wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from tradesaga.adapters.chain import LogRow, event_id_of, hash_of, rows_of
from tradesaga.adapters.postgres.encoding import (
    Key,
    Operation,
    Part,
    encode_rows,
)
from tradesaga.domain.ids import AgentId
from tradesaga.domain.trace_context import TraceContext
from tradesaga.domain.values import quick
from tradesaga.ports.journal import Change

BYTES_MAX = 160 * 1024
"""What a socket takes at once. What it does not take is sent when the event loop looks at it again,
and the server would wait for that while the callers of the batch before run on.
"""
STATEMENT = "select apply({})".format(
    ", ".join(f"${number}" for number in range(1, 6 + 1 + len(Operation) + 1))
)
_encode = msgspec.json.Encoder().encode


@quick
@dataclass(frozen=True, slots=True)
class Head:
    """Where an agent's log ends: the epoch in force, the last sequence and its hash."""

    epoch: int
    seq: int
    hash: bytes


class _Logged(msgspec.Struct, gc=False, omit_defaults=True):
    """A numbered row of the log; `hash` is hexadecimal."""

    agent_id: AgentId
    seq: int
    at: datetime
    epoch: int
    kind: str
    subject: str
    actor: str
    body: str
    hash: str
    event_type: str | None = None
    event_id: UUID | None = None
    event_payload: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None


@dataclass(slots=True, eq=False)
class Pending:
    """A Change on its way: what it writes, about `size` bytes, and what became of it."""

    agent_id: AgentId
    epoch: int
    parts: Sequence[Part]
    keys: Set[Key]
    log: Sequence[LogRow]
    size: int
    asked_in: TraceContext | None = None
    _outcome: int | Exception | None = None
    _waiter: asyncio.Future[None] | None = None

    async def outcome(self) -> int:
        """Return the sequence of the last entry, or raise the refusal.

        A caller that is cancelled learns of it when the outcome is known: no task of its own is
        needed to finish the commit.
        """
        cancelled: asyncio.CancelledError | None = None
        while self._outcome is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def settle(self, outcome: int | Exception) -> None:
        """Tell the caller, once: its sequence, or why nothing was written."""
        self._outcome = outcome
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def encode(change: Change) -> Pending:
    """The Change as it will be written. Raises Invalid when it cannot be."""
    log = rows_of(change)
    parts, keys = encode_rows(change.agent_id, change.rows)
    size = sum([len(row_json) for _, row_json in parts]) + sum([len(row.content) for row in log])
    return Pending(change.agent_id, change.epoch, parts, keys, log, size)


@dataclass(slots=True)
class Batch:
    """Changes that are written together; `begin` and `end` are the heads before and after."""

    changes: list[Pending] = field(default_factory=list)
    begin: dict[AgentId, Head] = field(default_factory=dict)
    end: dict[AgentId, Head] = field(default_factory=dict)
    size: int = 0
    _last: list[int] = field(default_factory=list)
    _keys: set[Key] = field(default_factory=set)
    _tables: list[list[bytes]] = field(default_factory=lambda: [[] for _ in Operation])
    _log: list[_Logged] = field(default_factory=list)

    def admits(self, change: Pending) -> bool:
        """Whether none of the Change's rows is claimed already, and the batch has room for it."""
        if self.changes and self.size + change.size > BYTES_MAX:
            return False
        return self._keys.isdisjoint(change.keys)

    def add(self, change: Pending, head: Head) -> None:
        """Number `change` after those of its agent; `head` is where the agent's log stands."""
        agent_id = change.agent_id
        at = self.end.get(agent_id)
        if at is None:
            at = self.begin[agent_id] = head
        epoch, seq, digest = at.epoch, at.seq, at.hash
        for row in change.log:
            seq += 1
            digest = hash_of(digest, agent_id, seq, epoch, row)
            told = row.event_type
            self._log.append(
                _Logged(
                    agent_id, seq, row.at, epoch, row.kind, row.subject, row.actor, row.body,
                    digest.hex(), told, None if told is None else event_id_of(digest),
                    row.event_payload, row.correlation_id, row.causation_id,
                )
            )  # fmt: skip
        self.end[agent_id] = Head(epoch, seq, digest)
        self.changes.append(change)
        self.size += change.size
        self._last.append(seq)
        self._keys.update(change.keys)
        for operation, row_json in change.parts:
            self._tables[operation].append(row_json)

    def arguments(self) -> list[object]:
        """The parameters of STATEMENT."""
        agents = sorted(self.begin)  # one order of locks for all writers
        ends = [self.end[agent_id] for agent_id in agents]
        return [
            agents,
            [end.epoch for end in ends],
            [self.begin[agent_id].seq for agent_id in agents],
            [end.seq for end in ends],
            [end.hash for end in ends],
            [len(rows) for rows in self._tables],
            *((b"[%b]" % b",".join(rows)).decode() if rows else None for rows in self._tables),
            _encode(self._log).decode(),
        ]

    def succeed(self) -> None:
        """Tell every caller its sequence."""
        for change, seq in zip(self.changes, self._last, strict=True):
            change.settle(seq)
