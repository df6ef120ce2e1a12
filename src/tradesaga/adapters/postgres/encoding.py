"""Values to the JSON objects that `apply` writes: one operation per kind of row.

Decimals travel as JSON strings and become `numeric`, so no digit is lost; where the column itself
is JSON they are JSON numbers. An update carries only what may change. Refused at this door, as
`Invalid`: a naive time, text that is no UTF-8, a value of another agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import IntEnum, auto
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec

from tradesaga.adapters.chain import to_wire
from tradesaga.adapters.postgres.fields import reading, time_check
from tradesaga.domain.access import ApiToken
from tradesaga.domain.account import Account
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.approval import Approval
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.dead_letters import LetterEnd
from tradesaga.domain.decision_cost import DecisionCharge
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Ladder, Reason
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Fill, Order, Reservation, Trade, Void
from tradesaga.domain.repeats import KeptAnswer
from tradesaga.domain.saga import Saga
from tradesaga.domain.schedule import FiresMark, Schedule
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
    Approval: _Kind("approvals", Operation.RARE_NEW, Operation.RARE_SET, _fields(Approval)),
    ApiToken: _Kind(
        "api_tokens",
        Operation.RARE_NEW,
        Operation.RARE_SET,
        _fields(ApiToken, "name", "scopes", "created_at", "created_by"),
    ),
    Account: _Kind(
        "accounts", Operation.RARE_NEW, Operation.RARE_SET, _names("id agent_id retired_at version")
    ),
    KeptAnswer: _Kind(
        "kept_answers",
        Operation.RARE_NEW,
        Operation.RARE_SET,
        _names("id agent_id status media_type body withheld version"),
    ),
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
    CashMark: _Kind("cash_marks", Operation.RARE_NEW, Operation.RARE_SET, _fields(CashMark)),
    FiresMark: _Kind("fires_marks", Operation.RARE_NEW, Operation.RARE_SET, _fields(FiresMark)),
    Void: _Kind("voids", Operation.RARE_NEW),
    ExternalOrder: _Kind(
        "external_orders", Operation.RARE_NEW, Operation.RARE_SET, _fields(ExternalOrder)
    ),
    LetterEnd: _Kind("letter_ends", Operation.RARE_NEW),
    DecisionCharge: _Kind("decision_charges", Operation.RARE_NEW),
}
_ADDITIONS: Mapping[type, Operation] = {
    CycleLog: Operation.CYCLE_LOG,
    InboxEntry: Operation.INBOX_NEW,
    DeadLetter: Operation.DEAD_LETTER,
    PositionDelta: Operation.POSITION_ADD,
    AgentCounts: Operation.COUNTS_ADD,
}


def encode_rows(agent_id: AgentId, rows: tuple[Row, ...]) -> tuple[list[Part], set[Key]]:
    """The parts for `apply`, and the keys that the rows claim: each at most once in a batch.

    Raises:
        Invalid: a value that cannot be stored as it is.
    """
    parts: list[Part] = []
    keys: set[Key] = set()
    try:
        for row in rows:
            value: Any = row.value
            writer = _WRITERS.get((type(row), type(value)))
            if writer is None:
                raise _refusal(row)
            writer.check(value)
            if writer.owner is not None:
                owner = writer.owner(value)
                if owner is not agent_id and owner != agent_id:
                    raise Invalid([f"{writer.table} {value.id} belongs to {owner}, not {agent_id}"])
            if writer.key is not None:
                key = writer.table, writer.key(value)
                if key in keys:
                    raise Invalid([f"a change touches {key[0]} {key[1]} twice"])
                keys.add(key)
            parts.append((writer.operation, _encode(writer.content(value, agent_id))))
            if type(value) is Order and value.venue_order_id is not None:
                parts.append((Operation.VENUE_ID, _encode(_venue_id(value))))
    except (TypeError, UnicodeError, OverflowError) as error:
        raise Invalid([f"a row cannot be stored: {error}"]) from error
    return parts, keys


def key_of(table: str, name: str) -> Key:
    """The key of a row as `apply` names it when it refuses it."""
    return table, name if table == "inbox" else UUID(name).int


@dataclass(frozen=True, slots=True)
class _Writer:
    """How one kind of row of one type is encoded; no owner: a type that knows no agent."""

    operation: Operation
    table: str
    check: Callable[[Any], None]
    content: Callable[[Any, AgentId], object]
    owner: Callable[[Any], AgentId] | None
    key: Callable[[Any], str | int] | None


def _venue_id(order: Order) -> dict[str, object]:
    return {
        "agent_id": order.agent_id,
        "order_id": order.id,
        "venue_order_id": order.venue_order_id,
    }


def _refusal(row: Row) -> Invalid:
    cls = type(row.value)
    if (kind := _KINDS.get(cls)) is not None:
        return Invalid([f"a row of {kind.table} is only inserted"])
    return Invalid([f"{cls.__name__} cannot be written by {type(row).__name__}"])


def _itself(value: object, _agent_id: AgentId) -> object:
    return value


def _writer(cls: type, kind: _Kind, operation: Operation, names: tuple[str, ...]) -> _Writer:
    """What writes `names` of a type that has a table of its own."""
    read, special = reading(names), kind.special or {}

    def content(value: object, _agent_id: AgentId) -> object:
        found = read(value, None)
        for name, convert in special.items():
            found[name] = convert(found[name])
        return {"table": kind.table, "row": found} if operation in _RARE else found

    plain = not special and operation not in _RARE
    whole = plain and names == _fields(cls)
    return _Writer(
        operation=operation,
        table=kind.table,
        check=time_check(cls),
        content=_itself if whole else read if plain else content,
        owner=attrgetter("id" if cls is Agent else "agent_id"),
        key=attrgetter("id.int"),
    )


def _adder(cls: type, operation: Operation) -> _Writer:
    """What writes a type that knows no agent."""
    read = reading(_fields(cls), owned=True)

    def logged(value: CycleLog, agent_id: AgentId) -> object:
        return read(value, agent_id) | {"context": msgspec.Raw(to_wire(value.context))}

    return _Writer(
        operation=operation,
        table="inbox" if cls is InboxEntry else "",
        check=time_check(cls),
        content=logged if cls is CycleLog else read,
        owner=None,
        key=attrgetter("event_id") if cls is InboxEntry else None,
    )


_SUMS = (Operation.POSITION_ADD, Operation.COUNTS_ADD)
_WRITERS: Mapping[tuple[type, type], _Writer] = {
    **{
        (Insert, cls): _writer(cls, kind, kind.insert, _fields(cls)) for cls, kind in _KINDS.items()
    },
    **{
        (Update, cls): _writer(cls, kind, kind.update, kind.changing)
        for cls, kind in _KINDS.items()
        if kind.update is not None
    },
    **{
        (Add if operation in _SUMS else Insert, cls): _adder(cls, operation)
        for cls, operation in _ADDITIONS.items()
    },
}
