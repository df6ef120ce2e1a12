"""`tradesaga dead-letters`: messages from the bus that had no effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter, validators

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import moment, table

HERE: Final = Server()
COLUMNS: Final = ("ID", "STATE", "RECEIVED", "SUBJECT", "BYTES", "PROBLEM")
PROBLEM_CHARS_MAX: Final = 80
LetterId = Annotated[int, Parameter(validator=validators.Number(gte=1))]

dead_letters = App(
    name="dead-letters", help="List messages that had no effect; replay or discard one."
)


@dead_letters.command(name="ls")
async def list_letters(
    *,
    state: Literal["open", "replayed", "discarded"] | None = None,
    cursor: str | None = None,
    limit: PageSize = 20,
    server: Server = HERE,
) -> int:
    """List the latest dead letters, latest first.

    Parameters
    ----------
    state
        Only those in this state.
    cursor
        Where to go on: the cursor that the page before ended with.
    limit
        How many, 1 to 1000.
    """
    query: dict[str, str | int] = {"limit": limit}
    if state is not None:
        query["state"] = state
    if cursor is not None:
        query["cursor"] = cursor
    return await tell(server, call(server, "GET", "/dead-letters", query=query), _listed)


@dead_letters.command(name="show")
async def show(letter_id: LetterId, /, *, server: Server = HERE) -> int:
    """Show one with the begin of the message.

    Parameters
    ----------
    letter_id
        The number from the list.
    """
    return await tell(server, call(server, "GET", f"/dead-letters/{letter_id}"), _shown)


@dead_letters.command(name="replay")
async def replay(letter_id: LetterId, /, *, by: str, reason: str, server: Server = HERE) -> int:
    """Have the message handled once more.

    Parameters
    ----------
    letter_id
        The number from the list.
    by
        The name of the person who decides, for the audit log.
    reason
        Why, for the audit log.
    """
    return await _end(server, letter_id, "replay", by, reason)


@dead_letters.command(name="discard")
async def discard(letter_id: LetterId, /, *, by: str, reason: str, server: Server = HERE) -> int:
    """Say that the message needs no effect.

    Parameters
    ----------
    letter_id
        The number from the list.
    by
        The name of the person who decides, for the audit log.
    reason
        Why, for the audit log.
    """
    return await _end(server, letter_id, "discard", by, reason)


async def _end(server: Server, letter_id: int, word: str, by: str, reason: str) -> int:
    path = f"/dead-letters/{letter_id}/{word}"
    return await tell(
        server, call(server, "POST", path, fields={"by": by, "reason": reason}), _ended
    )


def _listed(answer: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            str(one["id"]),
            one["state"],
            moment(one["receivedAt"]),
            one["subject"],
            str(one["bytes"]),
            one["problem"][:PROBLEM_CHARS_MAX],
        )
        for one in answer["deadLetters"]
    ]
    return table(COLUMNS, rows, right=(0, 4)) if rows else ["no dead letters"]


def _shown(one: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{one['id']}: {one['state']}, {moment(one['receivedAt'])} on {one['subject']}",
        one["problem"],
    ]
    if one["by"] is not None:
        lines.append(f"{one['state']} by {one['by']} at {moment(one['endedAt'])}: {one['reason']}")
    return [*lines, one["text"]]


def _ended(one: Mapping[str, Any]) -> list[str]:
    return [f"dead letter {one['id']} is {one['state']}"]
