"""The rebalance cycle: holdings are brought back to their target weights.

    calculate_target_weights    fixed, equal, or by volatility, within the limits in force
    compare_current_weights     prices, account and positions: how far is each symbol off
    generate_rebalance_orders   sells and buys, and what the rules say of them as one basket
    execute_orders              held until the market is open and settled; sells, then buys

What is found before the open is a plan. At the release prices, account and differences are read
anew, and again after the sells, so that the buys spend what is really there. Each leg is an
instruction that meets every rule. A cycle that is interrupted is not resumed: the next one counts
what is held and what still works, so nothing is ordered twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from tradesaga.domain import rebalance, risk
from tradesaga.domain.approval import ExecutionMode
from tradesaga.domain.cycle import Cycle, CycleError, CycleType, TriggeredBy
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.errors import Conflict, Fenced
from tradesaga.domain.ids import CycleId
from tradesaga.domain.instructions import Instruction, Origin
from tradesaga.domain.money import HUNDRED, ZERO, percent_of, to_cents
from tradesaga.domain.orders import Side
from tradesaga.domain.rebalance import Difference, Leg, Method, RebalancePolicy
from tradesaga.domain.risk import Candidate
from tradesaga.engine.approvals import Approvals
from tradesaga.engine.cycle_runner import CycleRunner
from tradesaga.engine.cycle_work import CycleWork, Plan
from tradesaga.engine.instructed_trades import InstructedTrades
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.order_pace import MINUTE
from tradesaga.engine.risk_gate import MarketView, RiskGate
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.clock import Clock

CUSHION = Decimal("0.99")
"""The part of each limit that is planned with: prices move between plan and fill."""
PRICES_WAIT_MAX = timedelta(minutes=2)
"""After the release, for prices from after the open: a feed of minute bars has its first then."""
PRICES_LOOK_EVERY = timedelta(seconds=5)
VOLATILITY_STEP = Decimal("0.000001")


@dataclass(slots=True)
class RebalanceWork(CycleWork):
    """What one rebalance finds out."""

    reason: str = ""
    targets: Mapping[str, Decimal] = field(default_factory=dict)
    view: MarketView | None = None
    prices_since: datetime | None = None
    found: Sequence[Difference] = ()
    trades: list[OpenTrade] = field(default_factory=list)
    legs: int = 0
    denied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceCycle:
    """Makes rebalance cycles; the four steps are its methods of the same names."""

    settings: EngineSettings
    policy: RebalancePolicy
    runner: CycleRunner
    approvals: Approvals

    @property
    def instructed(self) -> InstructedTrades:
        """How the legs begin."""
        return self.approvals.trades

    @property
    def clock(self) -> Clock:
        """Of the whole engine, as the others."""
        return self.instructed.clock

    @property
    def gate(self) -> RiskGate:
        """What judges the basket, and knows the market's hours."""
        return self.instructed.gate

    @property
    def desk(self) -> TradeDesk:
        """Where what is held and works is known."""
        return self.instructed.desk

    async def run(
        self,
        triggered_by: TriggeredBy,
        scheduled_at: datetime,
        *,
        actor: str = "engine",
        reason: str = "scheduled",
        cycle_id: CycleId | None = None,
    ) -> Cycle:
        """One rebalance, to the end of its orders. Raises Fenced, Unavailable as the runner."""
        cycle = self.runner.new(CycleType.REBALANCE, triggered_by, scheduled_at, cycle_id)
        work = RebalanceWork(
            cycle=cycle, symbols=tuple(sorted(self.policy.targets)), reason=reason, actor=actor
        )
        plan = Plan(
            work=work,
            steps={
                "calculate_target_weights": lambda: self.calculate_target_weights(work),
                "compare_current_weights": lambda: self.compare_current_weights(work),
                "generate_rebalance_orders": lambda: self.generate_rebalance_orders(work),
                "execute_orders": lambda: self.execute_orders(work),
            },
            commit_after=frozenset(
                {"generate_rebalance_orders"}
            ),  # the plan, to be seen while held
        )
        held = self.release_at(cycle.started_at) or cycle.started_at
        time_max = held - cycle.started_at + self.settings.rebalance_time_max
        return await self.runner.run(plan, time_max=time_max)

    def release_at(self, now: datetime) -> datetime | None:
        """When orders may be sent; None when the market does not trade any more today."""
        market = self.gate.market
        return market.release_at(now) if market.hours_only else now

    async def calculate_target_weights(self, work: RebalanceWork) -> None:
        """Weights by the method, together within the exposure, each within a position's limit."""
        limits, policy = self.gate.limits_in_force(), self.policy
        exposure = CUSHION * limits.exposure_percent / HUNDRED
        volatility: Mapping[str, Decimal] = {}
        match policy.method:
            case Method.FIXED:
                wished = rebalance.fixed_weights(policy.targets, exposure)
            case Method.EQUAL:
                wished = rebalance.equal_weights(work.symbols, exposure)
            case Method.INVERSE_VOLATILITY:
                volatility = await self._volatility(work.symbols)
                wished = rebalance.inverse_volatility_weights(volatility, exposure)
            case _:
                assert_never(policy.method)
        work.targets = rebalance.capped(wished, CUSHION * limits.position_percent / HUNDRED)
        work.note(
            "info", "target weights", self.clock.now(),
            method=policy.method, exposure=str(exposure), reason=work.reason, actor=work.actor,
            targets=_texts(work.targets), wished=_texts(wished),
            volatility={s: str(v.quantize(VOLATILITY_STEP)) for s, v in volatility.items()},
        )  # fmt: skip

    async def compare_current_weights(self, work: RebalanceWork) -> None:
        """How far each symbol is off, and by which prices."""
        await self._look(work)
        self._note_differences(work)

    async def generate_rebalance_orders(self, work: RebalanceWork) -> None:
        """The orders as they would be now; what is sent is made anew at the release."""
        sold, bought = self._sells(work), self._buys(work, with_proceeds=True)
        denials = self.gate.of_basket(
            [self._candidate(work, leg) for leg in (*sold, *bought)], _seen(work), self.clock.now()
        )
        release = self.release_at(self.clock.now())
        work.note(
            "info", "planned orders", self.clock.now(),
            sells=[_said(leg) for leg in sold], buys=[_said(leg) for leg in bought],
            denials=[f"{d.code}: {d.message}" for d in denials],
            heldUntil=None if release is None else release.isoformat(),
        )  # fmt: skip

    async def execute_orders(self, work: RebalanceWork) -> None:
        """Wait for the release; sell, wait for that; buy with what is there then."""
        release = self.release_at(self.clock.now())
        if release is None:
            self._failed(work, "nothing is sent: no session is left today")
            return
        await self.clock.sleep_until(release)
        await self._prices_of_today(work, release)
        self._note_differences(work)
        for symbol in _unpriced(work):
            self._failed(work, f"no price of {symbol} since the open: it is left as it is")
        await self.runner.commit_now(work, "rebalance.released")
        await self._send(work, self._sells(work))
        await self._ends(work)
        if work.trades:
            await self._look(work)  # what the sells brought, at what the rest costs now
        bought = self._buys(work)
        candidates = [self._candidate(work, leg) for leg in bought]
        denials = self.gate.of_basket(candidates, _seen(work), self.clock.now())
        if denials:
            why = "; ".join(f"{denial.code}: {denial.message}" for denial in denials)
            self._failed(work, f"no buy is sent, together they are not allowed: {why}")
        else:
            await self._send(work, bought)
            await self._ends(work)
        self._sum_up(work)

    # ---- looking ----------------------------------------------------------------------------

    async def _volatility(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        closes = await self.instructed.market_data.daily_closes(symbols, number=self.policy.closes)
        return {symbol: rebalance.volatility_of(closes.get(symbol, ())) for symbol in symbols}

    async def _prices_of_today(self, work: RebalanceWork, release: datetime) -> None:
        """Look until each target has a price from after the open; what has none is left out."""
        session = self.gate.market.session_of_today(release)
        if self.gate.market.hours_only and session is not None:
            work.prices_since = session.open
        await self._look(work)
        while _unpriced(work) and self.clock.now() < release + PRICES_WAIT_MAX:
            await self.clock.sleep_until(self.clock.now() + PRICES_LOOK_EVERY)
            await self._look(work)

    async def _look(self, work: RebalanceWork) -> None:
        """Prices, account and differences as they are now; symbols without a price are left out."""
        spent = self.desk.holdings.spent  # before the account is asked: what fills in between costs
        account = await self.instructed.venue.account()
        await self.gate.watchers.losses.saw(account.equity)
        held = {s for s, quantity in self.desk.holdings.positions.items() if quantity}
        quotes = await self.instructed.market_data.quotes(sorted({*work.targets, *held}))
        view = MarketView(
            quotes=quotes, account=account, tradable=frozenset(work.targets), spent=spent
        )
        since = work.prices_since
        prices = {
            s: p for s, p in view.prices.items() if since is None or view.quotes[s].at >= since
        }
        work.view = view
        work.found = rebalance.differences(
            {symbol: weight for symbol, weight in work.targets.items() if symbol in prices},
            prices,
            self.desk.holdings.positions,
            self.desk.trades.working(),
            account.equity,
        )

    def _note_differences(self, work: RebalanceWork) -> None:
        account = _seen(work).account
        work.note(
            "info", "current weights", self.clock.now(),
            equity=str(account.equity), buyingPower=str(account.buying_power),
            threshold=str(self.policy.threshold),
            weights=[
                {
                    "symbol": d.symbol, "price": str(d.price), "held": str(d.held),
                    "working": str(d.working), "weight": f"{d.weight:.6f}",
                    "target": str(d.target_weight), "targetQuantity": str(d.target_quantity),
                    "drift": f"{d.drift:.6f}",
                }
                for d in work.found
            ],
        )  # fmt: skip

    # ---- legs -------------------------------------------------------------------------------

    def _sells(self, work: RebalanceWork) -> Sequence[Leg]:
        in_part = self.instructed.venue.capabilities.closes_in_part
        return rebalance.sells(work.found, self.policy.threshold, in_part=in_part)

    def _buys(self, work: RebalanceWork, *, with_proceeds: bool = False) -> Sequence[Leg]:
        """What the buying power that nobody holds pays; `with_proceeds` of sells to come."""
        limits, account = self.gate.limits_in_force(), _seen(work).account
        kept = percent_of(limits.buying_power_reserve_percent, account.buying_power)
        funds = account.buying_power - kept - self.desk.trades.reserved()
        if with_proceeds:
            funds += sum((leg.value for leg in self._sells(work)), ZERO)
        return rebalance.buys(
            work.found,
            self.policy.threshold,
            equity=account.equity,
            funds=funds,
            order_value_max=CUSHION * risk.order_budget(limits, account.equity),
        )

    def _candidate(self, work: RebalanceWork, leg: Leg) -> Candidate:
        return Candidate(
            symbol=leg.symbol,
            action=leg.action,
            quantity=leg.quantity,
            confidence=Decimal(1),
            reference_price=leg.price,
            as_of=self.clock.now(),
            quote=_seen(work).quotes.get(leg.symbol),
            is_paced=True,
        )

    async def _send(self, work: RebalanceWork, legs: Sequence[Leg]) -> None:
        """Begin a saga for each leg, at the pace of the account, judged on what is known then."""
        rate = self.gate.limits_in_force().orders_per_minute
        for leg in legs:
            while self.desk.holdings.pace.minute.count(self.clock.now()) >= rate:
                await self.clock.sleep_until(self.clock.now() + MINUTE / rate)
                await self._look(work)
            given = self._instruction(work, leg)
            work.legs += 1
            try:
                done = await self.instructed.begin(given, _seen(work), epoch=work.cycle.epoch)
            except Fenced:
                if await self.desk.epoch_settled() == work.cycle.epoch:
                    raise
                self._failed(work, "not sent: the agent was stopped")
                return
            now = self.clock.now()
            if done.trade is None and done.decision.verdict is Verdict.ALLOWED:
                await self._ask(work, leg, done.decision)
            elif done.trade is None:
                work.denied += 1
                why = ", ".join(f"{d.code}: {d.message}" for d in done.decision.denials)
                self._failed(work, f"{_said(leg)} denied: {why}")
            else:
                work.trades.append(done.trade)
                saga = str(done.trade.state.saga.id)
                work.note("info", f"{_said(leg)} begun", now, leg=given.leg, sagaId=saga)

    async def _ask(self, work: RebalanceWork, leg: Leg, decision: Decision) -> None:
        """Leave the leg to a person, as the execution mode says."""
        now = self.clock.now()
        if self.settings.execution_mode is ExecutionMode.MANUAL:
            work.note("info", f"{_said(leg)} not executed: execution is manual", now)
            return
        try:
            approval = await self.approvals.ask(decision)
        except Fenced:
            raise
        except Conflict:
            work.note("warning", f"{_said(leg)}: an operator has been asked before", now)
        else:
            waits = f"{_said(leg)} waits for an approval"
            work.note("info", waits, now, approvalId=str(approval.id))

    def _instruction(self, work: RebalanceWork, leg: Leg) -> Instruction:
        target = work.targets[leg.symbol]
        return Instruction(
            origin=Origin.REBALANCE,
            key=str(work.cycle.id),
            symbol=leg.symbol,
            action=leg.action,
            quantity=leg.quantity,
            reason=f"rebalance to {target * HUNDRED:.2f} % of equity",
            actor=work.actor,
            leg=work.legs,
            cycle_id=work.cycle.id,
        )

    async def _ends(self, work: RebalanceWork) -> None:
        """Wait for the trades, but not for ever: what is open still goes on by itself."""
        deadline = self.clock.now() + self.desk.policy.saga_time_max
        for trade in work.trades:
            await news_or_moment(self.clock, trade.ended, deadline)

    def _failed(self, work: RebalanceWork, why: str) -> None:
        work.errors.append(CycleError(strategy_id=None, error=why))
        work.note("warning", why, self.clock.now())

    def _sum_up(self, work: RebalanceWork) -> None:
        orders = [trade.state.order for trade in work.trades]
        sold = [o for o in orders if o.side is Side.SELL]
        work.figures["decisions_generated"] = work.legs
        work.figures["orders_submitted"] = len(orders)
        work.figures["orders_filled"] = sum(1 for o in orders if o.filled_quantity > ZERO)
        work.figures["metadata"] = {
            "equity": to_cents(_seen(work).account.equity),
            "method": self.policy.method,
            "targets": ", ".join(f"{s} {w}" for s, w in sorted(work.targets.items())),
            "sells": len(sold),
            "buys": len(orders) - len(sold),
            "denied": work.denied,
        }


def _seen(work: RebalanceWork) -> MarketView:
    assert work.view is not None, "compare_current_weights comes first"
    return work.view


def _unpriced(work: RebalanceWork) -> list[str]:
    return sorted(set(work.targets) - {each.symbol for each in work.found})


def _said(leg: Leg) -> str:
    return f"{leg.action} {leg.quantity:f} {leg.symbol} at about {to_cents(leg.price)}"


def _texts(figures: Mapping[str, Decimal]) -> dict[str, str]:
    return {symbol: str(figure) for symbol, figure in figures.items()}
