"""Ids for things that happen once."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class IdSource(Protocol):
    """A source of UUIDv7."""

    def uuid7(self, what: str = "") -> UUID:
        """A fresh id, ordered by time; `what` names what it is for, so that it can be found again.

        Things of one name are told apart by their order.
        """
        ...
