"""Commands on schedules: list them, see when they fire, add, switch and trigger them.

The cycles of the configuration are listed too; they are changed in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from cyclopts import App, Parameter, validators

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.rendering import NOTHING, moment, table

HERE: Final = Server()
_COLUMNS: Final = ("CYCLE", "STRATEGY", "WHEN", "ENABLED", "PRIORITY", "LAST", "NEXT", "ID")

schedules = App(name="schedules", help="List, add, switch and trigger schedules.")

Id = Annotated[str, Parameter(help="The id from the list.")]


@schedules.command(name="ls")
async def list_schedules(*, server: Server = HERE) -> int:
    """List schedules, the configuration's first, with what they say in words."""
    return await tell(server, call(server, "GET", "/schedules"), _list_text)


@schedules.command(name="next")
async def next_fires(
    schedule_id: Id,
    /,
    *,
    count: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=100))] = 10,
    server: Server = HERE,
) -> int:
    """Show when a schedule fires next, in words and times.

    Parameters
    ----------
    count
        How many fires, 1 to 100.
    """
    answer = call(server, "GET", _path_of(schedule_id, "next"), query={"count": count})
    return await tell(server, answer, _fires_text)


@schedules.command(name="add")
async def add(
    strategy: str,
    type: Literal["interval", "cron", "event"],
    value: str,
    /,
    *,
    timezone: str | None = None,
    priority: Annotated[int, Parameter(validator=validators.Number(gte=-1000, lte=1000))] = 0,
    overlap: Literal["skip", "buffer"] = "skip",
    disabled: Annotated[bool, Parameter(negative=())] = False,
    server: Server = HERE,
) -> int:
    """Add a schedule of a strategy; while enabled it replaces the configured analysis for it.

    Parameters
    ----------
    strategy
        Id or external id of the strategy.
    type
        What the value is.
    value
        30s, 5m, 1h; "0 10 * * 1-5" or @daily; market.session.changed=regular.
    timezone
        Of a cron expression; else the configuration's.
    priority
        Higher goes first when several wait.
    overlap
        Drop or keep a fire that meets its own cycle.
    disabled
        Add it without letting it fire.
    """
    fields = {
        "strategyId": strategy,
        "type": type,
        "value": value,
        "timezone": timezone,
        "priority": priority,
        "overlap": overlap,
        "enabled": not disabled,
    }
    return await tell(server, call(server, "POST", "/schedules", fields=fields), _one_text)


@schedules.command(name="enable")
async def enable(schedule_id: Id, /, *, server: Server = HERE) -> int:
    """Let a schedule fire, from now on."""
    return await tell(server, call(server, "POST", _path_of(schedule_id, "enable")), _one_text)


@schedules.command(name="disable")
async def disable(schedule_id: Id, /, *, server: Server = HERE) -> int:
    """Keep a schedule from firing."""
    return await tell(server, call(server, "POST", _path_of(schedule_id, "disable")), _one_text)


@schedules.command(name="rm")
async def remove(schedule_id: Id, /, *, server: Server = HERE) -> int:
    """Remove a schedule for good."""
    return await tell(server, call(server, "DELETE", _path_of(schedule_id)), _one_text)


@schedules.command(name="trigger")
async def trigger(schedule_id: Id, /, *, server: Server = HERE) -> int:
    """Run the cycle of a schedule now; its next fire stays where it is."""
    answer = call(server, "POST", _path_of(schedule_id, "trigger"))
    return await tell(server, answer, _triggered_text)


async def analyze(
    strategy: str,
    /,
    *,
    symbol: Annotated[list[str] | None, Parameter(negative=())] = None,
    server: Server = HERE,
) -> int:
    """Analyse a strategy now, beside its schedules.

    Parameters
    ----------
    strategy
        Id or external id of the strategy.
    symbol
        Only this symbol of the strategy; can be given several times.
    """
    path = f"/strategies/{quote(strategy, safe='')}/analyze"
    answer = call(server, "POST", path, fields={"symbols": symbol})
    return await tell(server, answer, _triggered_text)


def _list_text(answer: Mapping[str, Any]) -> list[str]:
    return table(_COLUMNS, [_row(schedule) for schedule in answer["schedules"]], right=(4,))


def _one_text(schedule: Mapping[str, Any]) -> list[str]:
    return table(_COLUMNS, [_row(schedule)], right=(4,))


def _fires_text(answer: Mapping[str, Any]) -> list[str]:
    fires = [moment(at) for at in answer["fires"]]
    return [answer["schedule"]["description"], *(fires or ["no fires by the clock"])]


def _triggered_text(answer: Mapping[str, Any]) -> list[str]:
    return [f"cycle {answer['cycleId']} {'queued' if answer['queued'] else 'started'}"]


def _row(schedule: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        schedule["cycleType"],
        schedule["strategy"] or NOTHING,
        schedule["description"],
        "yes" if schedule["enabled"] else "no",
        str(schedule["priority"]),
        moment(schedule["lastRunAt"]),
        moment(schedule["nextRunAt"]),
        schedule["id"],
    )


def _path_of(schedule_id: str, *more: str) -> str:
    # Quoted: an id with a slash or a question mark must not become another path.
    return "/".join(("/schedules", quote(schedule_id, safe=""), *more))
