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
from tradesaga.domain.ladder import Purpose, Rung, worst
from tradesaga.domain.market import Quote
from tradesaga.domain.money import ZERO, floor_to, is_usable
from tradesaga.domain.risk import Book, Candidate, Conditions, Limits, Pace, Situation
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_start import saga_id_of
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.breaker import Breaker
from tradesaga.engine.ladder_state import LadderState
from tradesaga.engine.limit_book import LimitBook
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.risk_batch import Batch, traits_of
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.shadows import book_of, shadowed
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.watchers import Watchers
from tradesaga.ports.services import Account

WHOLE = Decimal(1)
NOT_FED: Final = frozenset(
    {
        "DECISION_BUDGET",
        "CANARY_SIZE",
    }
)
"""Rules for whose inputs there is no source yet: their verdict is `off`."""


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
        if action is None:
            denial = Denial(code="ACTION_UNKNOWN", message=f"{proposal.action!r} is no action")
            return replace(decision, verdict=Verdict.DENIED, denials=(denial,))
        if action is Action.HOLD:
            return decision
        held = circumstances.imagined
        quantity = self._quantity(proposal, action, strategy, view, limits, held)
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
            candidate, decision, view, circumstances, now=now, batch=batch, limits=limits
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
        if denials:
            return decision
        if strategy is not None and strategy.is_shadow:
            return shadowed(decision, candidate.quote)
        batch.add(situation, decision)
        return decision

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
            candidate, decision, view, circumstances, now=now, batch=Batch(), limits=limits
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
        *,
        now: datetime,
        batch: Batch,
        limits: Limits,
    ) -> Situation:
        """All that the rules look at, as it is now."""
        alone = circumstances.imagined
        return Situation(
            candidate=candidate,
            book=self._book(view, batch)
            if alone is None
            else book_of(view.account, view.prices, alone),
            pace=self._pace(candidate, decision, batch, now) if alone is None else Pace(),
            limits=limits,
            conditions=self._conditions(circumstances, now, decision.strategy_id, candidate.symbol),
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
            off=self._off(),
        )

    def _off(self) -> frozenset[str]:
        """The rules for whose inputs this installation has no source."""
        off = set(NOT_FED)
        if not self.settings.sectors:
            off.add("SECTOR_LIMIT")
        if not self.watchers.clocks.has_venue:
            off.add("CLOCK_SKEW")
        return frozenset(off)

    def _quantity(
        self,
        proposal: Proposal,
        action: Action,
        strategy: Strategy | None,
        view: MarketView,
        limits: Limits,
        imagined: Mapping[str, Decimal] | None,
    ) -> Decimal:
        """As proposed; else the strategy's whole holding, or half of what one order may cost."""
        if proposal.suggested_quantity is not None:
            return proposal.suggested_quantity
        owner = strategy.id if strategy else None
        held = (
            self.desk.holdings.of_strategy(owner, proposal.symbol)
            if imagined is None
            else imagined.get(proposal.symbol, ZERO)
        )
        if held != ZERO and (held > ZERO) != (action is Action.BUY):
            return abs(held)
        price = view.prices.get(proposal.symbol)
        if price is None or not is_usable(price):
            return ZERO
        budget = risk.order_budget(limits, view.account.equity) / 2
        return floor_to(max(ZERO, budget) / price, WHOLE)

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

    def _pace(self, candidate: Candidate, decision: Decision, batch: Batch, now: datetime) -> Pace:
        pace, strategy = self.desk.holdings.pace, decision.strategy_id
        traits, of_cycle = traits_of(candidate), pace.of_cycle(decision.cycle_id)
        saga = saga_id_of(decision.id)
        return Pace(
            last_minute=pace.minute.count(now) + batch.orders,
            last_day=pace.day.count(now) + batch.orders,
            strategy_last_minute=pace.minute.of_strategy(strategy) + batch.by_strategy[strategy],
            strategy_last_day=pace.day.of_strategy(strategy) + batch.by_strategy[strategy],
            entries_last_hour=pace.entries.count(now) + batch.entries,
            entries_in_cycle=of_cycle.number + batch.entries,
            basket=of_cycle.value + batch.basket,
            same_at=now if traits in batch.equal else pace.equal_at(*traits),
            is_decided=decision.id in batch.decided or saga in self.desk.trades,
            exit_at=pace.left_at(candidate.symbol),
            stop_at=pace.stopped_at(candidate.symbol),
            stops_last_day=pace.stops(now),
            last_stop_at=pace.stopped_at(),
        )


def _reference(proposal: Proposal, view: MarketView) -> Decimal | None:
    quote = view.quotes.get(proposal.symbol)
    return proposal.suggested_price or (quote.middle if quote else None)
