"""The analysis cycle, step by step. Read this first.

    fetch_market_data    quotes of every symbol that an active strategy watches
    evaluate_positions   account and positions at the venue, compared with our own books
    generate_decisions   each strategy is asked about each of its symbols, all at once
    validate_decisions   every answer meets every risk rule; what is allowed becomes a saga, first
                         what reduces risk, then entries; verdicts and sagas are one commit
    execute_orders       the sagas run; a person is asked where a person has the last word
    update_state         profit and loss, outcomes, counters

A strategy without an answer is recorded in `errors`; the others go on. A saga that outlives the
cycle goes on by itself. HOLD never makes an order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from structlog import get_logger

from tradesaga.domain import risk
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.cycle import Cycle, CycleType, TriggeredBy
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.errors import Conflict, Fenced
from tradesaga.domain.ids import CycleId, DecisionId
from tradesaga.domain.money import ZERO, to_cents
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine import trade_rows
from tradesaga.engine.approvals import Approvals
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.cycle_work import CycleWork, Plan
from tradesaga.engine.decision_budget import DecisionBudget
from tradesaga.engine.decision_requests import (
    DecisionRequests,
    Question,
    question_about,
    question_entry,
    taken,
)
from tradesaga.engine.engine_watch import left_to_engine
from tradesaga.engine.intents import Intents
from tradesaga.engine.ladder_watch import LadderWatch
from tradesaga.engine.loss_watch import LossWatch
from tradesaga.engine.market_reading import (
    MarketReading,
    ReadMarket,
    read_market,
    symbols_of,
)
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.position_check import Look, PositionCheck
from tradesaga.engine.quote_watch import QuoteWatch
from tradesaga.engine.risk_batch import Batch
from tradesaga.engine.risk_gate import Circumstances, MarketView, RiskGate
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.shadows import Imagined, imagined
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.waiting import news_or_moment, patience_from
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Add, Entry, Insert
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.services import MarketData, TradingEngine

log = get_logger()


@dataclass(slots=True)
class AnalysisWork(CycleWork):
    """What one analysis cycle finds out."""

    watching: tuple[Strategy, ...] = ()
    reading: MarketReading | None = None
    view: MarketView | None = None
    look: Look | None = None
    on_judged: Callable[[], None] = lambda: None
    imagined: Imagined = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    trades: Sequence[OpenTrade] = ()
    left: set[DecisionId] = field(default_factory=set)  # to an engine that executes them itself

    def allowed(self) -> list[Decision]:
        """What the rules allow, first what reduces risk."""
        found = (d for d in self.decisions if d.verdict is Verdict.ALLOWED)
        return sorted((d for d in found if d.id not in self.left), key=lambda d: d.opening)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisCycle:
    """Makes analysis cycles; the six steps are its methods of the same names."""

    settings: EngineSettings
    clock: Clock
    runner: CycleRunner
    venue: TradingEngine
    market_data: MarketData
    requests: DecisionRequests
    gate: RiskGate
    desk: TradeDesk
    approvals: Approvals
    positions: PositionCheck
    crew: SagaCrew
    metrics: Metrics
    causes: LadderWatch
    losses: LossWatch
    quotes: QuoteWatch
    budget: DecisionBudget

    async def run(
        self,
        strategies: Sequence[Strategy],
        triggered_by: TriggeredBy,
        scheduled_at: datetime,
        unsolicited: Sequence[Question] = (),
        on_judged: Callable[[], None] = lambda: None,
        cycle_id: CycleId | None = None,
        read: ReadMarket | None = None,
    ) -> Cycle:
        """One cycle over `strategies`; with `unsolicited` answers nobody is asked.

        `on_judged` is called when all verdicts are committed, before their orders are executed.
        `read` has begun to read the market already, for the symbols of these strategies.

        Raises:
            Fenced, Unavailable: as the runner.
        """
        cycle = self.runner.new(CycleType.ANALYSIS, triggered_by, scheduled_at, cycle_id)
        work = AnalysisWork(
            cycle=cycle,
            watching=tuple(strategies),
            strategies=tuple(s.external_id for s in strategies),
            symbols=symbols_of(strategies),
            questions=list(unsolicited),
            on_judged=on_judged,
        )
        plan = Plan(
            work=work,
            steps={
                "fetch_market_data": lambda: self.fetch_market_data(work),
                "evaluate_positions": lambda: self.evaluate_positions(work),
                "generate_decisions": lambda: self.generate_decisions(work),
                "validate_decisions": lambda: self.validate_decisions(work),
                "execute_orders": lambda: self.execute_orders(work),
                "update_state": lambda: self.update_state(work),
            },
            commit_after=frozenset({"validate_decisions"}),
            ahead=lambda: self._read(work, read or (lambda: self.read(work.symbols))),
        )
        try:
            return await self.runner.run(plan, time_max=self.settings.analysis_time_max)
        finally:
            self.requests.settled(work.questions)

    async def read(self, symbols: Sequence[str]) -> MarketReading:
        """What an analysis begins with. Raises Transient as the services do."""
        return await read_market(self.venue, self.market_data, self.positions, symbols)

    async def _read(self, work: AnalysisWork, read: ReadMarket) -> None:
        work.reading = await read()

    async def fetch_market_data(self, work: AnalysisWork) -> None:
        """Quotes of all symbols; a symbol without one fails its strategies, not the cycle."""
        assert work.reading is not None, "it is read ahead"
        found = work.reading
        account, quotes, work.look = found.account, found.quotes, found.look
        await self.losses.saw(account.equity)
        self.quotes.saw(work.symbols, quotes)
        work.view = MarketView(
            quotes=quotes, account=account, tradable=frozenset(work.symbols), spent=found.spent
        )
        now = self.clock.now()
        for strategy in work.watching:
            for symbol in strategy.symbols:
                if symbol not in quotes:
                    work.fail(strategy.external_id, f"no quote of {symbol}", now)
        said = {s: str(q.middle) for s, q in quotes.items()}
        quoted = {s: q.at.isoformat() for s, q in quotes.items()}
        work.note("info", "fetched market data", now, quotes=said, quotedAt=quoted)

    async def evaluate_positions(self, work: AnalysisWork) -> None:
        """Our books against the venue's: a difference is reported, never copied."""
        assert work.look is not None, "fetch_market_data comes first"
        drifts = self.positions.compare(work.look)
        now = self.clock.now()
        for drift in drifts:
            self.metrics.error_occurred(ErrorType.POSITION_DRIFT)
            work.note(
                "warning", f"position drift in {drift.symbol}", now,
                ours=str(drift.ours), venue=str(drift.venue),
            )  # fmt: skip
        held = {s: str(q) for s, q in self.desk.holdings.positions.items() if q != ZERO}
        work.note("info", "evaluated positions", now, positions=held)
        records = self.approvals.trades.records
        work.imagined = await imagined(records, self.settings.agent_id, work.watching)

    async def generate_decisions(self, work: AnalysisWork) -> None:
        """Ask for all decisions at once and wait until the last answer or the deadline."""
        work.figures["strategies_processed"] = len(work.watching)
        if work.questions:
            return  # the answers came by themselves
        view, now = _seen(work), self.clock.now()
        wished = [
            question_about(symbol, strategy, work.cycle.id, now)
            for strategy in work.watching
            for symbol in strategy.symbols
            if symbol in view.quotes
        ]
        held = {s for s, quantity in self.desk.holdings.positions.items() if quantity}
        paid = self.budget.affordable(wished, held, now, self.gate.limits_in_force())
        work.questions = list(self.requests.affordable(paid, held, now))
        for question in wished:
            if question not in work.questions:
                why = "rate limit" if question in paid else "DECISION_BUDGET, the day's is spent"
                self.metrics.rate_limited("ai-decision", "refused")
                work.fail(question.name, f"not asked about {question.symbol}: {why}", now)
        work.rows.extend(self.budget.set_aside(work.cycle.id, len(work.questions), now))
        work.entries.extend(self._question_entry(work, asked) for asked in work.questions)
        asked = self.requests.ask(work.questions)
        time_max = self.settings.decision_time_max
        patience_until = patience_from(self.clock, time_max)  # the commit may take its while
        try:
            if work.questions:
                await self.runner.commit_now(work, "analysis.requested")
            await news_or_moment(
                self.clock, asked.complete, now + time_max, patience_until=patience_until
            )
        finally:
            self.requests.end(asked)
        self.causes.asked(work.questions)
        for question in work.questions:
            if question.answer is None:
                why = f"no decision about {question.symbol} in time"
                work.fail(question.name, why, self.clock.now())

    async def validate_decisions(self, work: AnalysisWork) -> None:
        """Every answer against every rule; decisions, their inbox rows and sagas are one commit."""
        view, now, batch = _seen(work), self.clock.now(), Batch()
        work.rows.extend(self.budget.settle(work.cycle.id, work.questions, now))
        for question in work.questions:
            if question.answer is None:
                continue
            strategy, since = question.strategy, self.gate.tracer.moment()
            decision = self.gate.judge(
                question.answer.proposal,
                strategy,
                view,
                as_of=question.asked_at,
                now=now,
                cycle_id=work.cycle.id,
                batch=batch,
                circumstances=Circumstances(
                    epoch=work.cycle.epoch,
                    approval=risk.Approval.ASKED,
                    imagined=None if strategy is None else work.imagined.get(strategy.id),
                    asked=question.decision_id,
                ),
            )
            self.gate.told(decision, since, question)
            work.decisions.append(decision)
            work.rows += [Insert(decision), *taken(question.answer, now)]
            work.entries.append(trade_rows.judged(decision, actor="engine"))
            self.metrics.decision_made(decision.action, decision.verdict)
            why = ", ".join(denial.code for denial in decision.denials)
            work.note(
                "info", f"{decision.action} {decision.symbol} {decision.verdict}", now,
                strategyId=question.name, quantity=str(decision.quantity), denials=why,
            )  # fmt: skip
        work.rows.append(Add(AgentCounts(decisions_generated=len(work.decisions))))
        work.figures["decisions_generated"] = len(work.decisions)
        work.intents = Intents(desk=self.desk, crew=self.crew, epoch=work.cycle.epoch)
        work.left |= left_to_engine(self.settings.self_trading, work.allowed())
        for decision in work.allowed():
            if self._needs_nobody(decision):
                self._admit(work, work.intents, decision)

    async def execute_orders(self, work: AnalysisWork) -> None:
        """Ask a person where one must be asked; wait for the sagas, but not for ever."""
        work.on_judged()
        for question in work.questions:
            if question.answer is not None:  # what came of it is committed
                await question.answer.delivery.acknowledge()
        for decision in work.allowed():
            if not self._needs_nobody(decision):
                await self._ask(work, decision)
        if work.intents is not None:
            work.trades = work.intents.trades
            if work.intents.stopped:
                work.note("warning", "not begun: the agent was stopped", self.clock.now())
        deadline = self.clock.now() + self.desk.policy.fill_time_max
        for trade in work.trades:
            await news_or_moment(self.clock, trade.ended, deadline)
        work.figures["orders_submitted"] = len(work.trades)
        work.figures["orders_filled"] = sum(
            1 for trade in work.trades if trade.state.order.filled_quantity > ZERO
        )

    async def update_state(self, work: AnalysisWork) -> None:
        """What the cycle leaves behind for people: equity, profit, positions, outcomes."""
        view = _seen(work)
        profit = self.desk.holdings.profit(view.prices)
        outcomes = ", ".join(_outcome(trade) for trade in work.trades)
        held = {s: q for s, q in self.desk.holdings.positions.items() if q != ZERO}
        work.figures["metadata"] = {
            "equity": view.account.equity,
            "profit": to_cents(profit),
            "positions": ", ".join(f"{symbol} {held[symbol]:f}" for symbol in sorted(held)),
            "sagas": outcomes,
            "marketTime": work.cycle.scheduled_at.isoformat(),
        }
        work.note("info", "cycle done", self.clock.now(), profit=str(profit), sagas=outcomes)

    def _needs_nobody(self, decision: Decision) -> bool:
        """Whether the execution mode lets it be ordered without a person's word."""
        mode = self.settings.execution_mode
        exits = mode is ExecutionMode.SEMI_AUTO and not decision.opening
        return exits or mode is ExecutionMode.AUTONOMOUS

    async def _ask(self, work: AnalysisWork, decision: Decision) -> None:
        """Ask an operator, or leave it at the decision, as the execution mode says."""
        now = self.clock.now()
        if self.settings.execution_mode is ExecutionMode.MANUAL:
            work.note("info", "not executed: execution is manual", now, id=str(decision.id))
            return
        try:
            approval = await self.approvals.ask(decision)
        except Fenced:
            raise
        except Conflict:
            work.note("warning", "an operator has been asked before", now, id=str(decision.id))
        else:
            work.note("info", "waits for an approval", now, approvalId=str(approval.id))

    def _admit(self, work: AnalysisWork, intents: Intents, decision: Decision) -> None:
        """Judge once more, after all that was admitted before it, and admit."""
        now = self.clock.now()
        strategy = next((s for s in work.watching if s.id == decision.strategy_id), None)
        decided = Circumstances(epoch=work.cycle.epoch)
        situation = self.gate.situation_of(
            decision, _seen(work), now, strategy=strategy, circumstances=decided
        )
        judgement = risk.judge(situation)
        if judgement.denials:
            why = ", ".join(f"{d.code}: {d.message}" for d in judgement.denials)
            work.note("warning", f"denied at execution: {why}", now, decisionId=str(decision.id))
            work.entries.append(trade_rows.denied_at_execution(decision, judgement))
            return
        state = trade_for(
            decision, reserve=risk.cost_to_reserve(situation), now=now, policy=self.desk.policy
        )
        try:
            intents.admit(state)
        except Conflict:
            work.note("warning", "the decision has its saga already", now, id=str(decision.id))

    def _question_entry(self, work: AnalysisWork, question: Question) -> Entry:
        strategy, view = question.strategy, _seen(work)
        assert strategy is not None, "only a strategy asks"
        alone = work.imagined.get(strategy.id)
        held = (
            self.desk.holdings.of_strategy(strategy.id, question.symbol)
            if alone is None
            else alone.get(question.symbol, ZERO)
        )
        return question_entry(question, work.cycle.id, held=held, equity=view.account.equity)


def _seen(work: AnalysisWork) -> MarketView:
    assert work.view is not None, "fetch_market_data comes first"
    return work.view


def _outcome(trade: OpenTrade) -> str:
    order, saga = trade.state.order, trade.state.saga
    word = "running" if saga.status is SagaStatus.RUNNING else str(saga.status)
    price = order.average_price
    at = f" @ {to_cents(price)}" if price is not None else ""
    return f"{order.side} {order.filled_quantity:f}/{order.quantity:f} {order.symbol}{at} {word}"
