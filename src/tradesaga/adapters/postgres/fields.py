"""Code compiled for a dataclass that reads its fields, as `dataclasses` does for `__init__`.

Every row of a saga passes here: a loop over names, with a dict for the times and one for the
content, took two thirds of what it costs to encode a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from tradesaga.domain.errors import Invalid

Reading = Callable[[Any, object], dict[str, Any]]
"""The fields of a value by their names; the second argument is the agent, where it is asked for."""


def reading(names: Sequence[str], *, owned: bool = False) -> Reading:
    """What reads `names` of a value; `owned` adds the agent, which the value does not know."""
    items = [f"{name!r}: value.{name}" for name in names]
    if owned:
        items.append("'agent_id': agent_id")
    return _compiled(f"def made(value, agent_id): return {{{', '.join(items)}}}")


def time_check(cls: type) -> Callable[[Any], None]:
    """What refuses a naive time in a field: Postgres would take it for local time without a word.

    What it makes raises Invalid.
    """
    # Annotations are text here; "datetime" and "datetime | None" are all there is.
    names = [f.name for f in fields(cls) if str(f.type).startswith("datetime")]
    naive = [f"((at := value.{name}) is not None and at.tzinfo is None)" for name in names]

    def refuse(value: object) -> None:
        for name in names:
            if (at := getattr(value, name)) is not None and at.tzinfo is None:
                raise Invalid([f"{cls.__name__}.{name} is {at}, a time without a zone"])

    return _compiled(
        f"def made(value):\n if {' or '.join(naive) or 'False'}: refuse(value)", refuse=refuse
    )


def _compiled(source: str, **names: object) -> Callable[..., Any]:
    made: dict[str, Any] = dict(names)
    exec(source, made)  # noqa: S102 -- of a class's own field names, no input
    function: Callable[..., Any] = made["made"]
    return function
