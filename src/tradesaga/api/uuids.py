"""Ids that a request names."""

from __future__ import annotations

from uuid import UUID

from tradesaga.api.problems import invalid, shown


def uuid_of(name: str, text: str, what: str) -> UUID:
    """The id of `what`; raises Refusal, naming the parameter, if it is none."""
    try:
        return UUID(text)
    except ValueError as error:
        problem = f"{name} is {shown(text)}: it takes the id of {what}, a UUID"
        raise invalid([problem]) from error
