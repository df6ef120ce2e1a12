"""What the next commit of a task carries along: the key of the command that it serves.

A command passes through many hands before its first commit, and none of them has to know of keys.
So the claim is bound to the task (as the ids in the log are), and the scribe adds its row to the
first Change that is handed over, once. A Change that was refused gives the claim back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tradesaga.ports.journal import Insert, Row


@dataclass(slots=True, eq=False)
class Claim:
    """A row that wants to be in the same commit as the first effect; `rides` once it is."""

    row: Insert
    rides: bool = False
    is_open: bool = True


_claim: ContextVar[Claim | None] = ContextVar("claim", default=None)


@contextmanager
def claimed(row: Insert) -> Iterator[Claim]:
    """Have the first commit within the block carry `row`; afterwards no commit does."""
    claim = Claim(row)
    token = _claim.set(claim)
    try:
        yield claim
    finally:
        claim.is_open = False  # also for tasks that were begun within the block
        _claim.reset(token)


def taken_along() -> Claim | None:
    """The claim that the commit at hand has to carry; None for almost every commit."""
    claim = _claim.get()
    if claim is None or claim.rides or not claim.is_open:
        return None
    claim.rides = True
    return claim


def rows_with(claim: Claim | None, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows of the Change."""
    return rows if claim is None else (*rows, claim.row)
