"""`tradesaga checkpoints`: who had the agent, and what was found and done after each start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.flags import PageSize
from tradesaga.cli.rendering import moment

HERE: Final = Server()
DIGITS: Final = 12
"""Of a digest, enough to tell two apart."""


async def checkpoints(
    *,
    limit: PageSize = 5,
    server: Server = HERE,
) -> int:
    """Show the latest starts and hand-overs: what was open, what became of it, what has changed.

    Parameters
    ----------
    limit
        How many, 1 to 1000.
    """
    answer = call(server, "GET", "/checkpoints", query={"limit": limit})
    return await tell(server, answer, _text)


def _text(answer: Mapping[str, Any]) -> list[str]:
    found = answer["checkpoints"]
    return [line for one in found for line in _lines(one)] or ["no checkpoint yet"]


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    words = one["occasion"].replace("_", " ")
    yield f"{moment(one['takenAt'])}  {words}, epoch {one['epoch']}, lineage {one['lineage']}"
    parts = (f"{name} {one[name][:DIGITS]}" for name in ("code", "configuration", "strategies"))
    yield f"    release {one['release']}, {', '.join(parts)}"
    if one["changed"]:
        yield f"    changed since the one before: {', '.join(one['changed'])}"
    report = one["report"]
    if "sagasFound" in report:
        yield (
            f"    found {len(report['cyclesCancelled'])} unfinished cycles (cancelled) and "
            f"{report['sagasFound']} open sagas: {report['sagasEnded']} ended, "
            f"{report['waitingForPerson']} wait for a person"
        )
    else:
        yield f"    left {report.get('sagasOpen', 0)} sagas open"
    for saga in report.get("sagas", ()):
        line = f"    {saga['sagaId']} {saga['symbol']} {saga['filled']}"
        yield f"{line}: {saga['found']} -> {saga['now']}"
