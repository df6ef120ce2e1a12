"""Rows to values: the columns come in the order of the fields, so a row is read by position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import asyncpg
import msgspec

from tradesaga.adapters.postgres.connection import Connection
from tradesaga.domain.access import AccessScope, ApiToken
from tradesaga.domain.agent import Agent, AgentStatus, Mode
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.checkpoint import Checkpoint, Occasion
from tradesaga.domain.cycle import Cycle, CycleError, CycleStatus, CycleType, TriggeredBy
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.ladder import Cause, Ladder, Reason, Scope, ScopeKind
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.orders import (
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Reservation,
    ReservationState,
    Side,
    Trade,
    Void,
)
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.schedule import Overlap, Schedule, ScheduleType
from tradesaga.domain.strategies import Strategy, StrategyMode, StrategyStatus
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import CycleLog
from tradesaga.ports.records import Submission

Value = TypeVar("Value")
Row: TypeAlias = "asyncpg.Record | tuple[Any, ...]"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


async def set_codecs(connection: Connection) -> None:
    """Let JSON columns come as objects whose numbers are int or Decimal."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            encoder=lambda value: _encode(value).decode(),
            decoder=_decode,
            format="text",
        )


def _member(enum: type[StrEnum]) -> Callable[[Any], object]:
    """The member of a stored value: a third of the time that calling the enum takes."""
    return {member.value: member for member in enum}.__getitem__


def _errors(stored: Sequence[Mapping[str, Any]] | None) -> tuple[CycleError, ...]:
    return tuple(
        CycleError(strategy_id=error.get("strategy_id"), error=str(error.get("error", "")))
        for error in stored or ()
    )


def _denials(stored: Sequence[Mapping[str, str]]) -> tuple[Denial, ...]:
    return tuple(Denial(code=d["code"], message=d["message"]) for d in stored)


def _reasons(stored: Sequence[Mapping[str, str]]) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            cause=Cause(reason["cause"]),
            scope=Scope(ScopeKind(reason["scope"]), reason["subject"]),
            detail=reason["detail"],
            since=datetime.fromisoformat(reason["since"]),
            who=reason["who"],
            acknowledged_by=reason["acknowledged_by"],
        )
        for reason in stored
    )


def _or_empty(stored: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return stored or {}


_CONVERSIONS: Mapping[type, Mapping[str, Callable[[Any], object]]] = {
    Agent: {"status": _member(AgentStatus), "mode": _member(Mode), "pause_reasons": frozenset},
    Schedule: {
        "cycle_type": _member(CycleType),
        "schedule_type": _member(ScheduleType),
        "overlap": _member(Overlap),
    },
    Strategy: {
        "status": _member(StrategyStatus),
        "symbols": tuple,
        "mode": _member(StrategyMode),
    },
    Cycle: {
        "type": _member(CycleType),
        "triggered_by": _member(TriggeredBy),
        "status": _member(CycleStatus),
        "errors": _errors,
        "metadata": _or_empty,
    },
    ApiToken: {"scopes": lambda stored: tuple(map(AccessScope, stored))},
    LimitChange: {"mode": _member(Mode)},
    Approval: {
        "side": _member(Side),
        "type": _member(OrderType),
        "state": _member(ApprovalState),
    },
    Checkpoint: {"occasion": _member(Occasion), "changed": tuple},
    CycleLog: {"context": _or_empty},
    Decision: {
        "action": _member(Action),
        "verdict": _member(Verdict),
        "denials": _denials,
        "rules": _or_empty,
    },
    Saga: {"status": _member(SagaStatus)},
    Order: {"side": _member(Side), "type": _member(OrderType), "status": _member(OrderStatus)},
    Reservation: {"state": _member(ReservationState)},
    Fill: {"side": _member(Side)},
    Trade: {"side": _member(Side)},
    Ladder: {"reasons": _reasons},
    Submission: {"side": _member(Side)},
    ExternalOrder: {
        "side": lambda word: None if word is None else Side(word),
        "kind": _member(ExternalKind),
        "state": _member(ExternalState),
    },
}


def field_names(cls: type) -> tuple[str, ...]:
    """The fields of a stored type, in the order in which the queries name their columns."""
    return tuple(field.name for field in fields(cls))


def reader(cls: type[Value]) -> Callable[[Row], Value]:
    """A function that makes a value of a row."""
    names = field_names(cls)
    conversions = tuple(_CONVERSIONS.get(cls, {}).items())

    def read(row: Row) -> Value:
        values = dict(zip(names, row, strict=True))
        for name, convert in conversions:
            values[name] = convert(values[name])
        return cls(**values)

    return read


_saga, _order, _reservation = reader(Saga), reader(Order), reader(Reservation)
_ORDER_AT = len(field_names(Saga))
_RESERVATION_AT = _ORDER_AT + len(field_names(Order))
_VOIDS_AT = _RESERVATION_AT + len(field_names(Reservation))


def read_trade(row: Row) -> TradeState:
    """Saga, order, reservation and the voids of the order side by side in one row."""
    return TradeState(
        saga=_saga(row[:_ORDER_AT]),
        order=_order(row[_ORDER_AT:_RESERVATION_AT]),
        reservation=_reservation(row[_RESERVATION_AT:_VOIDS_AT]),
        voids=() if row[_VOIDS_AT] is None else msgspec.convert(row[_VOIDS_AT], tuple[Void, ...]),
    )
