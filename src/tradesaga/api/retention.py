"""Old rows: what the policy keeps where, what the tables take, and a run of the archive now."""

from __future__ import annotations

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.problems import failures
from tradesaga.domain.retention import Kind
from tradesaga.ports.retention_operations import RetentionOperations, RetentionReport, RetentionRun

RetentionPort = NamedDependency[SkipValidation[RetentionOperations]]


class RetentionRunAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One run; `complete` is false while rows are left that are due."""

    began_at: Timestamp
    ended_at: Timestamp
    rows: dict[str, int]
    complete: bool
    problem: str


class TableAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One table, working rows and archive apart; rows are estimates, bytes with indexes."""

    name: str
    rows: int
    bytes: int
    archived_rows: int
    archived_bytes: int


class RetentionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """How it stands; `keptMs` is by kind, 0 for ever. `lastRun` is of this process."""

    interval_ms: int
    kept_ms: dict[str, int]
    last_run: RetentionRunAnswer | None
    tables: list[TableAnswer]


@get(
    "/retention",
    operation_id="getRetention",
    summary="Get what is kept where and for how long",
    responses=failures(400, 503),
    tags=["monitoring"],
)
async def get_retention(retention: RetentionPort) -> RetentionAnswer:
    """The policy in force, the last run, and the sizes of the tables."""
    return _report(await retention.report())


@post(
    "/retention/run",
    operation_id="runRetention",
    summary="Archive what is due now",
    responses=failures(400, 503),
    status_code=200,
    tags=["monitoring"],
)
async def run_retention(retention: RetentionPort, actor: Actor) -> RetentionRunAnswer:
    """Archive for a few seconds at most; while `complete` is false there is more."""
    return _run(await retention.run_once(actor=actor))


def _report(report: RetentionReport) -> RetentionAnswer:
    return RetentionAnswer(
        interval_ms=int(report.policy.interval.total_seconds() * 1000),
        kept_ms={kind.value: int(report.policy.kept(kind).total_seconds() * 1000) for kind in Kind},
        last_run=None if report.last is None else _run(report.last),
        tables=[
            TableAnswer(
                name=size.name,
                rows=size.rows,
                bytes=size.bytes,
                archived_rows=size.archived_rows,
                archived_bytes=size.archived_bytes,
            )
            for size in report.tables
        ],
    )


def _run(run: RetentionRun) -> RetentionRunAnswer:
    return RetentionRunAnswer(
        began_at=stamp(run.began_at),
        ended_at=stamp(run.ended_at),
        rows=dict(run.rows),
        complete=run.complete,
        problem=run.problem,
    )
