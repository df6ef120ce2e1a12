"""What a replay came to, as plain values: counts, orders, equity, and the hash of the log.

A function of the script alone: no host, no time of day, no duration is in it, so that two replays
of one script give the same figures to the last byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tradesaga.adapters.chain import GENESIS
from tradesaga.domain.cycle import Cycle, CycleStatus, CycleType
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.money import HUNDRED, ZERO
from tradesaga.domain.orders import Fill, Order
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.paper.minutes import start_of
from tradesaga.replay.playing import Run

Counts = Mapping[str, int]


class Shown(Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of a report; its names on the wire are camelCase."""


class Point(Shown, frozen=True, kw_only=True):
    """The account as one analysis cycle saw it."""

    at: datetime
    equity: Decimal
    profit: Decimal


class OrderLine(Shown, frozen=True, kw_only=True):
    """One order; `price` is the mean of its fills, None before the first."""

    at: datetime
    client_order_id: str
    strategy: str
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    status: str


class DecisionLine(Shown, frozen=True, kw_only=True):
    """One decision that was not to hold; `why` is empty unless a rule denied it."""

    at: datetime
    strategy: str
    symbol: str
    action: str
    quantity: Decimal
    verdict: str
    codes: Sequence[str]
    why: str


class StrategyLine(Shown, frozen=True, kw_only=True):
    """One strategy's own trades."""

    name: str
    pnl: Decimal
    trades: int
    win_rate: Decimal


class Drawdown(Shown, frozen=True, kw_only=True):
    """The deepest fall of the equity below what it had been; percent of that peak."""

    amount: Decimal
    percent: Decimal
    at: datetime | None


class Figures(Shown, frozen=True, kw_only=True):
    """Everything that is reported of one replay."""

    seed: int
    config_hash: str
    data: str
    symbols: Sequence[str]
    sessions: Sequence[tuple[datetime, datetime]]
    log_entries: int
    log_hash: str
    equity: Decimal
    profit: Decimal
    drawdown: Drawdown
    cycles: Counts
    skipped: Counts
    decisions: Counts
    blocks: Counts
    orders: Counts
    fills: Counts
    sagas: Counts
    unsettled: Counts
    broken: Counts
    strategies: Sequence[StrategyLine]
    decision_list: Sequence[DecisionLine]
    order_list: Sequence[OrderLine]
    curve: Sequence[Point]

    @property
    def complaints(self) -> list[str]:
        """What must not be so; empty when all is well."""
        failed = [f"{n} cycles {name}" for name, n in self.cycles.items() if "failed" in name]
        parked = self.sagas.get(SagaStatus.MANUAL_REQUIRED, 0)
        waits = [f"{number} {name} still under way" for name, number in self.unsettled.items()]
        broken = [f"{name} broken, {number} times" for name, number in self.broken.items()]
        return [*failed, *([f"{parked} sagas need a person"] if parked else []), *waits, *broken]


def figures_of(run: Run, *, config_hash: str) -> Figures:
    """The figures of a run."""
    agent_id, store, script = run.script.settings.agent_id, run.store, run.script
    cycles: list[Cycle] = store.of(Cycle, agent_id)
    decisions: list[Decision] = store.of(Decision, agent_id)
    orders: list[Order] = store.of(Order, agent_id)
    fills: list[Fill] = store.of(Fill, agent_id)
    curve, log = _curve(cycles), store.log_of(agent_id)
    return Figures(
        seed=script.seed,
        config_hash=config_hash,
        data=script.market.recording.fingerprint,
        symbols=script.market.recording.symbols,
        sessions=[(start_of(span.start), start_of(span.end)) for span in script.spans],
        log_entries=len(log),
        log_hash=(log[-1].hash if log else GENESIS).hex(),
        equity=curve[-1].equity if curve else script.market.start_cash,
        profit=curve[-1].profit if curve else ZERO,
        drawdown=drawdown_of(curve),
        cycles=_counted(f"{cycle.type} {cycle.status}" for cycle in cycles),
        skipped=_counted(run.metrics.skipped.elements()),
        decisions=_counted(f"{one.action} {one.verdict}" for one in decisions),
        blocks=_counted(
            denial.code
            for one in decisions
            if one.verdict is Verdict.DENIED
            for denial in one.denials
        ),
        orders=_counted(str(order.status) for order in orders),
        fills=_counted(str(fill.side) for fill in fills if fill.quantity > ZERO),
        sagas=_counted(str(saga.status) for saga in store.of(Saga, agent_id)),
        unsettled={name: number for name, number in run.unsettled.items() if number},
        broken={one.name: one.violations for one in run.invariants if one.violations},
        strategies=[
            StrategyLine(
                name=record.strategy.external_id,
                pnl=record.performance.pnl,
                trades=record.performance.trades,
                win_rate=record.performance.win_rate,
            )
            for record in run.strategies
        ],
        decision_list=_decision_list(run, decisions),
        order_list=_order_list(run, orders),
        curve=curve,
    )


def _curve(cycles: Iterable[Cycle]) -> list[Point]:
    return [
        Point(
            at=cycle.scheduled_at,
            equity=Decimal(str(cycle.metadata["equity"])),
            profit=Decimal(str(cycle.metadata["profit"])),
        )
        for cycle in cycles
        if cycle.type is CycleType.ANALYSIS
        and cycle.status is CycleStatus.COMPLETED
        and "profit" in cycle.metadata
    ]


def drawdown_of(curve: Iterable[Point]) -> Drawdown:
    """The deepest fall."""
    peak, deepest = ZERO, Drawdown(amount=ZERO, percent=ZERO, at=None)
    for point in curve:
        peak = max(peak, point.equity)
        fall = peak - point.equity
        if fall > deepest.amount:
            percent = round(fall / peak * HUNDRED, 4)
            deepest = Drawdown(amount=fall, percent=percent, at=point.at)
    return deepest


def _decision_list(run: Run, decisions: Iterable[Decision]) -> list[DecisionLine]:
    names = _names(run)
    return [
        DecisionLine(
            at=one.as_of,
            strategy=names.get(one.strategy_id, ""),
            symbol=one.symbol,
            action=one.action,
            quantity=one.quantity,
            verdict=one.verdict,
            codes=[denial.code for denial in one.denials],
            why="; ".join(denial.message for denial in one.denials),
        )
        for one in decisions
        if one.verdict is not Verdict.HELD
    ]


def _names(run: Run) -> Mapping[StrategyId | None, str]:
    return {record.strategy.id: record.strategy.external_id for record in run.strategies}


def _order_list(run: Run, orders: Iterable[Order]) -> list[OrderLine]:
    names = _names(run)
    return [
        OrderLine(
            at=order.created_at,
            client_order_id=order.client_order_id,
            strategy=names.get(order.strategy_id, ""),
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            filled=order.filled_quantity,
            price=None if order.average_price is None else round(order.average_price, 6),
            status=order.status,
        )
        for order in orders
    ]


def _counted(names: Iterable[str]) -> Counts:
    """How often each name came, by name."""
    return dict(sorted(Counter(names).items()))
