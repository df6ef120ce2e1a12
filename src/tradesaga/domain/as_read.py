"""What a command is bound to: the versions of a thing that its sender has read.

A command that names none is taken whatever the version is. One that names some takes effect only
while the thing still has one of them; the book that commits it looks under its own lock.
"""

from __future__ import annotations

from tradesaga.domain.errors import Stale

AsRead = frozenset[int] | None


def must_be_as_read(what: str, version: int, as_read: AsRead) -> None:
    """Raise Stale unless `version` is one of those that were read, or none was named."""
    if as_read is not None and version not in as_read:
        raise Stale(f"{what} has moved on: it is at version {version}")
