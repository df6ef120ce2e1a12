"""Orders that are decided at the same time cannot break a limit together.

Everything is the engine's own: gate, desk, holdings, journal in memory. Cycles overlap, each with
the view of the account that it read at its beginning; fills come in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.trades import START
from tests.engine.place import STRATEGY, Place, desk_of
from tradesaga.domain import risk
from tradesaga.domain.agent import Mode
from tradesaga.domain.decisions import Decision, Proposal, Verdict
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId, derived
from tradesaga.domain.loss_tiers import first_marks
from tradesaga.domain.market import Quote
from tradesaga.domain.orders import OrderStatus, Side, VenueFill, VenueReport
from tradesaga.domain.risk import Limits
from tradesaga.domain.trade_messages import Reported
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.assembly import Parts
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.risk_batch import Batch
from tradesaga.engine.risk_gate import MarketView, RiskGate
from tradesaga.ports.services import Account

D = Decimal
SYMBOLS = ("ACME", "BOLT", "CORP", "DUNE")
PRICE, EQUITY = D(100), D(10_000)
WIDE = Limits(
    order_notional_percent=D(100), position_percent=D(100), exposure_percent=D(100),
    basket_percent=D(100), price_collar_percent=D(100), strategy_orders_per_minute=1000,
    strategy_orders_per_day=1000, orders_per_minute=1000, orders_per_day=1000,
    entries_per_cycle=1000, entries_per_hour=1000, positions_max=1000, active_orders_max=1000,
    duplicate_window=timedelta(), reentry_delay=timedelta(), reentry_delay_after_stop=timedelta(),
    decision_age_max=timedelta(hours=1), quote_age_max=timedelta(hours=1),
    buying_power_reserve_percent=D(0), canary_percent=D(100), repeats_max=1000,
)  # fmt: skip


def gate_of(parts: Parts) -> RiskGate:
    return parts.scheduler._analysis.gate


@dataclass(frozen=True)
class Asked:
    """One decision: which cycle asks, what for."""

    cycle: int
    symbol: str
    action: str
    quantity: int


class Race:
    """Decisions of several cycles, each judged, then judged again and begun."""

    def __init__(self, place: Place, parts: Parts, equity: Decimal = EQUITY) -> None:
        self.place, self.parts = place, parts
        self.gate, self.desk = gate_of(parts), desk_of(parts)
        self.equity = equity
        parts.watchers.losses._marks = first_marks(DEFAULT_AGENT, equity, START, START)
        self.views: dict[int, MarketView] = {}
        self.denied: list[set[str]] = []
        self.number = 0

    def view(self, cycle: int) -> MarketView:
        """The cycle's view, read when it is first asked for, and stale from then on."""
        if cycle not in self.views:
            holdings = self.desk.holdings
            account = Account(
                account_id="a", equity=self.equity, cash=self.equity,
                buying_power=self.equity + holdings.cash_flow, blocked=False, at=START,
            )  # fmt: skip
            quotes = {
                s: Quote(symbol=s, bid=PRICE, ask=PRICE, last=PRICE, at=START) for s in SYMBOLS
            }
            self.views[cycle] = MarketView(
                quotes=quotes, account=account, tradable=frozenset(SYMBOLS), spent=holdings.spent
            )
        return self.views[cycle]

    def judged(self, asked: Asked, batch: Batch) -> Decision:
        self.number += 1
        proposal = Proposal(
            external_id=f"d-{self.number}", symbol=asked.symbol, action=asked.action,
            confidence=D(1), reasoning="", said_at=START,
            suggested_quantity=D(asked.quantity),
        )  # fmt: skip
        return self.gate.judge(
            proposal, STRATEGY, self.view(asked.cycle), as_of=START, now=START,
            cycle_id=CycleId(derived("cycle", asked.cycle)), batch=batch,
        )  # fmt: skip

    async def begin(self, decision: Decision, view: MarketView) -> OpenTrade | None:
        """As the analysis cycle does it: judge and admit in one turn, then commit."""
        situation = self.gate.situation_of(decision, view, START, strategy=STRATEGY)
        if denials := risk.denials(situation):
            self.denied.append({denial.code for denial in denials})
            return None
        state = trade_for(
            decision, reserve=risk.cost_to_reserve(situation), now=START, policy=self.desk.policy
        )
        try:
            return await self.desk.begin(state, epoch=self.desk.epoch)
        except Conflict:
            return None

    async def fill(self, trade: OpenTrade, share: int) -> None:
        """The venue fills a part (1), or all (2), or refuses the rest (0)."""
        order = trade.state.order
        quantity = {0: order.filled_quantity, 1: min(D(1), order.quantity), 2: order.quantity}[
            share
        ]
        status = {0: OrderStatus.CANCELED, 1: OrderStatus.PARTIALLY_FILLED, 2: OrderStatus.FILLED}
        done = status[share] if quantity < order.quantity else OrderStatus.FILLED
        fills = (VenueFill(cumulative=quantity, quantity=quantity, price=PRICE, at=START),)
        report = VenueReport(
            venue_order_id=f"v-{order.client_order_id}", status=done, source="event", at=START,
            symbol=order.symbol, filled_quantity=quantity,
            average_price=PRICE if quantity else None, fills=fills if quantity else (),
        )  # fmt: skip
        await self.desk.book(trade, Reported(report=report))

    def worst(self) -> dict[str, Decimal]:
        """Largest size of each symbol that may come of positions and open orders."""
        held, sizes = self.desk.holdings.positions, {}
        for symbol in SYMBOLS:
            orders = [t.state.order for t in self.desk.trades if t.state.order.symbol == symbol]
            more = sum((o.remaining for o in orders if o.side is Side.BUY), D(0))
            less = sum((o.remaining for o in orders if o.side is Side.SELL), D(0))
            now = held.get(symbol, D(0))
            sizes[symbol] = max(abs(now + more), abs(now - less), abs(now))
        return sizes

    def must_hold(self, limits: Limits) -> None:
        """No limit is broken by what is held and what may yet fill."""
        sizes, equity = self.worst(), self.equity
        assert max(sizes.values()) * PRICE <= limits.position_percent * equity / 100
        assert sum(sizes.values()) * PRICE <= limits.exposure_percent * equity / 100
        assert sum(1 for size in sizes.values() if size) <= limits.positions_max
        assert len(self.desk.trades) <= limits.active_orders_max
        spent = -self.desk.holdings.cash_flow
        assert spent + self.desk.trades.reserved() <= self.equity
        assert min(self.desk.holdings.positions.values(), default=D(0)) >= 0, "no short position"


def at(limits: Limits) -> Place:
    place = Place()
    place.settings = replace(place.settings, limits=dict.fromkeys(Mode, limits))
    return place


# name, limits in which one order of 10 x 100 fits and two do not, the code of the second
ONE: list[tuple[str, Limits, str, tuple[str, str]]] = [
    ("position", replace(WIDE, position_percent=D(15)), "POSITION_LIMIT", ("ACME", "ACME")),
    ("exposure", replace(WIDE, exposure_percent=D(19), position_percent=D(19)), "EXPOSURE_LIMIT",
     ("ACME", "BOLT")),
    ("leverage", replace(WIDE, leverage_max=D("0.19")), "LEVERAGE_LIMIT", ("ACME", "BOLT")),
    ("count", replace(WIDE, positions_max=1), "POSITION_COUNT", ("ACME", "BOLT")),
    ("active", replace(WIDE, active_orders_max=11), "ACTIVE_ORDERS", ("ACME", "BOLT")),
    ("opening", WIDE, "ACTIVE_ORDERS", ("ACME", "ACME")),
    ("minute", replace(WIDE, orders_per_minute=1), "ORDER_RATE", ("ACME", "BOLT")),
    ("day", replace(WIDE, orders_per_day=1), "ORDER_RATE", ("ACME", "BOLT")),
    ("strategy", replace(WIDE, strategy_orders_per_minute=1), "ORDER_RATE", ("ACME", "BOLT")),
    ("cycle", replace(WIDE, entries_per_cycle=1), "ORDER_RATE", ("ACME", "BOLT")),
    ("hour", replace(WIDE, entries_per_hour=1), "ORDER_RATE", ("ACME", "BOLT")),
    ("basket", replace(WIDE, basket_percent=D(19)), "BASKET_LIMIT", ("ACME", "BOLT")),
    ("equal", replace(WIDE, duplicate_window=timedelta(minutes=1)), "DUPLICATE_ORDER",
     ("ACME", "ACME")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "limits", "code", "symbols"), ONE, ids=[case[0] for case in ONE])
async def test_of_two_orders_at_once_one_passes(
    name: str, limits: Limits, code: str, symbols: tuple[str, str]
) -> None:
    """Both are judged alone and allowed; begun at once, the limit has room for one."""
    place = at(limits)
    async with place.running() as parts:
        race = Race(place, parts)
        asked = [Asked(1, symbol, "buy", 10) for symbol in symbols]
        allowed = [race.judged(each, Batch()) for each in asked]
        assert [decision.verdict for decision in allowed] == [Verdict.ALLOWED] * 2
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(race.begin(d, race.view(1))) for d in allowed]
        assert [task.result() is not None for task in tasks] == [True, False]
        assert code in race.denied[0]
        race.must_hold(replace(limits, position_percent=D(100)))


async def test_of_two_orders_that_the_money_covers_once_one_passes_also_when_it_has_filled() -> (
    None
):
    """The account was read before the first order filled: what it cost counts all the same."""
    place = at(WIDE)
    async with place.running() as parts:
        race = Race(place, parts, D(1_500))
        first, second = (
            race.judged(Asked(1, symbol, "buy", 9), Batch()) for symbol in ("ACME", "BOLT")
        )
        trade = await race.begin(first, race.view(1))
        assert trade is not None
        await race.fill(trade, 2)
        assert desk_of(parts).trades.reserved() == 0
        assert await race.begin(second, race.view(1)) is None
        assert "INSUFFICIENT_FUNDS" in race.denied[0]


async def test_a_restart_forgets_no_order() -> None:
    place = at(replace(WIDE, entries_per_hour=1))
    async with place.running() as parts:
        race = Race(place, parts)
        trade = await race.begin(race.judged(Asked(1, "ACME", "buy", 1), Batch()), race.view(1))
        assert trade is not None
        await race.fill(trade, 2)
    async with place.node() as parts:
        decision = Race(place, parts).judged(Asked(2, "BOLT", "buy", 1), Batch())
    assert [denial.code for denial in decision.denials] == ["ORDER_RATE"]


asks = st.builds(
    Asked, st.integers(1, 3), st.sampled_from(SYMBOLS), st.sampled_from(["buy", "buy", "sell"]),
    st.integers(1, 40),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.lists(asks, min_size=1, max_size=4)),
        st.tuples(st.just("fill"), st.integers(0, 2)),
        st.tuples(st.just("read"), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=12,
)
Steps = Sequence[tuple[str, object]]


@settings(max_examples=60, deadline=None)
@given(steps)
def test_no_sequence_of_concurrent_decisions_ends_above_a_limit(plan: Steps) -> None:
    limits = replace(
        WIDE, position_percent=D(30), exposure_percent=D(60), positions_max=3, active_orders_max=13
    )
    place = at(limits)
    begun = asyncio.run(_played(place, limits, plan))
    assert begun >= 0


async def _played(place: Place, limits: Limits, plan: Steps) -> int:
    async with place.running() as parts:
        race, begun = Race(place, parts), 0
        for what, given_ in plan:
            if what == "begin" and isinstance(given_, list):
                decisions = [(race.judged(a, Batch()), race.view(a.cycle)) for a in given_]
                allowed = [d for d in decisions if d[0].verdict is Verdict.ALLOWED]
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(race.begin(d, view)) for d, view in allowed]
                begun += sum(1 for task in tasks if task.result() is not None)
            elif what == "fill" and isinstance(given_, int):
                for trade in list(race.desk.trades)[:1]:
                    await race.fill(trade, given_)
            elif isinstance(given_, int):
                race.views.pop(given_, None)
            race.must_hold(limits)
        return begun
