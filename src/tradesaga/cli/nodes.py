"""`tradesaga nodes`: the processes side by side, and which of them leads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.rendering import moment

HERE: Final = Server()
NAMED_MAX: Final = 3
"""More agents are counted, not named."""
DIGITS: Final = 12
"""Of a digest, enough to tell two apart."""


async def nodes(*, server: Server = HERE) -> int:
    """Show the nodes that live, the eldest first: where each answers, and what it leads."""
    return await tell(server, call(server, "GET", "/nodes"), _text)


def _text(answer: Mapping[str, Any]) -> list[str]:
    return [line for one in answer["nodes"] for line in _lines(one, answer)] or ["no node yet"]


def _lines(one: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[str]:
    is_here = one["id"] == answer["here"]
    number = len(one["leads"])
    leads = f"leads {', '.join(one['leads'])}" if number else "stands by"
    if number > NAMED_MAX:
        leads = f"leads {number} agents"
    here = ", answers here" if is_here else ""
    yield f"{one['url'] or 'no API yet'}  {leads}, since {moment(one['startedAt'])}{here}"
    parts = (f"{name} {one[name][:DIGITS]}" for name in ("code", "configuration"))
    yield f"    release {one['release']}, {', '.join(parts)}"
    if is_here and answer["hindrance"]:
        yield f"    may not lead: {answer['hindrance']}"
