"""Puts one agent's parts together: who is given what. No decision is made here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.decision_requests import DecisionRequests
from tradesaga.engine.event_coordinator import EventCoordinator
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.heartbeat_cycle import HeartbeatCycle
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.position_check import PositionCheck
from tradesaga.engine.recovery import Recovery
from tradesaga.engine.risk_gate import RiskGate
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.scheduler import Scheduler
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the orchestrator runs."""

    leadership: Leadership
    control: AgentControl
    scheduler: Scheduler
    relay: OutboxRelay
    coordinator: EventCoordinator
    recovery: Recovery
    book: StrategyBook
    board: HealthBoard
    crew: SagaCrew


def assemble(
    world: World, settings: EngineSettings, policy: Policy, group: asyncio.TaskGroup
) -> Parts:
    """All parts of one agent; their tasks will belong to `group`."""
    clock, agent_id = world.clock, settings.agent_id
    leadership = Leadership(
        lease=world.lease,
        clock=clock,
        agent_id=agent_id,
        renew_every=settings.lease_renew_every,
        on_epoch=world.journal.open,
    )
    scribe = Scribe(journal=world.journal, clock=clock, leadership=leadership, agent_id=agent_id)
    state = AgentState(
        scribe=scribe,
        records=world.records,
        clock=clock,
        agent_id=agent_id,
        name=settings.agent_name,
    )
    desk = TradeDesk(
        scribe=scribe,
        records=world.records,
        clock=clock,
        metrics=world.metrics,
        policy=policy,
        agent_id=agent_id,
    )
    actions = TradeActions(
        venue=world.venue,
        clock=clock,
        leadership=leadership,
        refusal_to_send=state.refusal_to_send,
    )
    crew = SagaCrew(
        runner=SagaRunner(desk=desk, actions=actions, clock=clock),
        desk=desk,
        clock=clock,
        group=group,
    )
    runner = CycleRunner(
        scribe=scribe, clock=clock, ids=world.ids, metrics=world.metrics, agent_id=agent_id
    )
    board = HealthBoard(venue=world.venue, decisions=world.decisions, market_data=world.market_data)
    book = StrategyBook(scribe=scribe, records=world.records, clock=clock, agent_id=agent_id)
    market = MarketGate(world.calendar, hours_only=settings.market_hours_only)
    requests = DecisionRequests()
    positions = PositionCheck(venue=world.venue, desk=desk)
    scheduler = Scheduler(
        settings=settings,
        clock=clock,
        state=state,
        market=market,
        analysis=AnalysisCycle(
            settings=settings,
            clock=clock,
            runner=runner,
            venue=world.venue,
            market_data=world.market_data,
            requests=requests,
            gate=RiskGate(settings=settings, state=state, desk=desk, market=market),
            desk=desk,
            positions=positions,
            crew=crew,
            metrics=world.metrics,
        ),
        heartbeat=HeartbeatCycle(
            clock=clock,
            runner=runner,
            board=board,
            positions=positions,
            state=state,
            metrics=world.metrics,
        ),
        active=book.active,
        metrics=world.metrics,
        group=group,
    )
    return Parts(
        leadership=leadership,
        control=AgentControl(
            settings=settings,
            clock=clock,
            records=world.records,
            bus=world.bus,
            leadership=leadership,
            state=state,
            book=book,
            desk=desk,
            scheduler=scheduler,
            runner=runner,
            board=board,
        ),
        scheduler=scheduler,
        relay=OutboxRelay(
            outbox=world.outbox,
            bus=world.bus,
            clock=clock,
            agent_id=agent_id,
            wake=scribe.events_written,
        ),
        coordinator=EventCoordinator(
            bus=world.bus,
            scribe=scribe,
            records=world.records,
            clock=clock,
            desk=desk,
            requests=requests,
            market=market,
            board=board,
            metrics=world.metrics,
            agent_id=agent_id,
            unsolicited=scheduler.analyse_unsolicited,
        ),
        recovery=Recovery(
            records=world.records,
            clock=clock,
            state=state,
            runner=runner,
            desk=desk,
            crew=crew,
            agent_id=agent_id,
        ),
        book=book,
        board=board,
        crew=crew,
    )
