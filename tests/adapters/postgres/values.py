"""Stored values for tests: each with every field set to something that is not its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tradesaga.domain.agent import Agent, AgentStatus, Mode
from tradesaga.domain.cycle import Cycle, CycleType, TriggeredBy
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.events import Event
from tradesaga.domain.ids import (
    AgentId,
    CycleId,
    DecisionId,
    FillId,
    OrderId,
    ReservationId,
    SagaId,
    ScheduleId,
    StrategyId,
    TradeId,
    client_order_id,
    derived,
)
from tradesaga.domain.orders import (
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Reservation,
    Side,
    Trade,
)
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.schedule import Overlap, Schedule, ScheduleType
from tradesaga.domain.strategies import Strategy, StrategyStatus
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import Add, Change, Entry, Insert, PositionDelta, Row

AGENT = AgentId(UUID("00000000-0000-7000-8000-0000000000aa"))
NOW = datetime(2026, 11, 20, 15, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def agent(agent_id: AgentId = AGENT) -> Agent:
    return Agent(
        id=agent_id,
        name="alpha",
        updated_at=NOW,
        status=AgentStatus.PAUSED,
        mode=Mode.CONSERVATIVE,
        pause_reasons=frozenset({"operator", "drift"}),
        started_at=NOW - 5 * SECOND,
        stopped_at=NOW - 4 * SECOND,
        paused_at=NOW - 3 * SECOND,
        resume_at=NOW + 60 * SECOND,
        last_error="the broker said no",
        last_error_at=NOW - 2 * SECOND,
    )


def schedule(number: int = 1) -> Schedule:
    return Schedule(
        id=ScheduleId(derived(AGENT, "schedule", number)),
        agent_id=AGENT,
        strategy_id=strategy().id,
        cycle_type=CycleType.ANALYSIS,
        schedule_type=ScheduleType.CRON,
        schedule_value="0 10 * * 1-5",
        zone="Asia/Kathmandu",
        created_at=NOW + timedelta(seconds=number),
        updated_at=NOW,
        priority=-3,
        catch_up=timedelta(hours=2, milliseconds=1),
        overlap=Overlap.BUFFER,
        next_run_at=NOW + timedelta(hours=1),
    )


def strategy(name: str = "sma", agent_id: AgentId = AGENT) -> Strategy:
    return Strategy(
        id=StrategyId(derived(agent_id, "strategy", name)),
        agent_id=agent_id,
        external_id=f"{name}-external",
        name=name,
        type="sma_crossover",
        symbols=("SPY", "QQQ"),
        created_at=NOW,
        updated_at=NOW,
        status=StrategyStatus.PAUSED,
        risk_mode="aggressive",
        parameters={"fast": 5, "band": Decimal("0.250"), "whole": Decimal(3), "on": True, "x": "1"},
        priority=7,
        last_run_at=NOW,
    )


def cycle(number: int = 0, agent_id: AgentId = AGENT) -> Cycle:
    at = NOW + number * 60 * SECOND
    return Cycle(
        id=CycleId(derived(agent_id, "cycle", number)),
        agent_id=agent_id,
        type=CycleType.ANALYSIS,
        triggered_by=TriggeredBy.MANUAL,
        scheduled_at=at - SECOND,
        started_at=at,
        epoch=1,
        metadata={"bars": 3, "vol": Decimal("0.10"), "why": None, "name": "2"},
    )


def decision(name: str = "d", agent_id: AgentId = AGENT) -> Decision:
    return Decision(
        id=DecisionId(derived(agent_id, "decision", name)),
        external_id=f"ext-{name}",
        agent_id=agent_id,
        cycle_id=cycle(agent_id=agent_id).id,
        strategy_id=strategy(agent_id=agent_id).id,
        symbol="SPY",
        action=Action.BUY,
        confidence=Decimal("0.75"),
        quantity=Decimal("10"),
        reference_price=Decimal("366.0100"),
        reasoning='crossed "up"\nfrom 1 % below, naïve',
        model="rules",
        as_of=NOW,
        expires_at=NOW + 60 * SECOND,
        created_at=NOW + SECOND,
        verdict=Verdict.DENIED,
        opening=True,
        denials=(Denial(code="MAX", message="too much"),),
    )


def allowed(name: str = "d", agent_id: AgentId = AGENT) -> Decision:
    """The decision that `trade` of the same name carries out."""
    return replace(decision(name, agent_id), verdict=Verdict.ALLOWED, denials=(), created_at=NOW)


def trade(name: str = "d", agent_id: AgentId = AGENT) -> TradeState:
    """A trade just begun: version 1 of everything, the intent written."""
    decided = decision(name, agent_id)
    saga_id = SagaId(derived(decided.id, "saga"))
    saga = Saga(
        id=saga_id,
        agent_id=agent_id,
        type="trade_execution",
        decision_id=decided.id,
        strategy_id=decided.strategy_id,
        cycle_id=decided.cycle_id,
        symbol="SPY",
        created_at=NOW,
        updated_at=NOW,
        deadline_at=NOW + 60 * SECOND,
        status=SagaStatus.RUNNING,
        cursor=1,
    )
    order = Order(
        id=OrderId(derived(saga_id, "order")),
        agent_id=agent_id,
        saga_id=saga_id,
        decision_id=decided.id,
        strategy_id=decided.strategy_id,
        cycle_id=decided.cycle_id,
        leg=0,
        purpose="entry",
        client_order_id=client_order_id(saga_id, 0, "entry"),
        symbol="SPY",
        side=Side.BUY,
        quantity=Decimal("10"),
        type=OrderType.LIMIT,
        limit_price=Decimal("366.10"),
        time_in_force="day",
        opening=True,
        reference_price=Decimal("366.01"),
        expires_at=NOW + 60 * SECOND,
        created_at=NOW,
    )
    reservation = Reservation(
        id=ReservationId(derived(saga_id, "reservation")),
        agent_id=agent_id,
        saga_id=saga_id,
        symbol="SPY",
        amount=Decimal("3661.00"),
        created_at=NOW,
    )
    return TradeState(saga=saga, order=order, reservation=reservation)


def working(state: TradeState) -> TradeState:
    """The next version of saga and order: the venue has it, under an id of its own."""
    order = replace(
        state.order,
        status=OrderStatus.WORKING,
        venue_order_id=f"V-{state.order.client_order_id}",
        sends=1,
        submitted_at=NOW + SECOND,
        acked_at=NOW + SECOND,
        version=state.order.version + 1,
    )
    saga = replace(
        state.saga, cursor=2, due=NOW + 5 * SECOND, attempt=1, version=state.saga.version + 1
    )
    return replace(state, order=order, saga=saga)


def filled(state: TradeState) -> TradeState:
    """The next version of all three: filled, completed, released."""
    order = replace(
        state.order,
        status=OrderStatus.FILLED,
        filled_quantity=Decimal("10"),
        filled_value=Decimal("3660.10"),
        fees=Decimal("0.35"),
        ended_at=NOW + 2 * SECOND,
        evidence="event V filled",
        version=state.order.version + 1,
    )
    saga = replace(
        state.saga,
        status=SagaStatus.COMPLETED,
        cursor=4,
        pivoted=True,
        version=state.saga.version + 1,
    )
    reservation = replace(
        state.reservation,
        consumed=Decimal("3660.45"),
        released=Decimal("0.55"),
        state=type(state.reservation.state).CLOSED,
        closed_at=NOW + 2 * SECOND,
        version=state.reservation.version + 1,
    )
    return TradeState(saga=saga, order=order, reservation=reservation)


def fill(state: TradeState) -> Fill:
    """The one fill of `filled`."""
    order = state.order
    return Fill(
        id=FillId(derived(order.id, "fill")),
        agent_id=order.agent_id,
        order_id=order.id,
        saga_id=order.saga_id,
        venue_fill_id=f"V-{order.client_order_id}:10",
        symbol=order.symbol,
        side=order.side,
        quantity=Decimal("10"),
        price=Decimal("366.010"),
        fee=Decimal("0.35"),
        filled_at=NOW + 2 * SECOND,
        recorded_at=NOW + 2 * SECOND,
    )


def trade_record(state: TradeState, booked: Fill) -> Trade:
    """The trade of `fill`."""
    return Trade(
        id=TradeId(derived(booked.id, "trade")),
        agent_id=booked.agent_id,
        fill_id=booked.id,
        order_id=booked.order_id,
        saga_id=booked.saga_id,
        decision_id=state.order.decision_id,
        strategy_id=state.order.strategy_id,
        symbol=booked.symbol,
        side=booked.side,
        quantity=booked.quantity,
        price=booked.price,
        fee=booked.fee,
        executed_at=booked.filled_at,
    )


def position(booked: Fill) -> PositionDelta:
    """What a bought fill adds."""
    return PositionDelta(
        symbol=booked.symbol,
        quantity=booked.quantity,
        bought_quantity=booked.quantity,
        bought_value=booked.quantity * booked.price,
        sold_quantity=Decimal(0),
        sold_value=Decimal(0),
        fees=booked.fee,
        at=booked.filled_at,
    )


def began(state: TradeState) -> tuple[Row, ...]:
    return Insert(state.saga), Insert(state.order), Insert(state.reservation)


def booked_rows(state: TradeState) -> tuple[Row, ...]:
    booked = fill(state)
    return Insert(booked), Insert(trade_record(state, booked)), Add(position(booked))


def entry(
    subject: object = "x",
    kind: str = "test.step",
    event: Event | None = None,
    body: Mapping[str, Any] | None = None,
) -> Entry:
    return Entry(
        kind=kind, subject=str(subject), actor="engine", body=body or {"n": 1}, event=event
    )


def change(
    *rows: Row,
    agent_id: AgentId = AGENT,
    epoch: int = 1,
    entries: tuple[Entry, ...] | None = None,
) -> Change:
    return Change(
        agent_id=agent_id,
        epoch=epoch,
        at=NOW,
        rows=rows,
        entries=(entry(),) if entries is None else entries,
    )
