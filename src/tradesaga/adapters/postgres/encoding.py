"""Values to the JSON objects that `apply` writes: one operation per kind of row.

Decimals travel as JSON strings and become `numeric`, so no digit is lost; where the column itself
is JSON they are JSON numbers. An update carries only what may change. Refused at this door, as
`Invalid`: a naive time, text that is no UTF-8, a value of another agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import IntEnum, auto
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec

from tradesaga.adapters.chain import to_wire
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Ladder, Reason
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Fill, Order, Reservation, Trade, Void
from tradesaga.domain.saga import Saga
from tradesaga.domain.schedule import Schedule
from tradesaga.domain.strategies import Strategy
from tradesaga.ports.journal import (
    Add,
    CycleLog,
    DeadLetter,
    InboxEntry,
    Insert,
    PositionDelta,
    Row,
    Update,
)

_encode = msgspec.json.Encoder().encode


class Operation(IntEnum):
    """The parameters of `apply`, in its order."""

    AGENT_NEW = 0
    AGENT_SET = auto()
    COUNTS_ADD = auto()
    RARE_NEW = auto()
    RARE_SET = auto()
    CYCLE_NEW = auto()
    CYCLE_SET = auto()
    CYCLE_LOG = auto()
    DECISION_NEW = auto()
    SAGA_NEW = auto()
    SAGA_SET = auto()
    ORDER_NEW = auto()
    ORDER_SET = auto()
    VENUE_ID = auto()
    RESERVATION_NEW = auto()
    RESERVATION_SET = auto()
    FILL_NEW = auto()
    TRADE_NEW = auto()
    POSITION_ADD = auto()
    INBOX_NEW = auto()
    DEAD_LETTER = auto()


_RARE = frozenset({Operation.RARE_NEW, Operation.RARE_SET})

Key = tuple[str, str | int]
"""Table and key of a row: an id as its number, which is hashed without calling Python."""
Part = tuple[Operation, bytes]
"""One row for one parameter of `apply`."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one type is stored; `changing` are the fields that an update carries.

    Types that are written now and then take the operations RARE_NEW and RARE_SET, which know the
    table by its name; the statements of the others are written out for speed.
    """

    table: str
    insert: Operation
    update: Operation | None = None
    changing: tuple[str, ...] = ()
    special: Mapping[str, Callable[[Any], object]] | None = None


def _numbers(values: Mapping[str, object]) -> dict[str, object]:
    """A mapping whose Decimals are JSON numbers that no reader takes for integers."""
    return {name: _number(value) for name, value in values.items()}


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, object]]:
    """As stored: how often a cause was found absent is not."""
    return [
        {
            "cause": reason.cause,
            "scope": reason.scope.kind,
            "subject": reason.scope.subject,
            "detail": reason.detail,
            "since": reason.since,
            "who": reason.who,
            "acknowledged_by": reason.acknowledged_by,
        }
        for reason in reasons
    ]


def _number(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    if not value.is_finite():
        raise Invalid([f"{value} is no amount"])
    text = format(value, "f")
    return msgspec.Raw((text if "." in text else text + ".0").encode())


def _fields(cls: type, *without: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.name not in without)


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_KINDS: Mapping[type, _Kind] = {
    Agent: _Kind("agent_status", Operation.AGENT_NEW, Operation.AGENT_SET, _fields(Agent)),
    Schedule: _Kind(
        "strategy_schedules",
        Operation.RARE_NEW,
        Operation.RARE_SET,
        _fields(Schedule, "strategy_id", "cycle_type", "created_at"),
    ),
    Strategy: _Kind(
        "strategies",
        Operation.RARE_NEW,
        Operation.RARE_SET,
        _fields(Strategy, "external_id", "created_at"),
        {"parameters": _numbers},
    ),
    Cycle: _Kind(
        "cycles",
        Operation.CYCLE_NEW,
        Operation.CYCLE_SET,
        _fields(Cycle, "type", "triggered_by", "scheduled_at", "started_at", "epoch"),
        {"metadata": _numbers},
    ),
    Decision: _Kind("decisions", Operation.DECISION_NEW),
    Saga: _Kind(
        "sagas",
        Operation.SAGA_NEW,
        Operation.SAGA_SET,
        _names("id agent_id updated_at status cursor attempt due pivoted partial reason version"),
    ),
    Order: _Kind(
        "orders",
        Operation.ORDER_NEW,
        Operation.ORDER_SET,
        _names(
            "id agent_id status venue_order_id filled_quantity filled_value fees sends lookups"
            " unknown_since cancel_wanted_at cancel_requested_at submitted_at acked_at ended_at"
            " evidence version"
        ),
    ),
    Reservation: _Kind(
        "reservations",
        Operation.RESERVATION_NEW,
        Operation.RESERVATION_SET,
        _names("id agent_id consumed released state closed_at version"),
    ),
    Checkpoint: _Kind("checkpoints", Operation.RARE_NEW),
    LimitChange: _Kind("risk_limits", Operation.RARE_NEW, special={"limits": _numbers}),
    Fill: _Kind("fills", Operation.FILL_NEW),
    Trade: _Kind("trades", Operation.TRADE_NEW),
    Ladder: _Kind(
        "ladders",
        Operation.RARE_NEW,
        Operation.RARE_SET,
        _fields(Ladder),
        {"reasons": _reasons},
    ),
    EquityMarks: _Kind(
        "equity_marks", Operation.RARE_NEW, Operation.RARE_SET, _fields(EquityMarks)
    ),
    Void: _Kind("voids", Operation.RARE_NEW),
}
_ADDITIONS: Mapping[type, Operation] = {
    CycleLog: Operation.CYCLE_LOG,
    InboxEntry: Operation.INBOX_NEW,
    DeadLetter: Operation.DEAD_LETTER,
    PositionDelta: Operation.POSITION_ADD,
    AgentCounts: Operation.COUNTS_ADD,
}


def encode_rows(agent_id: AgentId, rows: tuple[Row, ...]) -> tuple[list[Part], list[Key]]:
    """The parts for `apply`, and the keys that the rows claim: each at most once in a batch.

    Raises:
        Invalid: a value that cannot be stored as it is.
    """
    parts: list[Part] = []
    keys: list[Key] = []
    try:
        for row in rows:
            kind = _KINDS.get(type(row.value))
            if kind is None:
                parts.append(_addition(agent_id, row))
                if isinstance(row.value, InboxEntry):
                    keys.append(("inbox", row.value.event_id))
            else:
                parts.extend(_stored(agent_id, row, kind))
                assert not isinstance(row.value, CycleLog | InboxEntry | DeadLetter)
                assert not isinstance(row.value, PositionDelta | AgentCounts)
                keys.append((kind.table, row.value.id.int))
    except (TypeError, UnicodeError, OverflowError) as error:
        raise Invalid([f"a row cannot be stored: {error}"]) from error
    if len(set(keys)) < len(keys):
        raise Invalid([f"a change touches a row twice: {', '.join(map(str, keys))}"])
    return parts, keys


def key_of(table: str, name: str) -> Key:
    """The key of a row as `apply` names it when it refuses it."""
    return table, name if table == "inbox" else UUID(name).int


def _stored(agent_id: AgentId, row: Row, kind: _Kind) -> Iterator[Part]:
    value: Any = row.value
    owner = value.id if isinstance(value, Agent) else value.agent_id
    if owner != agent_id:
        raise Invalid([f"{kind.table} {value.id} belongs to agent {owner}, not to {agent_id}"])
    check_times(value)
    is_update = isinstance(row, Update)
    operation = kind.update if is_update else kind.insert
    if operation is None or isinstance(row, Add):
        raise Invalid([f"a row of {kind.table} is only inserted"])
    if kind.special is None and not is_update and operation is not Operation.RARE_NEW:
        yield operation, _encode(value)
    else:
        content = (_CHANGING if is_update else _ALL)[type(value)](value)
        for name, convert in (kind.special or {}).items():
            content[name] = convert(content[name])
        if operation in _RARE:
            content = {"table": kind.table, "row": content}
        yield operation, _encode(content)
    if isinstance(value, Order) and value.venue_order_id is not None:
        known = {"agent_id": agent_id, "order_id": value.id, "venue_order_id": value.venue_order_id}
        yield Operation.VENUE_ID, _encode(known)


def _addition(agent_id: AgentId, row: Row) -> Part:
    """Rows of types that know no agent."""
    value: Any = row.value
    operation = _ADDITIONS[type(value)]
    is_sum = operation in (Operation.POSITION_ADD, Operation.COUNTS_ADD)
    if not isinstance(row, Add if is_sum else Insert):
        raise Invalid([f"{type(value).__name__} cannot be written by {type(row).__name__}"])
    check_times(value)
    content = _ALL[type(value)](value)
    content["agent_id"] = agent_id
    if operation is Operation.CYCLE_LOG:
        content["context"] = msgspec.Raw(to_wire(value.context))
    return operation, _encode(content)


class _Reader:
    """Reads some fields of a value in one go."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        # Of two names or more it answers a tuple; what is read beyond ours is left out by zip.
        self._read = attrgetter(*names, "__class__", "__class__")

    def __call__(self, value: object) -> dict[str, Any]:
        return dict(zip(self._names, self._read(value), strict=False))


def check_times(value: object) -> None:
    """Refuse a naive time: Postgres would take it for local time without a word."""
    for name, at in _TIMES[type(value)](value).items():
        if at is not None and at.tzinfo is None:
            raise Invalid([f"{type(value).__name__}.{name} is {at}, a time without a zone"])


_ALL: Mapping[type, _Reader] = {cls: _Reader(_fields(cls)) for cls in (*_KINDS, *_ADDITIONS)}
_CHANGING: Mapping[type, _Reader] = {cls: _Reader(kind.changing) for cls, kind in _KINDS.items()}
# Annotations are text here; "datetime" and "datetime | None" are all there is.
_TIMES: Mapping[type, _Reader] = {
    cls: _Reader(tuple(f.name for f in fields(cls) if str(f.type).startswith("datetime")))
    for cls in (*_KINDS, *_ADDITIONS)
}
