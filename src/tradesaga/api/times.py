"""Moments that a request names: a time with its zone, read as UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from litestar.params import QueryParameter

from tradesaga.api.problems import invalid, shown

EXAMPLE: Final = "2020-12-15T17:00:00Z"
TEXT_CHARACTERS_MAX: Final = 40


def moment_parameter(what: str, name: str | None = None) -> Any:
    """A parameter of the query that names a moment."""
    return QueryParameter(
        name=name,
        max_length=TEXT_CHARACTERS_MAX,
        description=f"a time with its zone, as {EXAMPLE}; {what}",
        schema_extra={"format": "date-time"},
    )


def moment_of(name: str, text: str | None) -> datetime | None:
    """The moment; None for none. Raises Refusal, naming the parameter."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # no time, or one before the first year: said below
    raise invalid([f"{name} is {shown(text)}: it takes a time with its zone, as {EXAMPLE}"])
