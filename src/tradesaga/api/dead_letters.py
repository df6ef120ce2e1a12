"""The operations on messages that were put aside: the list, one, replay and discard."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation
from msgspec import Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.approvals import ApprovalRequest
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, by_number
from tradesaga.api.problems import failures, invalid, shown
from tradesaga.domain.dead_letters import Letter, LetterState
from tradesaga.ports.dead_letters import DeadLetterOperations

LISTING = by_number("dead letters")
LETTER_ID_MAX = 2**63 - 1
SHOWN_MAX = 2000
TAGS = ["events"]
LettersPort = NamedDependency[SkipValidation[DeadLetterOperations]]
LetterName = Annotated[
    str,
    PathParameter(
        name="letterId",
        description="the number of a dead letter",
        schema_extra={"pattern": "^[1-9][0-9]{0,18}$"},
    ),
]


class LetterRequest(ApprovalRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of replay and discard."""


class LetterAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A message that had no effect; `text` is its begin, what is no UTF-8 replaced."""

    id: int
    state: str
    subject: str
    problem: str
    received_at: Timestamp
    bytes: int
    text: str
    by: str | None
    reason: str | None
    ended_at: Timestamp | None


class WholeLetterAnswer(LetterAnswer, frozen=True, kw_only=True, rename="camel"):
    """One dead letter; `body` is the message in base64."""

    body: str


class LettersAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of dead letters, the latest first."""

    dead_letters: list[LetterAnswer]
    next_cursor: str | None


@get(
    "/dead-letters",
    operation_id="listDeadLetters",
    summary="List dead letters",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_letters(
    dead_letters: LettersPort,
    standing: Annotated[
        Literal["open", "replayed", "discarded"] | None,
        QueryParameter(name="state", description="open, replayed or discarded"),
    ] = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> LettersAnswer:
    """Messages from the bus that had no effect, with the reason."""
    state = None if standing is None else LetterState(standing)
    before = LISTING.after(cursor)
    found = await dead_letters.letters(limit=limit + 1, state=state, before=before)
    page, following = LISTING.page(found, limit, lambda one: one.id)
    return LettersAnswer(dead_letters=[_answer(one) for one in page], next_cursor=following)


@get(
    "/dead-letters/{letterId:str}",
    operation_id="getDeadLetter",
    summary="Get a dead letter",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def get_letter(dead_letters: LettersPort, letter_id: LetterName) -> WholeLetterAnswer:
    """One message with its whole body."""
    return _whole(await dead_letters.letter(_number(letter_id)))


@post(
    "/dead-letters/{letterId:str}/replay",
    operation_id="replayDeadLetter",
    summary="Replay a dead letter",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def replay_letter(
    dead_letters: LettersPort, actor: Actor, letter_id: LetterName, data: JSONBody[LetterRequest]
) -> WholeLetterAnswer:
    """Handle the message once more, here alone; what it had as an effect before has none again."""
    number = _number(letter_id)
    return _whole(await dead_letters.replay(number, by=data.by, reason=data.reason, actor=actor))


@post(
    "/dead-letters/{letterId:str}/discard",
    operation_id="discardDeadLetter",
    summary="Discard a dead letter",
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def discard_letter(
    dead_letters: LettersPort, actor: Actor, letter_id: LetterName, data: JSONBody[LetterRequest]
) -> WholeLetterAnswer:
    """Say that the message needs no effect."""
    number = _number(letter_id)
    return _whole(await dead_letters.discard(number, by=data.by, reason=data.reason, actor=actor))


def _number(letter_id: str) -> int:
    plain = letter_id.isascii() and letter_id.isdigit() and len(letter_id) < 20
    if not plain or not 1 <= int(letter_id) <= LETTER_ID_MAX:
        problem = f"letterId is {shown(letter_id)}: it takes the number of a dead letter"
        raise invalid([problem])
    return int(letter_id)


def _answer(one: Letter) -> LetterAnswer:
    return LetterAnswer(
        id=one.id,
        state=one.state,
        subject=one.subject,
        problem=one.problem,
        received_at=stamp(one.received_at),
        bytes=len(one.body),
        text=one.body[:SHOWN_MAX].decode(errors="replace"),
        by=None if one.end is None else one.end.who,
        reason=None if one.end is None else one.end.reason,
        ended_at=stamp_or_none(None if one.end is None else one.end.ended_at),
    )


def _whole(one: Letter) -> WholeLetterAnswer:
    answer = _answer(one)
    said = {name: getattr(answer, name) for name in LetterAnswer.__struct_fields__}
    return WholeLetterAnswer(**said, body=b64encode(one.body).decode())
