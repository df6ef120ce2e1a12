"""A recorded life against its replay: the same decisions, the same orders, or what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tradesaga.domain.decisions import Decision
from tradesaga.domain.orders import Order
from tradesaga.replay.tape import Line

ABSENT = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One thing that came out differently; `what` names it."""

    what: str
    recorded: str
    replayed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What the replay of a recorded life came to.

    `unanswered` are questions that were asked this time alone, such as one poll more of an order:
    no difference by themselves. Nor are `cut_off`: decisions and orders that were being written
    when the life ended, of which the recording cannot know whether they were. `astray` names what
    was asked first that is not on the tape; empty if all was asked, and came, as it did.
    """

    decisions: int
    orders: int
    divergences: Sequence[Divergence]
    unanswered: Sequence[str] = ()
    cut_off: Sequence[str] = ()
    astray: str = ""


def settings_that_differ(
    recorded: Mapping[str, Any], present: Mapping[str, Any]
) -> Iterator[Divergence]:
    """Keys whose value is another one now; where servers are makes no difference here."""
    for key in sorted({*recorded, *present}):
        was, now = recorded.get(key, ABSENT), present.get(key, ABSENT)
        elsewhere = key.split(".")[0] in ("database", "eventBus", "server", "logging")
        if was != now and not elsewhere and not key.endswith(".url"):
            yield Divergence(what=f"setting {key}", recorded=str(was), replayed=str(now))


def differences(
    lines: Sequence[Line],
    decisions: Sequence[Decision],
    orders: Sequence[Order],
    *,
    past: Iterable[Order] = (),
) -> Sequence[Divergence]:
    """Decisions by the decision maker's id, orders by our id, as they were last written.

    `past` are the orders that the life began with.
    """
    recorded = {f"order {one.client_order_id}": _ordered(one) for one in past}
    recorded |= {
        f"decision {line.key}": _decided(msgspec.json.decode(line.body, type=Decision))
        for line in lines
        if line.kind == "decision"
    }
    recorded |= {
        f"order {line.key}": _ordered(msgspec.json.decode(line.body, type=Order))
        for line in lines
        if line.kind == "order"
    }
    replayed = {name_of(one): _decided(one) for one in decisions}
    replayed |= {name_of(one): _ordered(one) for one in orders}
    names = [*recorded, *(name for name in replayed if name not in recorded)]
    both = ((what, recorded.get(what, ABSENT), replayed.get(what, ABSENT)) for what in names)
    return [
        Divergence(what=what, recorded=was, replayed=now) for what, was, now in both if was != now
    ]


def name_of(one: Decision | Order) -> str:
    """What it is called in a comparison."""
    return (
        f"decision {one.external_id}"
        if isinstance(one, Decision)
        else f"order {one.client_order_id}"
    )


def _decided(one: Decision) -> str:
    codes = ", ".join(denial.code for denial in one.denials)
    said = f"{one.symbol} {one.action} {one.quantity.normalize():f} {one.verdict}"
    return f"{said} {codes}".rstrip()


def _ordered(one: Order) -> str:
    value = "" if not one.filled_quantity else f" for {one.filled_value.normalize():f}"
    quantities = f"{one.filled_quantity.normalize():f}/{one.quantity.normalize():f}"
    return f"{one.side} {quantities} {one.symbol}{value} {one.status}"
