"""`tradesaga events`: the event bus for a person."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter, validators

from tradesaga.bootstrap import event_console
from tradesaga.bootstrap.event_console import ByHand, ConsoleOptions, Seen
from tradesaga.bootstrap.event_documents import events_document, schema_of
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.cli.flags import ConfigFile, Output
from tradesaga.config import process_environment
from tradesaga.domain.errors import Invalid

events: Final = App(
    name="events", help="Watch the event bus, publish by hand or again, show the schemas."
)
Sequence = Annotated[int, Parameter(validator=validators.Number(gte=1))]
Number = Annotated[int, Parameter(validator=validators.Number(gte=1))]
ABOUT: Final = (
    "cycleType", "sagaType", "symbol", "action", "side", "quantity", "filledQuantity", "status",
    "strategyId", "session", "service", "error", "sagaId", "cycleId",
)  # fmt: skip
ABOUT_MAX: Final = 4
"""What a line tells of an event: the first of these fields that it has."""


@events.command
def tail(
    *subjects: str,
    count: Number | None = None,
    config: ConfigFile = None,
    state_dir: Path | None = None,
    output: Output = "text",
) -> int:
    """Print every event from now on; 1 if one of them broke its schema.

    Parameters
    ----------
    subjects
        NATS subjects; without any, all that the platform uses.
    count
        End after so many.
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs.
    output
        Text for people, or the messages themselves, one a line.
    """
    options = ConsoleOptions(config=config, state_dir=state_dir)
    return asyncio.run(_tail(options, subjects, count, as_json=output == "json"))


@events.command
def publish(
    event_type: str,
    /,
    *,
    payload: str | None = None,
    file: Path | None = None,
    source: str = "operator",
    correlation_id: str | None = None,
    config: ConfigFile = None,
    state_dir: Path | None = None,
) -> int:
    """Publish one event by hand, if it keeps to its schema.

    An event that the orchestrator listens to has its effect: an `ai.decision.generated` may trade.

    Parameters
    ----------
    event_type
        Such as `ai.decision.generated`.
    payload
        The payload, a JSON object; else it is read from `file`.
    file
        A file with the payload, - for standard input.
    source
        Who says it.
    correlation_id
        What it is about.
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs.
    """
    event = ByHand(
        type=event_type,
        payload=event_console.payload_of(_given(payload, file)),
        source=source,
        correlation_id=correlation_id,
    )
    options = ConsoleOptions(config=config, state_dir=state_dir)
    print(asyncio.run(event_console.publish(options, process_environment(), event)))
    return ExitCode.OK


@events.command
def replay(
    *,
    since: Sequence,
    until: Sequence | None = None,
    config: ConfigFile = None,
    state_dir: Path | None = None,
) -> int:
    """Publish the orchestrator's own events again, from the log, under the same ids.

    Whoever reads them must know an id that came before: delivery is at least once.

    Parameters
    ----------
    since
        The log's number of the first event.
    until
        The number of the last; the head without it.
    config
        The YAML file; without it defaults and environment.
    state_dir
        The directory of a system that `tradesaga up` runs.
    """
    options = ConsoleOptions(config=config, state_dir=state_dir)
    coming = event_console.republish(options, process_environment(), since=since, until=until)
    print(f"{asyncio.run(coming):,} events published again", file=sys.stderr)
    return ExitCode.OK


@events.command
def schema(event_type: str | None = None, /, *, config: ConfigFile = None) -> int:
    """Print the JSON Schema of an event type, or the AsyncAPI document of all.

    Parameters
    ----------
    event_type
        Such as `orchestrator.cycle.started`; without it the whole document.
    config
        The YAML file, for the subjects of the document.
    """
    if event_type is None:
        body = events_document(event_console.settings_of(config, process_environment()))
    else:
        body = msgspec.json.encode(schema_of(event_type))
    print(msgspec.json.format(body, indent=2).decode())
    return ExitCode.OK


async def _tail(
    options: ConsoleOptions, subjects: tuple[str, ...], count: int | None, *, as_json: bool
) -> int:
    seen, broken = 0, 0
    coming = event_console.tail(options, process_environment(), subjects)
    async with aclosing(coming) as messages:
        async for message in messages:
            print(message.body.decode(errors="replace") if as_json else _line(message), flush=True)
            seen += 1
            broken += message.problem is not None
            if seen == count:
                break
    return ExitCode.FAILED if broken else ExitCode.OK


def _line(seen: Seen) -> str:
    """When, what, about what, and its id; the subject where it does not end with the type."""
    said = "" if seen.problem is None else f"  BROKEN: {seen.problem}"
    kind = seen.event_type or "?"
    known = kind if seen.subject.endswith(kind) else f"{seen.subject}  {kind}"
    at, about = _told(seen.body)
    return "  ".join(filter(None, (at, f"{known:<36}", about, seen.event_id or "?"))) + said


def _told(body: bytes) -> tuple[str, str]:
    """The time of an event and what it is about, as far as it can be read."""
    try:
        event = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return "", ""
    envelope = event.get("metadata")
    payload = event.get("payload")
    at = (envelope if isinstance(envelope, dict) else event).get("timestamp")
    named = payload if isinstance(payload, dict) else event
    plain = {key: one for key, one in named.items() if isinstance(one, str | int | float)}
    about = [f"{key}={plain[key]}" for key in ABOUT if key in plain]
    return at[11:19] + "Z" if isinstance(at, str) else "", " ".join(about[:ABOUT_MAX])


def _given(payload: str | None, file: Path | None) -> bytes:
    if (payload is None) == (file is None):
        raise Invalid(["give the payload by --payload or by --file"])
    if payload is not None:
        return payload.encode()
    assert file is not None
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Invalid([f"{file} cannot be read: {error.strerror}"]) from error
