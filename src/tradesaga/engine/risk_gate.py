"""Puts what is known before the risk rules, and makes a proposal into a judged decision.

Nothing here waits: who judges and admits (`TradeDesk.admit`) in one turn of the loop is alone with
the books, so orders that are decided at the same time cannot break a limit together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from tradesaga.domain import risk
from tradesaga.domain.agent import Mode
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.decisions import Action, Decision, Denial, Proposal, Verdict, read_action
from tradesaga.domain.errors import Fenced
from tradesaga.domain.ids import CycleId, DecisionId, StrategyId, derived_at
from tradesaga.domain.ladder import Cause, Purpose, Rung, worst
from tradesaga.domain.market import Quote
from tradesaga.domain.money import ZERO, is_usable
from tradesaga.domain.risk import Book, Candidate, Conditions, Limits, Pace, Situation
from tradesaga.domain.strategies import Strategy, is_on_first_day
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.breaker import Breaker
from tradesaga.engine.decision_requests import Question
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.risk_batch import Batch
from tradesaga.engine.risk_inputs import pace_of, quantity_of, scope_of, throttle_of
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.shadows import book_of, shadowed
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.watchers import Watchers
from tradesaga.ports.services import Account
from tradesaga.ports.tracing import UNTRACED, Tracer


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """Prices and account as read by one cycle.

    `spent` is `Holdings.spent` from before the account was asked for.
    """

    quotes: Mapping[str, Quote]
    account: Account
    tradable: frozenset[str]
    spent: Decimal = ZERO

    @property
    def prices(self) -> dict[str, Decimal]:
        """The last known price of each quoted symbol."""
        return {s: price for s, q in self.quotes.items() if (price := q.middle) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How the order came about: under which epoch it was decided (None: the present one), and
    whether it is a leg of a rebalance. `approval` is how it stands with an operator's word where
    one is needed.
    """

    epoch: int | None = None
    imagined: Mapping[str, Decimal] | None = None
    """What the shadow strategy would hold that decides: it is judged as if alone."""
    is_paced: bool = False
    approval: risk.Approval = risk.Approval.MISSING
    asked: DecisionId | None = None
    """The id that was given to the decision when it was asked for."""


ORDINARY: Final = Circumstances()


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGate:
    """Judges candidates against the book as it stands at this instant; never waits."""

    settings: EngineSettings
    state: AgentState
    desk: TradeDesk
    market: MarketGate
    limits: LimitBook
    ladder: LadderState
    watchers: Watchers
    breaker: Breaker
    tracer: Tracer = UNTRACED

    def judge(
        self,
        proposal: Proposal,
        strategy: Strategy | None,
        view: MarketView,
        *,
        as_of: datetime,
        now: datetime,
        cycle_id: CycleId | None,
        batch: Batch,
        circumstances: Circumstances = ORDINARY,
    ) -> Decision:
        """The decision that the proposal becomes, allowed, denied or held."""
        limits = self._limits(strategy)
        action = read_action(proposal.action)
        decision = self._held(proposal, strategy, view, cycle_id, as_of=as_of, now=now)
        if circumstances.asked is not None:
            decision = replace(decision, id=circumstances.asked)
        if action is None:
            denial = Denial(code="ACTION_UNKNOWN", message=f"{proposal.action!r} is no action")
            return replace(decision, verdict=Verdict.DENIED, denials=(denial,))
        if action is Action.HOLD:
            return decision
        held = circumstances.imagined
        quantity = quantity_of(
            proposal,
            action,
            strategy,
            self.desk,
            limits,
            price=view.prices.get(proposal.symbol),
            equity=view.account.equity,
            is_canary=self._is_canary(strategy, now),
            imagined=held,
        )
        candidate = Candidate(
            symbol=proposal.symbol,
            action=action,
            quantity=quantity,
            confidence=proposal.confidence,
            reference_price=_reference(proposal, view),
            as_of=as_of,
            quote=view.quotes.get(proposal.symbol),
            is_paced=circumstances.is_paced,
        )
        situation = self._situation(
            candidate, decision, view, circumstances, strategy, now=now, batch=batch, limits=limits
        )
        judgement = risk.judge(situation)
        denials = judgement.denials
        decision = replace(
            decision,
            quantity=quantity if is_usable(quantity) else ZERO,
            opening=risk.is_opening(situation),
            verdict=Verdict.DENIED if denials else Verdict.ALLOWED,
            denials=denials,
            rules=judgement.stored(),
        )
        self._throttle(decision)
        if denials:
            return decision
        if strategy is not None and strategy.is_shadow:
            return shadowed(decision, candidate.quote)
        batch.add(situation, decision)
        return decision

    def told(self, decision: Decision, since: int, question: Question | None = None) -> None:
        """Tell who traces of a verdict; the trace begins with it unless the decision was asked."""
        if not self.tracer.is_on:
            return
        name = str(decision.id)
        answer = None if question is None else question.answer
        heard = None if answer is None else answer.delivery.incoming
        cause = None if heard is None else heard.trace
        self.tracer.told(
            "risk.verdict",
            since=since,
            about=name,
            first=question is None or question.decision_id is None,
            links=() if cause is None else (cause,),
            decision_id=name,
            correlation_id=name,
            action=decision.action,
            verdict=decision.verdict,
        )

    def situation_of(
        self,
        decision: Decision,
        view: MarketView,
        now: datetime,
        *,
        strategy: Strategy | None = None,
        circumstances: Circumstances = ORDINARY,
    ) -> Situation:
        """The same question once more, for a decision that is about to become an order."""
        candidate = Candidate(
            symbol=decision.symbol,
            action=decision.action,
            quantity=decision.quantity,
            confidence=decision.confidence,
            reference_price=decision.reference_price,
            as_of=decision.as_of,
            quote=view.quotes.get(decision.symbol),
            is_paced=circumstances.is_paced,
        )
        limits = self._limits(strategy)
        return self._situation(
            candidate,
            decision,
            view,
            circumstances,
            strategy,
            now=now,
            batch=Batch(),
            limits=limits,
        )

    def of_basket(
        self, legs: Sequence[Candidate], view: MarketView, now: datetime
    ) -> tuple[Denial, ...]:
        """Why the portfolio that all the legs together would make is not allowed."""
        limits, book = self.limits_in_force(), self._book(view, Batch())
        return risk.basket_denials(
            [
                Situation(
                    candidate=leg,
                    book=book,
                    pace=Pace(),
                    limits=limits,
                    conditions=self._conditions(ORDINARY, now, None, leg.symbol),
                    calendar=self.market.calendar,
                    hours_only=self.settings.market_hours_only,
                    closed_by_event=False,
                    tradable=view.tradable,
                    cadence=self.settings.quote_cadence,
                    now=now,
                )
                for leg in legs
            ]
        )

    def limits_in_force(self) -> Limits:
        """Those of the agent's mode, for orders of no strategy."""
        return self._limits(None)

    def _held(
        self,
        proposal: Proposal,
        strategy: Strategy | None,
        view: MarketView,
        cycle_id: CycleId | None,
        *,
        as_of: datetime,
        now: datetime,
    ) -> Decision:
        """The decision as a HOLD: what it would be if no rule were asked."""
        reference = _reference(proposal, view)
        sane = proposal.confidence is not None and proposal.confidence.is_finite()
        name = self.settings.agent_id, "decision", proposal.external_id
        return Decision(
            id=DecisionId(derived_at(proposal.said_at, *name)),
            external_id=proposal.external_id,
            agent_id=self.settings.agent_id,
            cycle_id=cycle_id,
            strategy_id=strategy.id if strategy else None,
            symbol=proposal.symbol,
            action=read_action(proposal.action) or Action.HOLD,
            confidence=proposal.confidence if sane and proposal.confidence is not None else ZERO,
            quantity=ZERO,
            reference_price=reference if reference is not None and is_usable(reference) else ZERO,
            reasoning=proposal.reasoning,
            model=proposal.model,
            as_of=as_of,
            expires_at=as_of + self._limits(strategy).decision_age_max,
            created_at=now,
        )

    def _situation(
        self,
        candidate: Candidate,
        decision: Decision,
        view: MarketView,
        circumstances: Circumstances,
        strategy: Strategy | None,
        *,
        now: datetime,
        batch: Batch,
        limits: Limits,
    ) -> Situation:
        """All that the rules look at, as it is now."""
        alone, owner = circumstances.imagined, decision.strategy_id
        conditions = replace(
            self._conditions(circumstances, now, owner, candidate.symbol),
            is_canary=self._is_canary(strategy, now),
        )
        throttle = throttle_of(self.ladder, owner)
        return Situation(
            candidate=candidate,
            book=self._book(view, batch)
            if alone is None
            else book_of(view.account, view.prices, alone),
            pace=Pace()
            if alone is not None
            else pace_of(self.desk, candidate, decision, batch, now, throttle=throttle),
            limits=limits,
            conditions=conditions,
            calendar=self.market.calendar,
            hours_only=self.settings.market_hours_only,
            closed_by_event=self.market.closed_by_event(now),
            tradable=view.tradable,
            cadence=self.settings.quote_cadence,
            now=now,
        )

    def _limits(self, strategy: Strategy | None) -> Limits:
        mode = Mode(self.state.agent.mode)
        return self.limits.in_force(mode, None if strategy is None else strategy.risk_mode)

    def _is_canary(self, strategy: Strategy | None, now: datetime) -> bool | None:
        if strategy is None:
            return False  # a leg of a rebalance, or an answer of no strategy: nobody's version
        return is_on_first_day(strategy, self.market.calendar, now)

    def _throttle(self, decision: Decision) -> None:
        """Have a strategy wait for a person that repeats itself too often."""
        owner, code = decision.strategy_id, Cause.REPEATED_EXECUTION
        said = next((d.message for d in decision.denials if d.code == code), None)
        if owner is None or said is None:
            return
        known = throttle_of(self.ladder, owner)
        if known is None or known.acknowledged_by:
            self.ladder.enter(code, said, scope=scope_of(owner), anew=True)

    def _conditions(
        self, given: Circumstances, now: datetime, strategy_id: StrategyId | None, symbol: str
    ) -> Conditions:
        refusal = self.state.refusal_of_entries() or self.market.refusal_of_entries(now)
        strategy = None if strategy_id is None else str(strategy_id)
        rung = self.ladder.rung(strategy, symbol)
        if refusal:
            rung = worst(rung, Rung.NO_ENTRIES)
        reasons = self.ladder.refusal(Purpose.ENTRY, strategy, symbol)
        try:
            held = self.desk.epoch
        except Fenced:
            held = None
        semi = self.settings.execution_mode is ExecutionMode.SEMI_AUTO
        marks, clocks = self.watchers.losses.marks, self.watchers.clocks
        throttle = throttle_of(self.ladder, strategy_id)
        return Conditions(
            rung=rung,
            entries_refused="; ".join(filter(None, (refusal, reasons))),
            epoch_decided=held if given.epoch is None else given.epoch,
            epoch_held=held,
            approval=given.approval if semi else risk.Approval.NOT_NEEDED,
            equity_at_open=None if marks is None else marks.session_equity,
            equity_peak=None if marks is None else marks.peak_equity,
            decision_failures=self.watchers.causes.failures_of(strategy_id),
            restarts_last_day=self.breaker.deaths(),
            clock_skew=clocks.skew,
            decisions_spent=self.watchers.budget.spent(now),
            throttled="" if throttle is None or throttle.acknowledged_by else throttle.detail,
            off=self._off(),
        )

    def _off(self) -> frozenset[str]:
        """The rules for whose inputs this installation has no source."""
        off = set[str]()
        if self.watchers.budget.price.is_free:
            off.add("DECISION_BUDGET")
        if not self.settings.sectors:
            off.add("SECTOR_LIMIT")
        if not self.watchers.clocks.has_venue:
            off.add("CLOCK_SKEW")
        return frozenset(off)

    def _book(self, view: MarketView, batch: Batch) -> Book:
        trades, holdings = self.desk.trades, self.desk.holdings
        working = trades.working()
        for symbol, quantity in batch.working.items():
            working[symbol] = working.get(symbol, ZERO) + quantity
        return Book(
            equity=view.account.equity,
            buying_power=view.account.buying_power,
            # What has filled since the account was read is in no reservation any more.
            reserved=trades.reserved() + batch.reserved + (holdings.spent - view.spent),
            positions=dict(holdings.positions),
            working=working,
            prices=view.prices,
            active_orders=trades.active_orders() + batch.orders,
            opening_symbols=trades.opening_symbols() | batch.opening,
            locked_symbols=frozenset(lock.symbol for lock in self.desk.locks()),
            sectors=self.settings.sectors,
            blocked=view.account.blocked,
        )


def _reference(proposal: Proposal, view: MarketView) -> Decimal | None:
    quote = view.quotes.get(proposal.symbol)
    return proposal.suggested_price or (quote.middle if quote else None)
