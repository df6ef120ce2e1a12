"""The audit log outside the database: read in order, exported line by line, checked anywhere.

An exported line holds every column of a log row, `body` and `payload` byte for byte as they were
hashed, and the hash before it. So a file can be checked without the database, and a row that
somebody changed, took out or put in is named. Only a chain that was written anew to its end looks
whole; a head that was kept elsewhere, an anchor, tells that one, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from tradesaga.adapters.chain import GENESIS, Columns, fault_of
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId
from tradesaga.ports.records import LogMark

ROWS_AT_ONCE: Final = 500
ORIGIN: Final = LogMark(seq=0, hash=GENESIS)
_NULL: Final = b"null"
FAULTS_MAX: Final = 100
"""A chain with more faults than this is told as broken from there on."""


class AuditLine(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """One log row as exported; `hash` and `prev_hash` are 64 hexadecimal digits."""

    agent_id: UUID
    seq: int
    at: datetime
    epoch: int
    kind: str
    subject: str
    actor: str
    body: msgspec.Raw
    event_type: str | None
    event_id: UUID | None
    payload: msgspec.Raw
    correlation_id: str | None
    causation_id: str | None
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the row at `seq`."""

    seq: int
    what: str


@dataclass(slots=True, kw_only=True)
class ChainCheck:
    """A walk along one agent's log; hand it each row in order, then read what it found.

    `begin` is the place before the first row. `anchors` are places that must be on the chain.
    """

    agent_id: AgentId
    begin: LogMark = ORIGIN
    anchors: Mapping[int, bytes] = field(default_factory=dict)
    rows: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    faults: list[Fault] = field(default_factory=list)
    head: LogMark = field(init=False)

    def __post_init__(self) -> None:
        self.head = self.begin

    def follow(self, row: Columns) -> None:
        """Take the next row, with the columns of `journal_log`."""
        seq, digest = row["seq"], row["hash"]
        wrong = fault_of(row, self.agent_id, self.head.seq, self.head.hash)
        if wrong is not None:
            self._fault(seq, wrong)
        anchor = self.anchors.get(seq)
        if anchor is not None and anchor != digest:
            self._fault(seq, f"the anchor has {anchor.hex()}: the chain was written anew")
        self.rows += 1
        self.first_at = self.first_at or row["at"]
        self.last_at = row["at"]
        self.head = LogMark(seq=seq, hash=digest)

    def end(self, stored: LogMark | None = None) -> None:
        """No more rows; `stored` is where the database says that the log ends."""
        if stored is not None and stored != self.head:
            self._fault(stored.seq, "the log does not end at the head")
        for seq in self.anchors:
            if not self.begin.seq < seq <= self.head.seq:
                self._fault(seq, "the anchor is beyond the log: rows were taken from its end")

    def _fault(self, seq: int, what: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(seq=seq, what=what))


class PostgresAuditLog:
    """The log of one agent in the database; every read is on one snapshot."""

    def __init__(self, pool: ReaderPool, agent_id: AgentId) -> None:
        self._pool = pool
        self._agent_id = agent_id

    async def check(self, anchors: Mapping[int, bytes]) -> ChainCheck:
        """Follow the whole log to its head. Raises Unavailable."""
        check = ChainCheck(agent_id=self._agent_id, anchors=anchors)
        async with self._pool.snapshot() as connection:
            async for row in _rows(connection, self._agent_id, 0):
                check.follow(row)
            check.end(await _head(connection, self._agent_id))
        return check

    async def lines(self, *, after: int, until: int | None) -> AsyncIterator[bytes]:
        """JSON lines of the rows after `after`, up to and with `until`. Raises Unavailable."""
        async with self._pool.snapshot() as connection:
            before = await connection.fetchval(QUERIES["hash_at"], self._agent_id, after)
            digest = before or GENESIS
            async for row in _rows(connection, self._agent_id, after):
                if until is not None and row["seq"] > until:
                    return
                yield line_of(row, digest)
                digest = row["hash"]


def line_of(row: Columns, before: bytes) -> bytes:
    """The exported line of a row with the columns of `journal_log`, after the hash `before`."""
    return _encode(_line(row, before)) + b"\n"


def check_lines(lines: Iterable[bytes], anchors: Mapping[int, bytes]) -> ChainCheck:
    """Follow an exported log; it may begin anywhere, its first line says after which hash.

    Raises:
        Invalid: a line is no exported row, or there is none.
    """
    check: ChainCheck | None = None
    for line in _decoded(lines):
        if check is None:
            before = LogMark(seq=line.seq - 1, hash=_digest(line.prev_hash, line.seq))
            begin = ORIGIN if line.seq == 1 else before
            check = ChainCheck(agent_id=AgentId(line.agent_id), begin=begin, anchors=anchors)
        check.follow(_row(line))
    if check is None:
        raise Invalid(["the file holds no line: export it again"])
    check.end()
    return check


def anchor_of(mark: LogMark) -> str:
    """The place as people keep it: number and hash."""
    return f"{mark.seq}:{mark.hash.hex()}"


def read_anchor(text: str) -> LogMark:
    """The reverse of `anchor_of`. Raises Invalid."""
    seq, _, digits = text.partition(":")
    if not seq.isdecimal() or int(seq) < 1:
        raise Invalid([f"anchor {text!r}: write it as NUMBER:HASH, as `audit verify` prints it"])
    return LogMark(seq=int(seq), hash=_digest(digits, int(seq)))


async def _rows(connection: Connection, agent_id: AgentId, after: int) -> AsyncIterator[Columns]:
    query = QUERIES["log_rows_after"], agent_id, after, None
    async for row in connection.cursor(*query, prefetch=ROWS_AT_ONCE):
        yield row


async def _head(connection: Connection, agent_id: AgentId) -> LogMark:
    heads = await connection.fetch(QUERIES["read_heads"], [agent_id])
    return LogMark(seq=heads[0]["seq"], hash=heads[0]["hash"]) if heads else ORIGIN


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditLine).decode


def _line(row: Columns, before: bytes) -> AuditLine:
    payload = row["event_payload"]
    return AuditLine(
        agent_id=row["agent_id"],
        seq=row["seq"],
        at=row["at"],
        epoch=row["epoch"],
        kind=row["kind"],
        subject=row["subject"],
        actor=row["actor"],
        body=msgspec.Raw(row["body"].encode()),
        event_type=row["event_type"],
        event_id=row["event_id"],
        payload=msgspec.Raw(_NULL if payload is None else payload.encode()),
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        prev_hash=before.hex(),
        hash=row["hash"].hex(),
    )


def _row(line: AuditLine) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: getattr(line, name)
        for name in line.__struct_fields__
        if name not in ("payload", "prev_hash", "body", "hash")
    }
    columns["body"] = bytes(line.body).decode()
    payload = bytes(line.payload)  # a union with None would admit None alone
    columns["event_payload"] = None if payload == _NULL else payload.decode()
    columns["hash"] = _digest(line.hash, line.seq)
    return columns


def _decoded(lines: Iterable[bytes]) -> Iterator[AuditLine]:
    for number, line in enumerate(lines, start=1):
        try:
            yield _decode(line)
        except msgspec.MsgspecError as error:
            raise Invalid([f"line {number} is no exported row: {error}"]) from error


def _digest(digits: str, seq: int) -> bytes:
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != len(GENESIS):
        raise Invalid([f"the hash at {seq} is no hash: 64 hexadecimal digits are expected"])
    return digest
