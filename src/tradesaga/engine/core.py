"""What almost every other part of one agent is given: lease, scribe, state, desk, crew, books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from tradesaga.domain.cycle import Cycle
from tradesaga.domain.ids import AgentId
from tradesaga.domain.schedule import NOT_LATER
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.breaker import Breaker
from tradesaga.engine.cash_check import CashCheck
from tradesaga.engine.checkpoints import Checkpoints
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.external_orders import ExternalOrders
from tradesaga.engine.forgotten_orders import ForgottenOrders
from tradesaga.engine.former_books import FormerBooks
from tradesaga.engine.health import HealthBoard
from tradesaga.engine.invariant_watch import InvariantWatch
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.ladder_watch import LadderWatch
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.position_check import PositionCheck
from tradesaga.engine.reconciliation import Reconciliation
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.schedule_book import ScheduleBook
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.watch_list import WatchList
from tradesaga.engine.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """Made once for each agent."""

    leadership: Leadership
    scribe: Scribe
    state: AgentState
    desk: TradeDesk
    crew: SagaCrew
    runner: CycleRunner
    board: HealthBoard
    book: StrategyBook
    checkpoints: Checkpoints
    watch: InvariantWatch
    absent: WatchList
    market: MarketGate
    schedules: ScheduleBook
    breaker: Breaker
    ladder: LadderState
    former: FormerBooks
    causes: LadderWatch
    limits: LimitBook
    books: Reconciliation


def core_of(
    world: World, settings: EngineSettings, policy: Policy, group: asyncio.TaskGroup
) -> Core:
    """These parts, of one agent; their tasks will belong to `group`."""
    clock, agent_id = world.clock, settings.agent_id
    leadership = Leadership(
        lease=world.lease,
        clock=clock,
        agent_id=agent_id,
        renew_every=settings.lease_renew_every,
        on_epoch=world.journal.open,
        hindrance=_nothing if world.fleet is None else world.fleet.hindrance,
    )
    scribe = _scribe(world, settings, leadership)
    records, name = world.records, settings.agent_name
    state = AgentState(scribe=scribe, records=records, clock=clock, agent_id=agent_id, name=name)
    desk = _desk(world, settings, policy, scribe)
    world.gate.ask(lambda _: state.refusal_to_send())
    world.gate.ask_last(leadership.refusal_to_send)
    actions = TradeActions(
        venue=world.venue,
        clock=clock,
        leadership=leadership,
        refusal_to_send=world.gate.refusal,
    )
    book = StrategyBook(scribe=scribe, records=world.records, clock=clock, agent_id=agent_id)
    world.gate.ask(book.refusal_to_send)
    saga_runner = SagaRunner(desk=desk, actions=actions, clock=clock, tracer=world.tracer)
    crew = SagaCrew(runner=saga_runner, desk=desk, clock=clock, group=group, tracer=world.tracer)
    desk.on_revived = crew.take
    breaker = _breaker(world, settings, state, scribe)
    ladder = _ladder(world, settings, scribe)
    former = _former(world, agent_id, ladder)
    causes = LadderWatch(ladder=ladder, state=state, settings=settings)
    strangers = _strangers(world, settings, scribe, desk, book, former)
    desk.on_booked = causes.booked
    desk.quarantines = causes.quarantines
    return Core(
        leadership=leadership,
        scribe=scribe,
        state=state,
        desk=desk,
        crew=crew,
        runner=CycleRunner(
            scribe=scribe,
            clock=clock,
            ids=world.ids,
            metrics=world.metrics,
            agent_id=agent_id,
            on_ended=_ended(causes, breaker),
            tracer=world.tracer,
        ),
        breaker=breaker,
        board=HealthBoard(
            venue=world.venue, decisions=world.decisions, market_data=world.market_data
        ),
        book=book,
        checkpoints=_checkpoints(world, settings, scribe, book),
        ladder=ladder,
        former=former,
        causes=causes,
        books=_books(world, settings, desk, causes, strangers),
        absent=_absent(world, settings, desk),
        watch=_watch(world, settings, policy, scribe, state),
        market=_market(world, settings),
        schedules=ScheduleBook(scribe=scribe, records=records, clock=clock, agent_id=agent_id),
        limits=LimitBook(
            settings.limits, scribe=scribe, records=records, clock=clock, agent_id=agent_id
        ),
    )


def _scribe(world: World, settings: EngineSettings, leadership: Leadership) -> Scribe:
    return Scribe(
        journal=world.journal,
        clock=world.clock,
        leadership=leadership,
        agent_id=settings.agent_id,
        tracer=world.tracer,
    )


def _desk(world: World, settings: EngineSettings, policy: Policy, scribe: Scribe) -> TradeDesk:
    return TradeDesk(
        scribe=scribe,
        records=world.records,
        clock=world.clock,
        metrics=world.metrics,
        policy=policy,
        agent_id=settings.agent_id,
    )


def _nothing() -> str:
    return ""


def _checkpoints(
    world: World, settings: EngineSettings, scribe: Scribe, book: StrategyBook
) -> Checkpoints:
    return Checkpoints(
        scribe=scribe,
        records=world.records,
        clock=world.clock,
        book=book,
        agent_id=settings.agent_id,
        identity=settings.identity,
    )


def _market(world: World, settings: EngineSettings) -> MarketGate:
    return MarketGate(
        world.calendar,
        hours_only=settings.market_hours_only,
        second_source=world.market_data if settings.second_source else None,
        market=settings.market,
    )


def _ladder(world: World, settings: EngineSettings, scribe: Scribe) -> LadderState:
    return LadderState(
        scribe=scribe,
        records=world.records,
        clock=world.clock,
        metrics=world.metrics,
        agent_id=settings.agent_id,
    )


def _former(world: World, agent_id: AgentId, ladder: LadderState) -> FormerBooks:
    return FormerBooks(
        agent_id=agent_id,
        marks=world.database,
        damage=world.damage,
        ladder=ladder,
        clock=world.clock,
    )


def _strangers(
    world: World,
    settings: EngineSettings,
    scribe: Scribe,
    desk: TradeDesk,
    book: StrategyBook,
    former: FormerBooks,
) -> ExternalOrders:
    targets = () if settings.rebalance is None else settings.rebalance.targets

    def traded() -> Collection[str]:
        held = {symbol for symbol, quantity in desk.holdings.positions.items() if quantity}
        watched = {symbol for strategy in book.active() for symbol in strategy.symbols}
        return {*targets, *held, *watched, *(trade.state.order.symbol for trade in desk.trades)}

    return ExternalOrders(
        agent_id=settings.agent_id,
        scribe=scribe,
        records=world.records,
        desk=desk,
        ladder=former.ladder,
        former=former,
        clock=world.clock,
        metrics=world.metrics,
        traded=traded,
    )


def _books(
    world: World,
    settings: EngineSettings,
    desk: TradeDesk,
    causes: LadderWatch,
    strangers: ExternalOrders,
) -> Reconciliation:
    return Reconciliation(
        agent_id=settings.agent_id,
        venue=world.venue,
        desk=desk,
        records=world.records,
        positions=PositionCheck(venue=world.venue, desk=desk, causes=causes),
        strangers=strangers,
        forgotten=ForgottenOrders(
            agent_id=settings.agent_id,
            history=world.order_history,
            records=world.records,
            strangers=strangers,
        ),
        cash=CashCheck(
            agent_id=settings.agent_id,
            tolerance=settings.cash_tolerance,
            venue=world.venue,
            desk=desk,
            ladder=strangers.ladder,
            scribe=strangers.scribe,
            records=world.records,
            clock=world.clock,
        ),
        clock=world.clock,
        metrics=world.metrics,
        every=settings.reconcile_every,
        every_at_rest=settings.reconcile_at_rest_every,
        later=settings.later(settings.reconcile_every or NOT_LATER),
    )


def _absent(world: World, settings: EngineSettings, desk: TradeDesk) -> WatchList:
    return WatchList(
        agent_id=settings.agent_id,
        desk=desk,
        venue=world.venue,
        records=world.records,
        calendar=world.calendar,
        clock=world.clock,
    )


def _ended(causes: LadderWatch, breaker: Breaker) -> Callable[[Cycle], Awaitable[None]]:
    async def ended(cycle: Cycle) -> None:
        causes.cycle_ended(cycle)
        await breaker.ended(cycle)

    return ended


def _breaker(world: World, settings: EngineSettings, state: AgentState, scribe: Scribe) -> Breaker:
    return Breaker(
        settings=settings,
        records=world.records,
        state=state,
        scribe=scribe,
        clock=world.clock,
        metrics=world.metrics,
    )


def _watch(
    world: World, settings: EngineSettings, policy: Policy, scribe: Scribe, state: AgentState
) -> InvariantWatch:
    return InvariantWatch(
        records=world.records,
        scribe=scribe,
        state=state,
        clock=world.clock,
        metrics=world.metrics,
        settings=settings,
        calendar=world.calendar,
        patience=policy.cancel_time_max,
    )
