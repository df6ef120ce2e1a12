"""Faults that a test or an operator can order at run time, each for a number of occasions.

reply_lost                  carried out, but the connection is dropped without an answer
error_after, error_before   500 after it was carried out, 503 instead of it (or `status`)
rate_limited                429 with Retry-After instead of it
delay_before, delay_after   the request, or its answer, waits `delayMs` of real time
reject_reply, reject_event  the order is refused at once; accepted, then rejected by event
partial_stall               the order is filled in part, then never again: cancel it
fill_busted                 an execution is taken back `delayMs` of real time after it
hidden_order                a new order is not found by look-ups for `delayMs`
event_before_reply          the order is executed, and its events are out, before the answer
reply_before_event          the events of the submission leave `delayMs` after the answer
event_duplicated, event_dropped, event_reordered
                            the event leaves twice with one id, never, after its successor
"""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

DELAY_MS_MAX = 60_000
FAULTS_MAX = 1000


class FaultKind(StrEnum):
    """What can be made to go wrong; the module's docstring says what each does."""

    REPLY_LOST = "reply_lost"
    ERROR_AFTER = "error_after"
    ERROR_BEFORE = "error_before"
    RATE_LIMITED = "rate_limited"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    REJECT_REPLY = "reject_reply"
    REJECT_EVENT = "reject_event"
    PARTIAL_STALL = "partial_stall"
    FILL_BUSTED = "fill_busted"
    HIDDEN_ORDER = "hidden_order"
    EVENT_BEFORE_REPLY = "event_before_reply"
    REPLY_BEFORE_EVENT = "reply_before_event"
    EVENT_DUPLICATED = "event_duplicated"
    EVENT_DROPPED = "event_dropped"
    EVENT_REORDERED = "event_reordered"


class Fault(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One order for `count` occasions; the filters that are absent fit everything.

    `operation` is submit, cancel, close, orders, order, positions, account on trading-engine,
    where it is submit if absent ("*" for all); quotes, bars, status, calendar on market-data;
    generate, decisions on ai-decision.
    """

    kind: FaultKind
    count: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    symbol: str | None = None
    operation: str | None = None
    event_type: str | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0
    delay_ms: Annotated[int, Meta(ge=0, le=DELAY_MS_MAX)] = 500
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    code: str = "BROKER_ERROR"


class FaultBook:
    """The faults of one service; draws are seeded."""

    def __init__(self, service: str, seed: int, default_operation: str | None = None) -> None:
        self.service = service
        self._default_operation = default_operation
        self._random = random.Random(f"{seed}:{service}")
        self._faults: list[Fault] = []

    @property
    def faults(self) -> list[Fault]:
        """What is still to happen."""
        return list(self._faults)

    def add(self, fault: Fault) -> bool:
        """Order a fault; False when there are too many already."""
        if len(self._faults) >= FAULTS_MAX:
            return False
        if fault.operation is None and self._default_operation is not None:
            fault = replace(fault, operation=self._default_operation)
        self._faults.append(fault)
        return True

    def clear(self) -> int:
        """Forget them all; answers how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def take(
        self,
        kind: FaultKind,
        *,
        symbol: str | None = None,
        operation: str | None = None,
        event_type: str | None = None,
    ) -> Fault | None:
        """The first fault that fits this occasion, counted down; None when all goes well."""
        for index, fault in enumerate(self._faults):
            if fault.kind is not kind or not _fits(fault, symbol, operation, event_type):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if fault.count > 1:
                self._faults[index] = replace(fault, count=fault.count - 1)
            else:
                del self._faults[index]
            return fault
        return None


def _fits(fault: Fault, symbol: str | None, operation: str | None, event_type: str | None) -> bool:
    if fault.symbol is not None and fault.symbol != symbol:
        return False
    if operation is not None and fault.operation not in (None, "*", operation):
        return False
    return fault.event_type is None or fault.event_type == event_type
