"""The bodies of the operations on schedules."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Value = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        description="interval: 30s, 5m, 1h or milliseconds; cron: five fields or @hourly, @daily, "
        "@weekly, @monthly, @yearly; event: its name, as market.session.changed=regular",
    ),
]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="IANA name of a time zone")]
Priority = Annotated[
    int, Meta(ge=-1000, le=1000, description="from -1000 to 1000; higher goes first")
]
CatchUp = Annotated[
    int,
    Meta(ge=0, le=86_400_000, description="milliseconds from 0 to 86400000: how late it may run"),
]
OverlapName = Annotated[
    Literal["skip", "buffer"],
    Meta(description="skip or buffer: what becomes of a fire that meets its own cycle"),
]


class ScheduleRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of add; the zone is that of the configuration unless given."""

    strategy_id: Annotated[
        str,
        Meta(min_length=1, max_length=200, description="the id or external id of a strategy"),
    ]
    type: Annotated[
        Literal["interval", "cron", "event"], Meta(description="interval, cron or event")
    ]
    value: Value
    timezone: Zone | None = None
    priority: Priority = 0
    catch_up: CatchUp | None = None
    overlap: OverlapName = "skip"
    enabled: Annotated[bool, Meta(description="false to add it without letting it fire")] = True


class ChangeScheduleRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of change; what is left out stays."""

    value: Value | None = None
    timezone: Zone | None = None
    priority: Priority | None = None
    catch_up: CatchUp | None = None
    overlap: OverlapName | None = None
    enabled: Annotated[bool, Meta(description="whether it fires")] | None = None


class AnalyseRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of analyze."""

    symbols: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=32)]],
            Meta(
                min_length=1,
                max_length=1000,
                description="a list of symbols of the strategy, 1 to 1000; leave it out for all",
            ),
        ]
        | None
    ) = None
