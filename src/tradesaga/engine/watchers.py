"""All that watches by itself for one agent and enters the ladder, put together."""

from __future__ import annotations

from dataclasses import dataclass

from tradesaga.domain.agent import Mode
from tradesaga.domain.risk import Limits
from tradesaga.engine.clock_watch import ClockWatch
from tradesaga.engine.core import Core
from tradesaga.engine.decision_budget import DecisionBudget
from tradesaga.engine.engine_watch import EngineWatch
from tradesaga.engine.ladder_watch import LadderWatch
from tradesaga.engine.loss_watch import LossWatch
from tradesaga.engine.outbox_relay import OutboxRelay
from tradesaga.engine.quote_watch import QuoteWatch
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.vital_signs import VitalSigns
from tradesaga.engine.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """Each says in its module what it enters and when."""

    causes: LadderWatch
    vitals: VitalSigns
    clocks: ClockWatch
    quotes: QuoteWatch
    losses: LossWatch
    engine: EngineWatch
    budget: DecisionBudget


def watchers_of(world: World, settings: EngineSettings, core: Core, relay: OutboxRelay) -> Watchers:
    """Those of one agent."""

    def limits() -> Limits:
        return core.limits.in_force(Mode(core.state.agent.mode), None)

    return Watchers(
        causes=core.causes,
        vitals=VitalSigns(
            ladder=core.ladder,
            former=core.former,
            leadership=core.leadership,
            bus=world.bus,
            stuck_since=lambda: relay.stuck_since,
            commits=core.scribe.times,
            clock=world.clock,
            tolerances=settings.tolerances,
        ),
        clocks=ClockWatch(
            database=world.database_clock,
            venue=world.venue_clock,
            ladder=core.ladder,
            metrics=world.metrics,
            limits=limits,
            host_error_max=settings.tolerances.host_clock_error_max,
        ),
        quotes=QuoteWatch(
            ladder=core.ladder,
            market=core.market,
            market_data=world.market_data,
            clock=world.clock,
            limits=limits,
            cadence=settings.quote_cadence,
        ),
        engine=EngineWatch(
            mode=settings.self_trading,
            parking=world.parking,
            memory=world.venue_memory,
            venue=world.venue,
            holdings=core.desk.holdings,
            ladder=core.ladder,
            board=core.board,
            clock=world.clock,
        ),
        losses=LossWatch(
            scribe=core.scribe,
            records=world.records,
            clock=world.clock,
            market=core.market,
            state=core.state,
            limits=core.limits,
            ladder=core.ladder,
            agent_id=settings.agent_id,
        ),
        budget=DecisionBudget(
            price=settings.decision_price,
            records=world.records,
            clock=world.clock,
            calendar=world.calendar,
            agent_id=settings.agent_id,
        ),
    )
