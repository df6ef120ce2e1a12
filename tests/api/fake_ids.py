"""The one id that the application draws in tests."""

from __future__ import annotations

from uuid import UUID

TRACE_ID = "01766713000070008000000000000000"


class OneId:
    """Always the same id."""

    def uuid7(self, what: str = "") -> UUID:
        return UUID(TRACE_ID)
