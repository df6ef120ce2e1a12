"""Puts what is known before the risk rules, and makes a proposal into a judged decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from tradesaga.domain import risk
from tradesaga.domain.agent import Mode
from tradesaga.domain.decisions import Action, Decision, Denial, Proposal, Verdict, read_action
from tradesaga.domain.ids import CycleId, DecisionId, derived
from tradesaga.domain.market import Quote
from tradesaga.domain.money import ZERO, floor_to, is_usable, percent_of
from tradesaga.domain.risk import Book, Candidate, Situation
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.holdings import DAY, MINUTE
from tradesaga.engine.market_gate import MarketGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.services import Account

WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """Prices and account as read by one cycle."""

    quotes: Mapping[str, Quote]
    account: Account
    tradable: frozenset[str]

    @property
    def prices(self) -> dict[str, Decimal]:
        """The last known price of each quoted symbol."""
        return {s: price for s, q in self.quotes.items() if (price := q.middle) is not None}


@dataclass(slots=True)
class Batch:
    """What this batch of decisions has been allowed already, before any of it is an open trade."""

    working: dict[str, Decimal] = field(default_factory=dict)
    reserved: Decimal = ZERO
    opening: set[str] = field(default_factory=set)
    orders: int = 0

    def add(self, situation: Situation) -> None:
        """Count an allowed candidate."""
        symbol = situation.candidate.symbol
        self.working[symbol] = self.working.get(symbol, ZERO) + situation.signed
        self.reserved += risk.cost_to_reserve(situation)
        self.orders += 1
        if risk.is_opening(situation):
            self.opening.add(symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGate:
    """Judges candidates against the book as it stands at this instant; never waits."""

    settings: EngineSettings
    state: AgentState
    desk: TradeDesk
    market: MarketGate

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
    ) -> Decision:
        """The decision that the proposal becomes, allowed, denied or held."""
        action = read_action(proposal.action)
        quote = view.quotes.get(proposal.symbol)
        reference = proposal.suggested_price or (quote.middle if quote else None)
        sane = proposal.confidence is not None and proposal.confidence.is_finite()
        decision = Decision(
            id=DecisionId(derived(self.settings.agent_id, "decision", proposal.external_id)),
            external_id=proposal.external_id,
            agent_id=self.settings.agent_id,
            cycle_id=cycle_id,
            strategy_id=strategy.id if strategy else None,
            symbol=proposal.symbol,
            action=action or Action.HOLD,
            confidence=proposal.confidence if sane and proposal.confidence is not None else ZERO,
            quantity=ZERO,
            reference_price=reference if reference is not None and is_usable(reference) else ZERO,
            reasoning=proposal.reasoning,
            model=proposal.model,
            as_of=as_of,
            expires_at=as_of + self._limits.decision_age_max,
            created_at=now,
        )
        if action is None:
            denial = Denial(code="ACTION_UNKNOWN", message=f"{proposal.action!r} is no action")
            return replace(decision, verdict=Verdict.DENIED, denials=(denial,))
        if action is Action.HOLD:
            return decision
        quantity = self._quantity(proposal, action, strategy, view)
        candidate = Candidate(
            symbol=proposal.symbol,
            action=action,
            quantity=quantity,
            confidence=proposal.confidence,
            reference_price=reference,
            as_of=as_of,
            quote=quote,
        )
        situation = self.situation(candidate, view, now=now, batch=batch)
        denials = risk.denials(situation)
        if not denials:
            batch.add(situation)
        return replace(
            decision,
            quantity=quantity if is_usable(quantity) else ZERO,
            opening=risk.is_opening(situation),
            verdict=Verdict.DENIED if denials else Verdict.ALLOWED,
            denials=denials,
        )

    def situation_of(self, decision: Decision, view: MarketView, now: datetime) -> Situation:
        """The same question once more, for a decision that is about to become an order."""
        candidate = Candidate(
            symbol=decision.symbol,
            action=decision.action,
            quantity=decision.quantity,
            confidence=decision.confidence,
            reference_price=decision.reference_price,
            as_of=decision.as_of,
            quote=view.quotes.get(decision.symbol),
        )
        return self.situation(candidate, view, now=now, batch=Batch())

    def situation(
        self, candidate: Candidate, view: MarketView, *, now: datetime, batch: Batch
    ) -> Situation:
        """All that the rules look at, as it is now."""
        refusal = self.state.refusal_of_entries()
        return Situation(
            candidate=candidate,
            book=self._book(view, now, batch),
            limits=self._limits,
            calendar=self.market.calendar,
            hours_only=self.settings.market_hours_only,
            closed_by_event=self.market.closed_by_event(now),
            entries_allowed=not refusal,
            entries_refused_because=refusal,
            tradable=view.tradable,
            cadence=self.settings.quote_cadence,
            now=now,
        )

    @property
    def _limits(self) -> risk.Limits:
        return self.settings.limits[Mode(self.state.agent.mode)]

    def _quantity(
        self, proposal: Proposal, action: Action, strategy: Strategy | None, view: MarketView
    ) -> Decimal:
        """As proposed; else the strategy's whole holding, or half of what one order may cost."""
        if proposal.suggested_quantity is not None:
            return proposal.suggested_quantity
        held = self.desk.holdings.of_strategy(strategy.id if strategy else None, proposal.symbol)
        if held != ZERO and (held > ZERO) != (action is Action.BUY):
            return abs(held)
        price = view.prices.get(proposal.symbol)
        if price is None or not is_usable(price):
            return ZERO
        budget = percent_of(self._limits.order_notional_percent, view.account.equity) / 2
        return floor_to(max(ZERO, budget) / price, WHOLE)

    def _book(self, view: MarketView, now: datetime, batch: Batch) -> Book:
        trades, holdings = self.desk.trades, self.desk.holdings
        working = trades.working()
        for symbol, quantity in batch.working.items():
            working[symbol] = working.get(symbol, ZERO) + quantity
        return Book(
            equity=view.account.equity,
            buying_power=view.account.buying_power,
            reserved=trades.reserved() + batch.reserved,
            positions=dict(holdings.positions),
            working=working,
            prices=view.prices,
            active_orders=trades.active_orders() + batch.orders,
            opening_symbols=trades.opening_symbols() | batch.opening,
            locked_symbols=trades.locked_symbols(),
            orders_last_minute=holdings.orders_since(now - MINUTE) + batch.orders,
            orders_last_day=holdings.orders_since(now - DAY) + batch.orders,
            blocked=view.account.blocked,
        )
