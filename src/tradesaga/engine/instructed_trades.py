"""Trades without a decision maker: the close of a position, the legs of a rebalance.

An instruction is judged by every risk rule like a proposal; decision, saga, reservation and intent
are one commit, and the saga runs like any other. An exit reserves nothing. What is denied is
recorded as a denied decision and makes no saga. Refuses to size anything before the recovery of
what was open is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tradesaga.domain import risk
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.decisions import Action, Decision, Denial, Verdict
from tradesaga.domain.errors import Conflict, Fenced, Transient, Unavailable
from tradesaga.domain.ids import AgentId, StrategyId
from tradesaga.domain.instructions import Instruction, Origin
from tradesaga.domain.money import ZERO
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine import trade_rows
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.risk_batch import Batch
from tradesaga.engine.risk_gate import Circumstances, MarketView, RiskGate
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Add, Insert
from tradesaga.ports.records import Records
from tradesaga.ports.services import MarketData, TradingEngine

CLEAR_SECONDS_MAX = 5.0
"""Real time given to own entries of the symbol to be cancelled before the exit is sized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructed:
    """What became of an instruction: its trade, or None and a decision that says why not."""

    decision: Decision
    trade: OpenTrade | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructedTrades:
    """The entry point for everybody who wants an order that no decision maker proposed."""

    agent_id: AgentId
    gate: RiskGate
    desk: TradeDesk
    crew: SagaCrew
    scribe: Scribe
    records: Records
    venue: TradingEngine
    market_data: MarketData
    clock: Clock

    async def close_position(
        self,
        symbol: str,
        *,
        origin: Origin,
        key: str,
        reason: str,
        actor: str,
        strategy_id: StrategyId | None = None,
    ) -> Sequence[Instructed]:
        """Begin to sell (or buy back) what is held of `symbol`, by all or by one strategy.

        Own entries of the symbol are cancelled first. Each strategy's share is a saga of its own.
        Empty when nothing is left to close. Repeated under the same `key` it answers with the
        trades it made. It does not wait for their end: `trade.ended` tells.

        Raises:
            Unavailable: not recovered, or the venue or the journal gives no answer.
            Fenced: the lease has passed on, or a stop came in between.
        """
        self._must_be_ready()
        await self._clear(symbol, strategy_id)
        view = await self._view(symbol)
        self._must_be_ready()
        shares = self._shares(symbol, strategy_id)
        done = []
        for owner, quantity in shares:
            instruction = Instruction(
                origin=origin,
                key=key,
                symbol=symbol,
                action=Action.SELL if quantity > ZERO else Action.BUY,
                quantity=abs(quantity),
                reason=reason,
                actor=actor,
                strategy_id=owner,
            )
            done.append(await self.begin(instruction, view, epoch=self.desk.epoch))
        return done

    async def begin(
        self, instruction: Instruction, view: MarketView, *, epoch: int, batch: Batch | None = None
    ) -> Instructed:
        """Judge one instruction and begin its saga under the `epoch` in which it was decided.

        `batch` counts what was allowed beside it before any of it is an open trade. A repeat
        answers with the decision and trade that are there.

        Raises:
            Fenced: `epoch` is over (stop, or a new leader); nothing was written.
            Unavailable: as the journal.
        """
        known = await self._known(instruction)
        if known is not None:
            return known
        price = None
        if instruction.symbol not in view.quotes:
            price = await self._last_price(instruction.symbol)
        # From here on nothing waits until the trade is counted: no other order comes between.
        decision = self._judged(instruction, view, price, batch or Batch())
        try:
            trade = await self._carry_out(instruction, decision, view, epoch)
        except Fenced:
            raise
        except Conflict:  # it was given before, or by another hand at the same moment
            known = await self._known(instruction)
            return known or Instructed(decision=_denied_before(decision), trade=None)
        return Instructed(decision=decision, trade=trade)

    async def _carry_out(
        self, given: Instruction, decision: Decision, view: MarketView, epoch: int
    ) -> OpenTrade | None:
        rows = (Insert(decision), Add(AgentCounts(decisions_generated=1)))
        said = trade_rows.judged(
            decision, actor=given.actor, origin=given.origin, reason=given.reason
        )
        if decision.verdict is not Verdict.ALLOWED or self._is_held_back(given, decision):
            await self.scribe.intent(rows, (said,), epoch=epoch)
            return None
        now = self.clock.now()
        state = trade_for(
            decision,
            reserve=risk.cost_to_reserve(
                self.gate.situation_of(decision, view, now, circumstances=_circumstances(given))
            ),
            now=now,
            policy=self.desk.policy,
            start=given.start(),
        )
        return await self.crew.begin(state, epoch=epoch, rows=rows, entries=(said,))

    def _is_held_back(self, given: Instruction, decision: Decision) -> bool:
        """Whether the execution mode leaves an order that no person gave to a person."""
        if given.origin is not Origin.REBALANCE:
            return False
        match self.gate.settings.execution_mode:
            case ExecutionMode.AUTONOMOUS:
                return False
            case ExecutionMode.SEMI_AUTO:
                return decision.opening
            case ExecutionMode.MANUAL:
                return True

    # ---- what it is sized by --------------------------------------------------------------

    def _judged(
        self, given: Instruction, view: MarketView, price: Decimal | None, batch: Batch
    ) -> Decision:
        now, since = self.clock.now(), self.gate.tracer.moment()
        judged = self.gate.judge(
            given.proposal(now, price),
            None,
            view,
            as_of=now,
            now=now,
            cycle_id=given.cycle_id,
            batch=batch,
            circumstances=_circumstances(given),
        )
        decision_id = given.decision_id(self.agent_id)
        decision = replace(judged, id=decision_id, strategy_id=given.strategy_id)
        self.gate.told(decision, since)
        return decision

    async def _known(self, given: Instruction) -> Instructed | None:
        """The trade that this instruction has made before."""
        saga_id = given.saga_id(self.agent_id)
        trade = self.desk.trades.of(saga_id)
        if trade is None:
            record = await self.records.trade(self.agent_id, saga_id)
            if record is None:
                return None
            trade = self.desk.trades.of(saga_id) or OpenTrade(record.state)
        return Instructed(decision=_decision_of(given, trade), trade=trade)

    def _shares(
        self, symbol: str, strategy_id: StrategyId | None
    ) -> Sequence[tuple[StrategyId | None, Decimal]]:
        """Signed quantities to close, by owner, less what open orders close already."""
        held = self.desk.holdings.positions.get(symbol, ZERO)
        total = held + self.desk.trades.working().get(symbol, ZERO)
        shares = {}
        for owner in self.desk.holdings.owners_of(symbol):
            working = self.desk.trades.working_of(owner, symbol)
            if share := self.desk.holdings.of_strategy(owner, symbol) + working:
                shares[owner] = share
        if strategy_id is not None:
            share = shares.get(strategy_id, ZERO)
            return ((strategy_id, share),) if share else ()
        one_way = all((share > ZERO) == (total > ZERO) for share in shares.values())
        if one_way and sum(shares.values(), ZERO) == total:
            return sorted(shares.items(), key=lambda item: str(item[0]))
        return ((None, total),) if total else ()  # strategies against each other: the net

    async def _clear(self, symbol: str, strategy_id: StrategyId | None) -> None:
        """Have own entries of the symbol cancelled, and wait a moment for the verdicts."""
        entries = [
            trade
            for trade in self.desk.trades
            if trade.state.order.symbol == symbol
            and trade.state.order.opening
            and strategy_id in (None, trade.state.order.strategy_id)
        ]
        for trade in entries:
            trade.wish_cancel(f"{symbol} is to be closed")
        try:
            async with asyncio.timeout(CLEAR_SECONDS_MAX):
                for trade in entries:
                    await trade.ended.wait()
        except TimeoutError:
            return  # the rules will say that an order is open on the other side

    async def _view(self, symbol: str) -> MarketView:
        spent = self.desk.holdings.spent  # before the account is asked
        account = await self.venue.account()
        await self.gate.watchers.losses.saw(account.equity)
        try:
            quotes = await self.market_data.quotes((symbol,))
        except Transient:
            quotes = {}  # an exit may use the last price that is known
        return MarketView(
            quotes=quotes, account=account, tradable=frozenset((symbol,)), spent=spent
        )

    async def _last_price(self, symbol: str) -> Decimal | None:
        for sums in await self.records.positions(self.agent_id):
            if sums.symbol == symbol and sums.bought_quantity + sums.sold_quantity:
                value = sums.bought_value + sums.sold_value
                return value / (sums.bought_quantity + sums.sold_quantity)
        return None

    def _must_be_ready(self) -> None:
        if not self.desk.recovered:
            raise Unavailable("the orchestrator is starting, or another node holds the agent")


def _circumstances(given: Instruction) -> Circumstances:
    is_leg = given.origin is Origin.REBALANCE
    asked = risk.Approval.ASKED if is_leg else risk.Approval.MISSING
    return Circumstances(is_paced=is_leg, approval=asked)


def _denied_before(decision: Decision) -> Decision:
    again = Denial(code="DENIED_BEFORE", message="this instruction was denied: give a new one")
    return replace(decision, verdict=Verdict.DENIED, denials=(again,))


def _decision_of(given: Instruction, trade: OpenTrade) -> Decision:
    """The decision as it was stored, as far as its order tells."""
    order = trade.state.order
    return Decision(
        id=order.decision_id,
        external_id=f"{given.origin}:{given.key}:{given.leg}",
        agent_id=order.agent_id,
        cycle_id=order.cycle_id,
        strategy_id=order.strategy_id,
        symbol=order.symbol,
        action=Action(order.side),
        confidence=Decimal(1),
        quantity=order.quantity,
        reference_price=order.reference_price,
        reasoning=given.reason,
        model=given.origin,
        as_of=order.created_at,
        expires_at=order.expires_at,
        created_at=order.created_at,
        verdict=Verdict.ALLOWED,
        opening=order.opening,
    )
