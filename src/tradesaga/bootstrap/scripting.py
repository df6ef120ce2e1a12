"""What a replay is told: configuration, recording and strategies as one script.

The configuration is read as for `serve`; where servers would be named stands a stand-in, since a
replay has none. The venue's capabilities are those of the simulated one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tradesaga.adapters.nats.topology import covers, subscriptions
from tradesaga.bootstrap import translation
from tradesaga.bootstrap.simulated import START_CASH, VISIBILITY_LAG_MS
from tradesaga.config import Loaded, Settings, load
from tradesaga.domain.errors import Invalid
from tradesaga.paper.minutes import minute_of, start_of
from tradesaga.paper.recordings import DEFAULT_DATA, NEW_YORK, Recording, Span
from tradesaga.paper.recordings import load as load_recording
from tradesaga.paper.strategies import default_strategies, definitions_of, load_strategies
from tradesaga.paper.venue import VenueRules
from tradesaga.replay.neighbours import Market
from tradesaga.replay.playing import Script

_ENGINE: Final = "ORCHESTRATOR__SERVICES__TRADINGENGINE__"
_STAND_INS: Final = {
    "DB_HOST": "replay.invalid",
    "DB_PORT": "1",
    "NATS_URL": "nats://replay.invalid:4222",
    f"{_ENGINE}CLIENTORDERID": "honoured",
    f"{_ENGINE}VISIBILITYLAG": str(VISIBILITY_LAG_MS),
}
Edge = date | datetime
"""A day of the exchange, whole, or a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOptions:
    """What the command line says; None and () leave it to the defaults."""

    data: tuple[Path, ...] = ()
    begin: Edge | None = None
    end: Edge | None = None
    seed: int = 1
    strategies: Path | None = None
    config: Path | None = None
    start_cash: Decimal = START_CASH


def configuration(
    options: ScriptOptions, environment: Mapping[str, str], *, limits: Path | None = None
) -> Loaded:
    """The configuration of a replay, with other risk limits if a file has them. Raises Invalid.

    With simulated money no strategy begins small, unless the configuration says so.
    """
    there = {**environment, **_STAND_INS}
    found = load(options.config, there, limits=limits)
    if found.origins["risk.canaryPercent"] != "default":
        return found
    return load(options.config, there, {"risk.canaryPercent": "100"}, limits=limits)


def recorded_settings(known: Mapping[str, Any]) -> Settings:
    """The settings of a recorded life, by path. Raises Invalid if they are none any more."""
    elsewhere = ("database.", "eventBus.", "server.", "logging.")
    overrides = {
        path: value if isinstance(value, str) else json.dumps(value)
        for path, value in known.items()
        if not path.startswith(elsewhere)
    }
    return load(None, _STAND_INS, overrides).settings


def script_of(options: ScriptOptions, settings: Settings) -> Script:
    """The script that the options and the configuration make. Raises Invalid."""
    recording = load_recording(options.data or DEFAULT_DATA)
    spans = cut(recording, options.begin, options.end)
    plain = (
        default_strategies(recording.symbols)
        if options.strategies is None
        else load_strategies(options.strategies)
    )
    engine, capabilities = (
        # Virtual time knows no load: the heartbeat's comparisons are enough for a replay.
        replace(translation.engine_settings(settings), reconcile_every=None),
        translation.venue_capabilities(settings),
    )
    first, last = start_of(spans[0].start), start_of(spans[-1].end)
    return Script(
        market=Market(
            recording=recording,
            rules=VenueRules(seed=options.seed),
            start_cash=options.start_cash,
            definitions=definitions_of(plain, []),
        ),
        spans=spans,
        seed=options.seed,
        settings=engine,
        policy=translation.saga_policy(settings, capabilities),
        capabilities=capabilities,
        strategies=translation.strategies_of(
            plain, agent_id=engine.agent_id, now=start_of(spans[0].start - 1)
        ),
        calendar=translation.calendar_around(settings, first, last),
        listens=_listens(settings),
    )


def cut(recording: Recording, begin: Edge | None, end: Edge | None) -> Sequence[Span]:
    """The spans from `begin` to `end`, a day included, a moment not. Raises Invalid."""
    first = None if begin is None else minute_of(_moment(begin))
    until = None if end is None else minute_of(_moment(end, days=1))
    found = [
        replace(
            span,
            start=span.start if first is None else max(span.start, first),
            end=span.end if until is None else min(span.end, until),
        )
        for span in recording.spans
    ]
    if kept := tuple(span for span in found if span.start < span.end):
        return kept
    days = f"{recording.spans[0].day} to {recording.spans[-1].day}"
    raise Invalid([f"--from, --to: no recorded minute lies between; the data has {days}"])


def edge_of(text: str | None, flag: str) -> Edge | None:
    """A day or a moment as the command line has it. Raises Invalid."""
    if text is None:
        return None
    try:
        if len(text) == len("2020-12-15"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(
            [f"{flag}: {text!r} is no day and no moment; write 2020-12-15 or 2020-12-15T15:00:00Z"]
        )
    return moment


def _moment(edge: Edge, *, days: int = 0) -> datetime:
    if isinstance(edge, datetime):
        return edge
    midnight = datetime(edge.year, edge.month, edge.day, tzinfo=NEW_YORK)
    return midnight + timedelta(days=days)


def _listens(settings: Settings) -> Callable[[str], bool]:
    """Whether the configuration subscribes to an event type of the neighbours'."""
    subjects, prefix = (
        subscriptions(settings.event_bus.subscriptions),
        translation.subject_prefix(settings),
    )
    known: dict[str, bool] = {}

    def listens(event_type: str) -> bool:
        if event_type not in known:
            subject = f"{prefix}.{event_type}" if prefix else event_type
            known[event_type] = any(covers(wide, subject) for wide in subjects)
        return known[event_type]

    return listens
