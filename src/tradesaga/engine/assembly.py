"""Puts one agent's parts together: who is given what. No decision is made here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.approvals import Approvals
from tradesaga.engine.breaker import Breaker
from tradesaga.engine.checkpoints import Checkpoints
from tradesaga.engine.core import Core, core_of
from tradesaga.engine.dead_letters import DeadLetters
from tradesaga.engine.decision_requests import DecisionRequests
from tradesaga.engine.event_coordinator import EventCoordinator
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.heartbeat_cycle import HeartbeatCycle
from tradesaga.engine.instructed_trades import InstructedTrades
from tradesaga.engine.invariant_watch import InvariantWatch
from tradesaga.engine.kill_switch import KillSwitch, kill_switch
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.look_back import LookBack
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.pause_end import PauseEnd
from tradesaga.engine.rebalance_cycle import RebalanceCycle
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.recovery import Recovery
from tradesaga.engine.retention import Retention
from tradesaga.engine.risk_control import RiskControl
from tradesaga.engine.risk_gate import RiskGate
from tradesaga.engine.saga_control import SagaControl
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.schedule_control import ScheduleControl
from tradesaga.engine.scheduler import Scheduler
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.strategy_control import StrategyControl
from tradesaga.engine.strategy_exits import StrategyExits
from tradesaga.engine.watch_list import WatchList
from tradesaga.engine.watchers import Watchers, watchers_of
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
    checkpoints: Checkpoints
    book: StrategyBook
    board: HealthBoard
    crew: SagaCrew
    watch: InvariantWatch
    retention: Retention
    instructed: InstructedTrades
    absent: WatchList
    market: MarketGate
    exits: StrategyExits
    pause_end: PauseEnd
    breaker: Breaker
    schedules: ScheduleBook
    ladder: LadderState
    kill: KillSwitch
    approvals: Approvals
    watchers: Watchers
    books: Reconciliation


def assemble(
    world: World, settings: EngineSettings, policy: Policy, group: asyncio.TaskGroup
) -> Parts:
    """All parts of one agent; their tasks will belong to `group`."""
    core = core_of(world, settings, policy, group)
    kill = kill_switch(world, settings.agent_id, core.desk, core.book, core.ladder)
    requests = DecisionRequests(settings.decision_rate, world.tracer)
    if world.exchange is not None:
        world.exchange.join(settings.agent_id, core.desk, requests)
    relay = _relay(world, settings, core, requests)
    watchers = watchers_of(world, settings, core, relay)
    kill.on_rearmed = watchers.losses.rearmed
    gate = _gate(world, settings, core, watchers)
    core.watch.limits = core.limits
    instructed = _instructed(world, settings, core, gate)
    approvals = Approvals(settings=settings, trades=instructed, book=core.book)
    scheduler = _scheduler(world, settings, core, approvals, requests, watchers, group)
    if settings.rebalance is not None:
        rebalance = RebalanceCycle(
            settings=settings, policy=settings.rebalance, runner=core.runner, approvals=approvals
        )
        scheduler.register_rebalance(rebalance.run)
    retention = _retention(world, settings, core.scribe)
    coordinator = _coordinator(world, settings, core, requests, scheduler)
    return Parts(
        leadership=core.leadership,
        control=_control(
            world, settings, core, scheduler, approvals, retention, kill, coordinator, relay
        ),
        scheduler=scheduler,
        relay=relay,
        coordinator=coordinator,
        recovery=_recovery(world, settings, core, watchers),
        checkpoints=core.checkpoints,
        book=core.book,
        board=core.board,
        crew=core.crew,
        watch=core.watch,
        retention=retention,
        instructed=instructed,
        exits=StrategyExits(
            book=core.book,
            state=core.state,
            desk=core.desk,
            instructed=instructed,
            market=core.market,
            clock=world.clock,
            metrics=world.metrics,
        ),
        absent=core.absent,
        market=core.market,
        pause_end=PauseEnd(state=core.state, clock=world.clock),
        breaker=core.breaker,
        schedules=core.schedules,
        ladder=core.ladder,
        kill=kill,
        approvals=approvals,
        watchers=watchers,
        books=core.books,
    )


def _relay(
    world: World, settings: EngineSettings, core: Core, requests: DecisionRequests
) -> OutboxRelay:
    return OutboxRelay(
        outbox=world.outbox,
        bus=world.bus,
        clock=world.clock,
        agent_id=settings.agent_id,
        wake=core.scribe.events_written,
        look_back=_look_back(world, settings, core),
        wanted=requests.still_wants,
        idle=settings.relay_looks_every,
    )


def _look_back(world: World, settings: EngineSettings, core: Core) -> LookBack | None:
    if world.stream is None or world.sent is None:
        return None
    return LookBack(
        agent_id=settings.agent_id,
        bus=world.bus,
        stream=world.stream,
        sent=world.sent,
        scribe=core.scribe,
        metrics=world.metrics,
        former=core.former,
    )


def _coordinator(
    world: World,
    settings: EngineSettings,
    core: Core,
    requests: DecisionRequests,
    scheduler: Scheduler,
) -> EventCoordinator:
    return EventCoordinator(
        bus=world.bus,
        scribe=core.scribe,
        records=world.records,
        clock=world.clock,
        desk=core.desk,
        requests=requests,
        market=core.market,
        board=core.board,
        metrics=world.metrics,
        agent_id=settings.agent_id,
        unsolicited=scheduler.unsolicited.analyse,
        told=scheduler.heard,
        books=core.books,
        others=world.others,
        tracer=world.tracer,
    )


def _control(
    world: World,
    settings: EngineSettings,
    core: Core,
    scheduler: Scheduler,
    approvals: Approvals,
    retention: Retention,
    kill: KillSwitch,
    coordinator: EventCoordinator,
    relay: OutboxRelay,
) -> AgentControl:
    instructed, gate = approvals.trades, approvals.trades.gate
    return AgentControl(
        settings=settings,
        clock=world.clock,
        records=world.records,
        bus=world.bus,
        leadership=core.leadership,
        scribe=core.scribe,
        state=core.state,
        book=core.book,
        desk=core.desk,
        scheduler=scheduler,
        runner=core.runner,
        board=core.board,
        relay=relay,
        watch=core.watch,
        retention=retention,
        approvals=approvals,
        dead_letters=DeadLetters(
            agent_id=settings.agent_id,
            records=world.records,
            scribe=core.scribe,
            clock=world.clock,
            read=world.read_message,
            handle=coordinator.handle_again,
        ),
        risk=RiskControl(
            agent_id=settings.agent_id,
            records=world.records,
            clock=world.clock,
            market=gate.market,
            interval=settings.analysis_interval,
            state=core.state,
            book=gate.limits,
        ),
        schedules=_schedule_control(world, settings, core, scheduler),
        ladder=core.ladder,
        kill=kill,
        books=core.books,
        fleet=world.fleet,
        sagas=SagaControl(
            agent_id=settings.agent_id,
            records=world.records,
            desk=core.desk,
            venue=world.venue,
            instructed=instructed,
            ids=world.ids,
        ),
        strategies=StrategyControl(
            agent_id=settings.agent_id,
            book=core.book,
            desk=core.desk,
            records=world.records,
            clock=world.clock,
        ),
    )


def _schedule_control(
    world: World, settings: EngineSettings, core: Core, scheduler: Scheduler
) -> ScheduleControl:
    return ScheduleControl(
        settings=settings,
        clock=world.clock,
        ids=world.ids,
        state=core.state,
        scribe=core.scribe,
        strategies=core.book,
        book=core.schedules,
        scheduler=scheduler,
    )


def _instructed(
    world: World, settings: EngineSettings, core: Core, gate: RiskGate
) -> InstructedTrades:
    return InstructedTrades(
        agent_id=settings.agent_id,
        gate=gate,
        desk=core.desk,
        crew=core.crew,
        scribe=core.scribe,
        records=world.records,
        venue=world.venue,
        market_data=world.market_data,
        clock=world.clock,
    )


def _recovery(world: World, settings: EngineSettings, core: Core, watchers: Watchers) -> Recovery:
    return Recovery(
        records=world.records,
        clock=world.clock,
        state=core.state,
        runner=core.runner,
        desk=core.desk,
        crew=core.crew,
        checkpoints=core.checkpoints,
        limits=core.limits,
        agent_id=settings.agent_id,
        absent=core.absent,
        ladder=core.ladder,
        former=core.former,
        losses=watchers.losses,
        budget=watchers.budget,
        settle_time_max=settings.settle_time_max,
        breaker=core.breaker,
    )


def _retention(world: World, settings: EngineSettings, scribe: Scribe) -> Retention:
    return Retention(
        archive=world.archive,
        scribe=scribe,
        clock=world.clock,
        metrics=world.metrics,
        agent_id=settings.agent_id,
        policy=settings.retention,
    )


def _gate(world: World, settings: EngineSettings, core: Core, watchers: Watchers) -> RiskGate:
    return RiskGate(
        settings=settings,
        state=core.state,
        desk=core.desk,
        market=core.market,
        limits=core.limits,
        ladder=core.ladder,
        watchers=watchers,
        breaker=core.breaker,
        tracer=world.tracer,
    )


def _scheduler(
    world: World,
    settings: EngineSettings,
    core: Core,
    approvals: Approvals,
    requests: DecisionRequests,
    watchers: Watchers,
    group: asyncio.TaskGroup,
) -> Scheduler:
    gate = approvals.trades.gate
    return Scheduler(
        settings=settings,
        clock=world.clock,
        state=core.state,
        market=gate.market,
        analysis=AnalysisCycle(
            settings=settings,
            clock=world.clock,
            runner=core.runner,
            venue=world.venue,
            market_data=world.market_data,
            requests=requests,
            gate=gate,
            desk=core.desk,
            approvals=approvals,
            positions=core.books.positions,
            crew=core.crew,
            metrics=world.metrics,
            causes=core.causes,
            losses=watchers.losses,
            quotes=watchers.quotes,
            budget=watchers.budget,
        ),
        heartbeat=HeartbeatCycle(
            clock=world.clock,
            runner=core.runner,
            board=core.board,
            books=core.books,
            metrics=world.metrics,
            watch=core.watch,
            absent=core.absent,
            market=gate.market,
            causes=core.causes,
            vitals=watchers.vitals,
            clocks=watchers.clocks,
            quotes=watchers.quotes,
            time_max=settings.heartbeat_time_max,
            engine=watchers.engine,
        ),
        active=core.book.active_by_id,
        book=core.schedules,
        records=world.records,
        metrics=world.metrics,
        group=group,
    )
