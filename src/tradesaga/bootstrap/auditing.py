"""The audit log for people: is it whole, and give it to me as a file.

Like `tradesaga verify` it only reads, needs no running orchestrator and may be used beside one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tradesaga.adapters.postgres.audit import (
    ChainCheck,
    PostgresAuditLog,
    anchor_of,
    check_lines,
    read_anchor,
)
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.bootstrap.verifying import (
    QUERY_TIME_MAX,
    VerifyOptions,
    refuse_old_schema,
    system_of,
)
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId

__all__ = ["AuditOptions", "ChainCheck", "anchor_of", "export_log", "verify_file", "verify_log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Where the database is; None leaves it to the configuration."""

    config: Path | None = None
    state_dir: Path | None = None


async def verify_log(
    options: AuditOptions, environment: Mapping[str, str], *, anchors: Sequence[str]
) -> ChainCheck:
    """Check the whole log in the database.

    Raises:
        Invalid: an anchor cannot be read, the configuration cannot be used.
        Unavailable: the database does not answer.
    """
    marks = _marks(anchors)
    async with _log(options, environment) as audit_log:
        return await audit_log.check(marks)


def verify_file(path: Path, *, anchors: Sequence[str]) -> ChainCheck:
    """Check an exported log. Raises Invalid for a file that is none."""
    marks = _marks(anchors)
    try:
        with path.open("rb") as lines:
            return check_lines(lines, marks)
    except OSError as error:
        raise Invalid([f"{path} cannot be read: {error.strerror}"]) from error


async def export_log(
    options: AuditOptions,
    environment: Mapping[str, str],
    *,
    after: int,
    until: int | None,
    out: BinaryIO,
) -> int:
    """Write the log as JSON lines; how many. Raises Invalid, Unavailable."""
    written = 0
    async with _log(options, environment) as audit_log:
        async for line in audit_log.lines(after=after, until=until):
            out.write(line)
            written += 1
    return written


@asynccontextmanager
async def _log(
    options: AuditOptions, environment: Mapping[str, str]
) -> AsyncIterator[PostgresAuditLog]:
    system = system_of(
        VerifyOptions(config=options.config, state_dir=options.state_dir), environment
    )
    schema = system.settings.database.schema
    await refuse_old_schema(system.dsn, schema)
    pool = ReaderPool(system.dsn, schema=schema, connections_max=1, command_time_max=QUERY_TIME_MAX)
    try:
        yield PostgresAuditLog(pool, AgentId(system.settings.agent.id))
    finally:
        await pool.close()


def _marks(anchors: Sequence[str]) -> dict[int, bytes]:
    marks = [read_anchor(text) for text in anchors]
    return {mark.seq: mark.hash for mark in marks}
