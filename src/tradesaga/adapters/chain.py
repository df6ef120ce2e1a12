"""The hash chain of an agent's log, whatever keeps it: the text of an entry, and its hash.

`hash = sha256(hash before, place, header, body, payload)`: the place is agent, sequence and epoch,
the header a canonical JSON array of the other columns; body and payload are stored as the very
text that was hashed. So a changed column,
a missing row and a row out of place are found; only a chain rewritten to its end is not, unless a
hash of it was kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

import msgspec

from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId, derived, of_digest
from tradesaga.ports.journal import Change, Entry

to_json = msgspec.json.Encoder(order="deterministic").encode
"""Canonical: keys sorted, Decimals as strings with every digit."""
to_wire = msgspec.json.Encoder(order="deterministic", decimal_format="number").encode
"""As events leave: Decimals as JSON numbers."""


class Columns(Protocol):
    """A row by the names of its columns: of the database, or of a file."""

    def __getitem__(self, name: str, /) -> Any:
        """The column's value."""
        ...


GENESIS = bytes(32)
"""The hash before an agent's first row."""


@dataclass(slots=True)
class LogRow:
    """One row of `journal_log` before it is numbered; `at` is UTC, body and payload are JSON."""

    at: datetime
    kind: str
    subject: str
    actor: str
    body: str
    event_type: str | None = None
    event_payload: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    content: bytes = field(init=False)
    """What the hash covers, but for the row's place."""

    def __post_init__(self) -> None:
        header = (self.at, self.kind, self.subject, self.actor, self.event_type)
        names = (self.correlation_id, self.causation_id)
        body = (self.body + (self.event_payload or "")).encode()
        self.content = to_json((*header, *names)) + body


def rows_of(change: Change) -> list[LogRow]:
    """The log rows of a Change. Raises Invalid for an entry that is no JSON."""
    assert change.entries, "a change has at least one log entry"
    if change.at.tzinfo is None:
        raise Invalid([f"the change of {change.at} is at a time without a zone"])
    at = change.at.astimezone(UTC)
    try:
        return [_row(at, entry) for entry in change.entries]
    except (TypeError, UnicodeError, OverflowError) as error:
        raise Invalid([f"a log entry cannot be stored: {error}"]) from error


def _row(at: datetime, entry: Entry) -> LogRow:
    body, event = to_json(entry.body).decode(), entry.event
    if event is None:
        return LogRow(
            at, entry.kind, entry.subject, entry.actor, body, correlation_id=entry.correlation_id
        )
    return LogRow(
        at,
        entry.kind,
        entry.subject,
        entry.actor,
        body,
        event.type,
        to_wire(event.payload).decode(),
        event.correlation_id,
        event.causation_id,
    )


def hash_of(before: bytes, agent_id: AgentId, seq: int, epoch: int, row: LogRow) -> bytes:
    """The hash of `row` as number `seq` of its agent, after a row with the hash `before`."""
    place = b"%b%b %d %d " % (before, agent_id.bytes, seq, epoch)
    return sha256(place + row.content).digest()


def event_id_of(digest: bytes) -> UUID:
    """The id of the event in the row with that hash: the same however often it is asked for.

    It is of the row and of all before it: books that were set back and go on another way never
    give an id again that the bus has seen with another body.
    """
    return of_digest(digest)


def former_event_id(agent_id: AgentId, seq: int) -> UUID:
    """The id of the event in row `seq` of a log from before ids were of the hash."""
    return derived(agent_id, "event", seq)


def fault_of(row: Columns, agent_id: AgentId, seq: int, digest: bytes) -> str | None:
    """What is wrong with a row that follows the one of `seq` and `digest`; None if nothing."""
    if row["seq"] != seq + 1:
        return f"follows {seq}"
    content = LogRow(
        row["at"],
        row["kind"],
        row["subject"],
        row["actor"],
        row["body"],
        row["event_type"],
        row["event_payload"],
        row["correlation_id"],
        row["causation_id"],
    )
    if hash_of(digest, agent_id, row["seq"], row["epoch"], content) != row["hash"]:
        return "its hash is not that of its content after the row before"
    if row["event_type"] is None:
        return None if row["event_id"] is None else "it has the id of an event, and no event"
    known = event_id_of(row["hash"]), former_event_id(agent_id, row["seq"])
    return None if row["event_id"] in known else "its event id is not that of the row"
