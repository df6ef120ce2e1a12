"""The operations on schedules, and the analysis of a strategy by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter, SkipValidation

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import stamp
from tradesaga.api.pages import ALL_AT_ONCE, Cursor, Limit, cut
from tradesaga.api.problems import failures
from tradesaga.api.requests import OptionalBody
from tradesaga.api.schedule_answers import (
    FiresAnswer,
    ScheduleAnswer,
    SchedulesAnswer,
    TriggeredAnswer,
    fires_answer,
    schedule_answer,
    triggered_answer,
)
from tradesaga.api.schedule_requests import AnalyseRequest, ChangeScheduleRequest, ScheduleRequest
from tradesaga.api.uuids import uuid_of
from tradesaga.api.versions import TAGGED, IfMatch, as_read, tagged
from tradesaga.domain.ids import ScheduleId
from tradesaga.domain.schedule import Overlap, ScheduleType
from tradesaga.ports.schedule_operations import (
    NewSchedule,
    ScheduleChanges,
    ScheduleOperations,
    ScheduleView,
)

TAGS: Final = ["schedules"]
FIRES_MAX: Final = 100
ALL_SYMBOLS: Final = AnalyseRequest()
SchedulesPort = NamedDependency[SkipValidation[ScheduleOperations]]
ScheduleName = Annotated[
    str,
    PathParameter(
        name="scheduleId",
        description="the id of a schedule, a UUID",
        schema_extra={"format": "uuid"},
    ),
]


@get(
    "/schedules",
    operation_id="listSchedules",
    summary="List schedules",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_schedules(
    schedules: SchedulesPort,
    strategy: Annotated[
        str | None,
        QueryParameter(description="the id or external id of a strategy: only its schedules"),
    ] = None,
    limit: Limit = ALL_AT_ONCE,
    cursor: Cursor = None,
) -> SchedulesAnswer:
    """Schedules in order of creation, the configuration's first."""
    found = [
        view
        for view in await schedules.schedules()
        if strategy in (None, view.strategy, str(view.schedule.strategy_id))
    ]
    page, following = cut("schedules", found, limit, cursor, _key)
    return SchedulesAnswer(
        schedules=[schedule_answer(view) for view in page], next_cursor=following
    )


@post(
    "/schedules",
    operation_id="addSchedule",
    summary="Add a schedule of a strategy",
    responses=failures(400, 413, 415, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def add_schedule(
    schedules: SchedulesPort, actor: Actor, data: JSONBody[ScheduleRequest]
) -> Response[ScheduleAnswer]:
    """It takes the strategy out of the configured analysis while it is enabled."""
    new = NewSchedule(
        strategy=data.strategy_id,
        schedule_type=ScheduleType(data.type),
        value=data.value,
        zone=data.timezone,
        priority=data.priority,
        catch_up=_duration(data.catch_up),
        overlap=Overlap(data.overlap),
        enabled=data.enabled,
    )
    return _tagged(await schedules.add(new, actor=actor))


@get(
    "/schedules/{scheduleId:str}",
    operation_id="getSchedule",
    summary="Get a schedule",
    responses=failures(400, 404, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def get_schedule(
    schedules: SchedulesPort, schedule_id: ScheduleName
) -> Response[ScheduleAnswer]:
    """One schedule, with its next fire and what it says in words."""
    return _tagged(await schedules.schedule(_id_of(schedule_id)))


@patch(
    "/schedules/{scheduleId:str}",
    operation_id="changeSchedule",
    summary="Change a schedule",
    responses=failures(400, 404, 409, 412, 413, 415, 503),
    response_headers=TAGGED,
    tags=TAGS,
)
async def change_schedule(
    schedules: SchedulesPort,
    actor: Actor,
    schedule_id: ScheduleName,
    data: JSONBody[ChangeScheduleRequest],
    if_match: IfMatch = None,
) -> Response[ScheduleAnswer]:
    """What is left out stays as it is; the next fire is found anew."""
    changes = ScheduleChanges(
        value=data.value,
        zone=data.timezone,
        priority=data.priority,
        catch_up=_duration(data.catch_up),
        overlap=None if data.overlap is None else Overlap(data.overlap),
        enabled=data.enabled,
    )
    return await _changed(schedules, actor, schedule_id, changes, if_match)


@delete(
    "/schedules/{scheduleId:str}",
    operation_id="removeSchedule",
    summary="Remove a schedule",
    responses=failures(400, 404, 409, 412, 503),
    status_code=200,
    tags=TAGS,
)
async def remove_schedule(
    schedules: SchedulesPort, actor: Actor, schedule_id: ScheduleName, if_match: IfMatch = None
) -> ScheduleAnswer:
    """It never fires again; its row stays for the audit log."""
    found = _id_of(schedule_id)
    versions = as_read(if_match)
    view = await schedules.schedule(found)
    await schedules.remove(found, actor=actor, as_read=versions)
    return schedule_answer(view)


@post(
    "/schedules/{scheduleId:str}/enable",
    operation_id="enableSchedule",
    summary="Let a schedule fire",
    responses=failures(400, 404, 409, 412, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def enable_schedule(
    schedules: SchedulesPort, actor: Actor, schedule_id: ScheduleName, if_match: IfMatch = None
) -> Response[ScheduleAnswer]:
    """From now on; what it missed while disabled is not made up."""
    return await _changed(schedules, actor, schedule_id, ScheduleChanges(enabled=True), if_match)


@post(
    "/schedules/{scheduleId:str}/disable",
    operation_id="disableSchedule",
    summary="Keep a schedule from firing",
    responses=failures(400, 404, 409, 412, 503),
    response_headers=TAGGED,
    status_code=200,
    tags=TAGS,
)
async def disable_schedule(
    schedules: SchedulesPort, actor: Actor, schedule_id: ScheduleName, if_match: IfMatch = None
) -> Response[ScheduleAnswer]:
    """Until it is enabled; a cycle that runs goes on."""
    return await _changed(schedules, actor, schedule_id, ScheduleChanges(enabled=False), if_match)


@post(
    "/schedules/{scheduleId:str}/trigger",
    operation_id="triggerSchedule",
    summary="Run the cycle of a schedule now",
    responses=failures(400, 404, 409, 503),
    status_code=200,
    tags=TAGS,
)
async def trigger_schedule(
    schedules: SchedulesPort, actor: Actor, schedule_id: ScheduleName
) -> TriggeredAnswer:
    """Its next fire stays where it is; one analysis at most waits for room."""
    return triggered_answer(await schedules.trigger(_id_of(schedule_id), actor=actor))


@get(
    "/schedules/{scheduleId:str}/next",
    operation_id="nextFires",
    summary="List the next fires of a schedule",
    responses=failures(400, 404, 503),
    tags=TAGS,
)
async def next_fires(
    schedules: SchedulesPort,
    schedule_id: ScheduleName,
    count: Annotated[
        int,
        QueryParameter(ge=1, le=FIRES_MAX, description="a whole number from 1 to 100: how many"),
    ] = 10,
) -> FiresAnswer:
    """From now on, whether the market is open then or not; none of an event."""
    found = _id_of(schedule_id)
    view = await schedules.schedule(found)
    return fires_answer(view, await schedules.next_fires(found, count))


@post(
    "/strategies/{strategyId:str}/analyze",
    operation_id="analyzeStrategy",
    summary="Trigger manual analysis",
    operation_class=OptionalBody,
    responses=failures(400, 404, 409, 413, 415, 503),
    status_code=200,
    tags=["strategies"],
)
async def analyse_strategy(
    schedules: SchedulesPort,
    actor: Actor,
    strategy_id: Annotated[
        str,
        PathParameter(name="strategyId", description="the id or external id of a strategy"),
    ],
    data: JSONBody[AnalyseRequest] = ALL_SYMBOLS,
) -> TriggeredAnswer:
    """All symbols of the strategy, or some; one analysis at most waits for room."""
    return triggered_answer(await schedules.analyse(strategy_id, data.symbols, actor=actor))


async def _changed(
    schedules: ScheduleOperations,
    actor: str,
    schedule_id: str,
    changes: ScheduleChanges,
    if_match: str | None,
) -> Response[ScheduleAnswer]:
    found, versions = _id_of(schedule_id), as_read(if_match)
    return _tagged(await schedules.change(found, changes, actor=actor, as_read=versions))


def _tagged(view: ScheduleView) -> Response[ScheduleAnswer]:
    return tagged(schedule_answer(view), view.schedule.version)


def _duration(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)


def _key(view: ScheduleView) -> tuple[int, str, str]:
    schedule = view.schedule
    return int(not schedule.is_configured), stamp(schedule.created_at), str(schedule.id)


def _id_of(schedule_id: str) -> ScheduleId:
    return ScheduleId(uuid_of("scheduleId", schedule_id, "a schedule"))
