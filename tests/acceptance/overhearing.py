"""All that passes on the bus of a running system, held against the document of the events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import nats
from nats.aio.msg import Msg

from tests.json_schema import faults
from tradesaga.bootstrap import databases
from tradesaga.bootstrap.bus_users import OPERATOR
from tradesaga.bootstrap.children import spoken_as
from tradesaga.bootstrap.event_documents import events_document
from tradesaga.embedded.nats import read_logins
from tradesaga.paper.bus import DOMAINS
from tradesaga.paper.settings import Dialect

Described = Mapping[str, Any]


@asynccontextmanager
async def overheard(
    state_dir: Path, dialect: Dialect = Dialect.SPECIFICATION
) -> AsyncIterator[list[Msg]]:
    """The messages from now on, as they are on the wire."""
    port = json.loads((state_dir / "ports.json").read_text(encoding="utf-8"))["nats"]
    passed: list[Msg] = []

    async def take(message: Msg) -> None:
        passed.append(message)

    async def ignore(_: Exception) -> None: ...

    client = await nats.connect(
        f"nats://127.0.0.1:{port}", user=OPERATOR, password=read_logins(state_dir)[OPERATOR],
        allow_reconnect=False, error_cb=ignore,
    )  # fmt: skip
    prefix = "ai-trader." if dialect is Dialect.SPECIFICATION else ""
    try:
        for domain in DOMAINS:
            await client.subscribe(f"{prefix}{domain}.>", cb=take)
        await client.flush()
        yield passed
    finally:
        await client.close()


def type_of(message: Msg) -> str:
    """By its envelope."""
    return str(json.loads(message.data)["metadata"]["eventType"])


def broken(passed: Sequence[Msg], dialect: Dialect = Dialect.SPECIFICATION) -> list[str]:
    """What is not as the document says, and which of its schemas could not have said so."""
    settings = databases.plan(None, {}, spoken_as(dialect)).loaded.settings
    whole = json.loads(events_document(settings))
    described, found = whole["components"]["messages"], []
    latest = {type_of(message): message for message in passed}
    for message in passed:
        kind = type_of(message)
        if kind in described:
            found += [f"{kind}: {fault}" for fault in _faults(message, described[kind], whole)]
        else:
            found.append(f"{kind} on {message.subject} is not described")
    for kind, message in latest.items():
        if kind in described:
            found += [
                f"{kind} without {field} passes"
                for field in _not_missed(json.loads(message.data), described[kind], whole)
            ]
    return found


def _faults(message: Msg, described: Described, whole: Described) -> Iterator[str]:
    body, headers = json.loads(message.data), dict(message.headers or {})
    yield from faults(body, described["payload"], whole)
    yield from faults(headers, described["headers"], whole)
    event_id = body["metadata"]["eventId"]
    if headers.get("Nats-Msg-Id", event_id) != event_id:
        yield f"{headers} are not of {event_id}"
    name = described["name"]
    addresses = [c["address"] for c in whole["channels"].values() if name in c["messages"]]
    if addresses and not any(fnmatchcase(message.subject, a.replace(">", "*")) for a in addresses):
        yield f"{message.subject} is none of {addresses}"


def _not_missed(body: Described, described: Described, whole: Described) -> Iterator[str]:
    """Demanded fields of the payload that could be left out of this very message."""
    nested = described["payload"].get("anyOf", [described["payload"]])[0]
    form = nested["properties"]["payload"]["$ref"].rpartition("/")[2]
    for field in whole["components"]["schemas"][form].get("required", []):
        payload = {name: value for name, value in body["payload"].items() if name != field}
        if not any(faults({**body, "payload": payload}, described["payload"], whole)):
            yield field
