"""What must always hold, asked of the database: each entry of `sql/invariants.sql` returns what
broke it, and the hash chain of the log is computed again, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from tradesaga.adapters.postgres.chain import GENESIS, LogRow, event_id_of, hash_of
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.queries import QUERIES, load
from tradesaga.domain.ids import AgentId
from tradesaga.ports.records import Invariant

SAMPLE_MAX = 5
LOG_ROWS_AT_ONCE = 500
_CHECKS = load("invariants")


async def check_invariants(connection: Connection, agent_id: AgentId) -> Sequence[Invariant]:
    """All invariants, on whatever snapshot the connection's transaction has."""
    found = []
    for name, query in _CHECKS.items():
        # The text is our own file's.
        counted = f"with v as ({query.sql.rstrip(';')}) select count(*) over () as n, v.* from v"  # noqa: S608
        rows = await connection.fetch(f"{counted} limit {SAMPLE_MAX}", agent_id)
        found.append(
            Invariant(
                name=name,
                description=query.description,
                violations=rows[0]["n"] if rows else 0,
                sample=[{key: row[key] for key in row.keys() if key != "n"} for row in rows],  # noqa: SIM118 -- a Record iterates over its values
            )
        )
    found.append(await check_chain(connection, agent_id))
    return found


async def check_chain(connection: Connection, agent_id: AgentId) -> Invariant:
    """Follow the log from its first row to the head; needs an open transaction."""
    broken: list[dict[str, Any]] = []
    count, seq, digest = 0, 0, GENESIS
    async for row in connection.cursor(QUERIES["log_rows"], agent_id, prefetch=LOG_ROWS_AT_ONCE):
        wrong = _wrong(row, agent_id, seq, digest)
        seq, digest = row["seq"], row["hash"]
        if wrong is not None:
            count += 1
            broken.append({"seq": seq, "what": wrong})
    heads = await connection.fetch(QUERIES["read_heads"], [agent_id])
    stored = (heads[0]["seq"], heads[0]["hash"]) if heads else (0, GENESIS)
    if stored != (seq, digest):
        count += 1
        broken.append({"seq": stored[0], "what": "the log does not end at the head"})
    return Invariant(
        name="I12_chain",
        description="the audit chain is gapless, linked, recomputable and ends at the head",
        violations=count,
        sample=broken[:SAMPLE_MAX],
    )


def _wrong(row: asyncpg.Record, agent_id: AgentId, seq: int, digest: bytes) -> str | None:
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
    expected = None if row["event_type"] is None else event_id_of(agent_id, row["seq"])
    return None if row["event_id"] == expected else "its event id is not that of its place"
