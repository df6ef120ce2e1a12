"""The risk limits: those in force, and changing them under the scope `risk_admin`."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from litestar import Response, get, put
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.pages import ALL_AT_ONCE, Cursor, cut
from tradesaga.api.pages import Limit as Page
from tradesaga.api.problems import failures, invalid, shown
from tradesaga.api.requests import TEXT_CHARACTERS_MAX, ModeName
from tradesaga.api.versions import TAGGED, IfMatch, as_read, tagged
from tradesaga.api.why import TAGS, RiskPort
from tradesaga.domain.agent import Mode
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.risk import on_the_wire
from tradesaga.ports.risk_operations import LimitsView

Limit = Decimal | bool


class LimitsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Body of a change: the changes of the mode become `limits`."""

    mode: Annotated[ModeName, Meta(description="normal, conservative or aggressive")]
    limits: Annotated[
        dict[str, int | float | bool],
        Meta(
            max_length=100,
            description="an object of limits by name, durations in milliseconds; {} clears",
        ),
    ]
    reason: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=TEXT_CHARACTERS_MAX,
            pattern=r"\S",
            description="why, for the audit log: text of 1 to 1000 characters, not blank",
        ),
    ]
    expires_at: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="when a change for a while ends, with its zone; without it it lasts",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None
    revision: (
        Annotated[
            int,
            Meta(ge=0, description="the revision that was read; refused if it has moved on"),
        ]
        | None
    ) = None
    confirm: Annotated[
        bool, Meta(description="true, without which no limit becomes looser than it is")
    ] = False


class LimitChangeAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A change that was made, of the limits of `mode`."""

    revision: int
    mode: str
    limits: dict[str, Limit]
    expires_at: Timestamp | None
    actor: str
    reason: str
    made_at: Timestamp


class ModeLimitsAnswer(Struct, frozen=True, kw_only=True):
    """The limits of one mode as they are in force, and the changes in them."""

    mode: str
    limits: dict[str, Limit]
    changes: list[LimitChangeAnswer]


class LimitsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """`activeMode` is the agent's; `revision` counts the changes ever made."""

    revision: int
    active_mode: str
    modes: list[ModeLimitsAnswer]


class LimitHistoryAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of the changes, the latest first."""

    changes: list[LimitChangeAnswer]
    next_cursor: str | None


@get(
    "/risk/limits/history",
    operation_id="getRiskLimitHistory",
    summary="List every change of the risk limits",
    responses=failures(400, 503),
    tags=TAGS,
)
async def get_limit_history(
    risk: RiskPort,
    mode: Annotated[
        ModeName | None,
        QueryParameter(description="normal, conservative or aggressive: only changes of that mode"),
    ] = None,
    limit: Page = ALL_AT_ONCE,
    cursor: Cursor = None,
) -> LimitHistoryAnswer:
    """Who changed which limits when, why, and until when."""
    found = [one for one in await risk.limit_history() if mode in (None, one.mode)]
    page, following = cut("limit changes", found, limit, cursor, lambda one: (-one.revision,))
    return LimitHistoryAnswer(changes=[_change(one) for one in page], next_cursor=following)


@get(
    "/risk/limits",
    operation_id="getRiskLimits",
    summary="Get the risk limits in force",
    responses=failures(400, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def get_limits(risk: RiskPort) -> Response[LimitsAnswer]:
    """The limits of every mode with the changes that count now."""
    found = await risk.limits()
    return tagged(limits_answer(found), found.revision)


@put(
    "/risk/limits",
    operation_id="putRiskLimits",
    summary="Change the risk limits of a mode",
    responses=failures(400, 409, 412, 413, 415, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def put_limits(
    risk: RiskPort,
    actor: Actor,
    data: JSONBody[LimitsRequest],
    if_match: IfMatch = None,
) -> Response[LimitsAnswer]:
    """In force at once and after a restart; needs the scope `risk_admin`."""
    changed = await risk.change_limits(
        Mode(data.mode),
        {name: _exact(value) for name, value in data.limits.items()},
        expires_at=None if data.expires_at is None else _time_of(data.expires_at),
        revision=data.revision,
        actor=actor,
        reason=data.reason,
        confirmed=data.confirm,
        as_read=as_read(if_match),
    )
    return tagged(limits_answer(changed), changed.revision)


def _exact(value: float | bool) -> int | Decimal | bool:
    """A limit without binary fractions: the shortest text of the number is what was meant."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _time_of(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else _no_time(text)
    except ValueError:
        return _no_time(text)


def _no_time(text: str) -> datetime:
    raise invalid([f"expiresAt is {shown(text)}: it takes a time with its zone"])


def limits_answer(view: LimitsView) -> LimitsAnswer:
    """The limits in the API's words."""
    return LimitsAnswer(
        revision=view.revision,
        active_mode=view.active_mode,
        modes=[
            ModeLimitsAnswer(
                mode=each.mode,
                limits={n: _plain(v) for n, v in on_the_wire(each.limits).items()},
                changes=[_change(change) for change in each.changes],
            )
            for each in view.modes
        ],
    )


def _change(change: LimitChange) -> LimitChangeAnswer:
    return LimitChangeAnswer(
        revision=change.revision,
        mode=change.mode,
        limits={name: _plain(value) for name, value in change.limits.items()},
        expires_at=stamp_or_none(change.expires_at),
        actor=change.actor,
        reason=change.reason,
        made_at=stamp(change.made_at),
    )


def _plain(value: int | Decimal | bool) -> Limit:
    return value if isinstance(value, bool) else Decimal(value)
