"""What a recorded life found in the database: the rows that a start reads, noted and given back.

Trades that are open, that were proven absent, or are the latest; unfinished and latest cycles;
ladder, marks, limits, schedules, checkpoints, orders of others, questions that wait and the
decisions that they are about. As many of each as the engine itself looks at. Fills are not among
them: their orders have the sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final, get_type_hints

import msgspec
from msgspec import Raw, Struct

from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.cash import CashMark
from tradesaga.domain.checkpoint import Checkpoint
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Invalid
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.ids import AgentId
from tradesaga.domain.ladder import Ladder
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import Order, Reservation, Void
from tradesaga.domain.saga import Saga
from tradesaga.domain.schedule import FiresMark, Schedule
from tradesaga.domain.trade_messages import TradeState
from tradesaga.engine.answered_fires import CYCLES_LOOKED_AT
from tradesaga.engine.breaker import LOOKED_AT
from tradesaga.engine.external_orders import KNOWN_MAX
from tradesaga.engine.watch_list import BACK_AT_START
from tradesaga.ports.records import Records
from tradesaga.ports.trade_records import TradeQuery

LATEST_TRADES: Final = 200
"""Trades that have ended but may be heard of again."""
QUESTIONS_MAX: Final = 1001
_encode = msgspec.json.Encoder().encode
_hints: Final = get_type_hints(Cycle) | {"metadata": dict[str, str | int | None]}
_CycleForm: Final = msgspec.defstruct(
    "_CycleForm", [(f.name, _hints[f.name]) for f in fields(Cycle)]
)
"""A cycle whose metadata are as the log gives them back: exact numbers are text there."""
_FORMS: Final[Mapping[str, Any]] = {
    **{
        cls.__name__: cls
        for cls in (
            Approval,
            CashMark,
            Checkpoint,
            Decision,
            EquityMarks,
            ExternalOrder,
            FiresMark,
            Ladder,
            LimitChange,
            Order,
            Reservation,
            Saga,
            Schedule,
            Void,
        )
    },
    "Cycle": _CycleForm,
}


class Kept(Struct, frozen=True, kw_only=True):
    """One row of the database, by the name of its type."""

    kind: str
    body: Raw

    @classmethod
    def of(cls, value: object) -> Kept:
        """As it is written."""
        return cls(kind=type(value).__name__, body=Raw(_encode(value)))

    def value(self) -> Any:
        """As it was. Raises Invalid for a row of another version."""
        try:
            value = msgspec.json.decode(self.body, type=_FORMS[self.kind])
        except (KeyError, msgspec.MsgspecError) as error:
            raise Invalid([f"a {self.kind} was recorded by another version: {error}"]) from error
        if isinstance(value, _CycleForm):
            return Cycle(**msgspec.structs.asdict(value))
        return value


async def rows_at_start(records: Records, agent_id: AgentId, now: datetime) -> list[Kept]:
    """What the start of the engine is about to read. Raises Unavailable."""
    one_each = (
        await records.ladder(agent_id),
        await records.equity_marks(agent_id),
        await records.cash_mark(agent_id),
        await records.fires_mark(agent_id),
    )
    rows: list[Any] = [
        *(row for row in one_each if row is not None),
        *await records.schedules(agent_id),
        *await records.limit_changes(agent_id),
        *await records.checkpoints(agent_id, limit=LOOKED_AT),
        *await records.cycles(agent_id, limit=CYCLES_LOOKED_AT),
        *await records.unfinished_cycles(agent_id),
        *await records.external_orders(agent_id, limit=KNOWN_MAX),
        *await records.approvals(agent_id, limit=QUESTIONS_MAX, state=ApprovalState.PENDING),
    ]
    for question in [row for row in rows if isinstance(row, Approval)]:
        asked = await records.decision(agent_id, question.decision_id)
        rows += [] if asked is None else [asked]
    for trades in (
        await records.open_trades(agent_id),
        await records.absent_trades(agent_id, now - BACK_AT_START),
        await records.trades(agent_id, TradeQuery(limit=LATEST_TRADES)),
    ):
        rows += _rows_of(trades)
    return [Kept.of(row) for row in {(type(row), row.id): row for row in rows}.values()]


def _rows_of(trades: Iterable[TradeState]) -> Iterator[Any]:
    for trade in trades:
        yield from (trade.saga, trade.order, trade.reservation, *trade.voids)


def lay_down(rows: Sequence[Kept], store: MemoryStore, agent_id: AgentId) -> None:
    """Put the rows into an empty store, whose next epoch follows theirs. Raises Invalid."""
    epochs = [0]
    for kept in rows:
        value = kept.value()
        store.put(value)
        if isinstance(value, Cycle | Checkpoint):
            epochs.append(value.epoch)
    store.epochs[agent_id] = max(epochs)
