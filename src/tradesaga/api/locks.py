"""The reading operation on locked symbols: where nothing may open, and why."""

from __future__ import annotations

from collections.abc import Iterable

from litestar import get
from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp
from tradesaga.api.pages import ALL_AT_ONCE, Cursor, Limit, cut
from tradesaga.api.problems import failures
from tradesaga.api.sagas import SagasPort, Symbol
from tradesaga.ports.saga_operations import SymbolLock

TAGS = ["trading"]


class LockAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A reason why nothing may open on `symbol`; `sagaId` is null for a quarantine."""

    symbol: str
    reason: str
    detail: str
    since: Timestamp
    saga_id: str | None


class LocksAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of locks, by symbol."""

    locks: list[LockAnswer]
    next_cursor: str | None


def locks_answer(locks: Iterable[SymbolLock], next_cursor: str | None) -> LocksAnswer:
    """The list."""
    return LocksAnswer(
        next_cursor=next_cursor,
        locks=[
            LockAnswer(
                symbol=lock.symbol,
                reason=lock.reason,
                detail=lock.detail,
                since=stamp(lock.since),
                saga_id=None if lock.saga_id is None else str(lock.saga_id),
            )
            for lock in locks
        ],
    )


@get(
    "/locks",
    operation_id="listLocks",
    summary="List symbols on which nothing may open",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_locks(
    sagas: SagasPort, symbol: Symbol = None, limit: Limit = ALL_AT_ONCE, cursor: Cursor = None
) -> LocksAnswer:
    """What locks symbols now, by symbol, with the reasons."""
    found = [lock for lock in await sagas.locks() if symbol in (None, lock.symbol)]
    return locks_answer(*cut("locks", found, limit, cursor, _key))


def _key(lock: SymbolLock) -> tuple[str, str, str, str, str]:
    return lock.symbol, stamp(lock.since), lock.reason, str(lock.saga_id or ""), lock.detail
