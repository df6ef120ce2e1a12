"""Ids for things that happen once."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class IdSource(Protocol):
    """A source of UUIDv7."""

    def uuid7(self) -> UUID:
        """A fresh id, ordered by time."""
        ...
