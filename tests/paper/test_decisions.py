from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests.paper.market import D, at, bar, recorded
from tradesaga.paper.decisions import Action, Judgement, Proposal, Question
from tradesaga.paper.minutes import start_of
from tradesaga.paper.orders import Account, Refusal, Side, Ticket
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording, load
from tradesaga.paper.strategies import Definition, default_strategies, definitions_of
from tradesaga.paper.venue import Venue, VenueRules

SPY = load()
QUICK = {"period": 2, "exit_period": 2, "exit_before_close_minutes": 15}
"""Of a breakout: in above the two closes before, out below them."""


def judge(recording: Recording = SPY) -> Judgement:
    return Judgement(Prices(recording), definitions())


def definitions() -> list[Definition]:
    return definitions_of(default_strategies(["SPY"]), [])


def asked(when: datetime, **more: object) -> Question:
    question = Question(
        symbol="SPY", strategy_id="s", as_of=when, rule="breakout", parameters=QUICK
    )
    return replace(question, **more)  # type: ignore[arg-type]  # of a test


RISING = recorded({"SPY": [bar(m, str(100 + m)) for m in range(4)] + [bar(9, "90")]})


def test_warming_up_is_hold_and_an_entry_comes_on_its_bar_only() -> None:
    judgement = judge(RISING)
    assert "warming up, 2 bars" in judgement.decide(asked(at(2))).reasoning
    bought = judgement.decide(asked(at(3, 5), equity=D(100_000)))
    assert bought.action is Action.BUY
    # Close 102: 5 % of 100,000 buy 49 shares; stop 3 % below, target 6 % above.
    assert (bought.quantity, bought.price) == (D(49), D(102))
    assert (bought.stop_loss, bought.take_profit) == (D("98.94"), D("108.12"))
    assert D("0.7") <= bought.confidence <= 1
    assert judgement.decide(asked(at(4, 5))).action is Action.HOLD


def test_a_position_is_sold_whole_when_the_exit_holds_and_never_without_one() -> None:
    judgement = judge(RISING)
    sold = judgement.decide(asked(at(10), held=D("12.5")))
    assert (sold.action, sold.quantity) == (Action.SELL, D("12.5"))
    assert judgement.decide(asked(at(10))).action is Action.HOLD
    assert judgement.decide(asked(at(3, 5), held=D(1))).action is Action.HOLD


def test_a_loss_beyond_the_stop_is_sold() -> None:
    judgement = judge(RISING)
    held = asked(at(3, 5), held=D(1))
    assert judgement.decide(replace(held, entry_price=D(105))).action is Action.HOLD
    stopped = judgement.decide(replace(held, entry_price=D(106)))  # 102 is 3.8 % below
    assert stopped.action is Action.SELL
    assert "stop loss" in stopped.reasoning


def test_positions_are_given_up_before_the_close_and_none_is_opened_late() -> None:
    late = recorded({"SPY": [bar(m, str(100 + m % 7 // 6 * m)) for m in range(391)]})
    judgement = judge(late)
    assert judgement.decide(asked(at(375), held=D(1))).action is Action.SELL
    assert judgement.decide(asked(at(374), held=D(1))).action is Action.HOLD
    entries = [m for m in range(3, 391) if judgement.decide(asked(at(m))).action is Action.BUY]
    assert entries
    assert max(entries) < 360


def test_what_cannot_be_judged_is_hold_with_the_reason() -> None:
    judgement = judge(RISING)
    reasons = [
        judgement.decide(replace(asked(at(3)), symbol="XXX")),
        judgement.decide(replace(asked(at(3)), rule="magic")),
        judgement.decide(replace(asked(at(3)), rule=None)),
        judgement.decide(asked(at(3), parameters={"period": "NaN"})),
        judgement.decide(asked(at(3), equity=D(1))),
    ]
    assert {reason.action for reason in reasons} == {Action.HOLD}
    for reason, word in zip(
        reasons, ["not in the", "no rule", "not known", "not from", "one share"], strict=True
    ):
        assert word in reason.reasoning


def test_answers_do_not_depend_on_the_order_of_the_questions_or_on_a_restart() -> None:
    bars = SPY.bars["SPY"]
    questions = [
        Question(
            symbol="SPY", strategy_id=known.name, as_of=start_of(minute) + timedelta(seconds=s)
        )
        for known in definitions()
        for minute in bars.minutes[100:900:37]
        for s in (0, 59)
    ]
    once = judge()
    in_order = [once.decide(question) for question in questions]
    shuffled = list(range(len(questions)))
    random.Random(4).shuffle(shuffled)
    again = judge()
    answers = {index: again.decide(questions[index]) for index in shuffled}
    assert [answers[index] for index in range(len(questions))] == in_order
    assert [judge().decide(questions[7])] == [in_order[7]]


def test_nothing_after_the_moment_of_the_question_has_a_say() -> None:
    bars = SPY.bars["SPY"]
    for cut in (300, 450, 800):
        until = start_of(bars.minutes[cut])
        known = recorded({"SPY": bars.rows[:cut]})
        for definition in definitions():
            question = Question(symbol="SPY", strategy_id=definition.name, as_of=until)
            whole = judge()
            whole.decide(replace(question, as_of=start_of(bars.minutes[-1])))
            assert whole.decide(question) == judge(known).decide(question)


def played(*, share: bool) -> tuple[Venue, list[Proposal]]:
    """The default strategies over the shipped sessions, one question each minute, orders executed.

    With `share` every strategy is told the whole position of the symbol, else its own part.
    """
    prices = Prices(SPY)
    venue = Venue(prices, VenueRules(), Account(cash=D(100_000), positions={}), [])
    judgement, signals = judge(), []
    own: dict[str, Decimal] = {}
    for minute in SPY.bars["SPY"].minutes:
        now = start_of(minute + 1)
        for definition in definitions():
            venue.run_due(now)
            position = venue.account.positions.get("SPY")
            total = position.quantity if position else D(0)
            held = total if share else own.get(definition.name, D(0))
            proposal = judgement.decide(
                Question(
                    symbol="SPY",
                    strategy_id=definition.name,
                    as_of=now,
                    held=held,
                    equity=venue.equity(now),
                )
            )
            if proposal.action is Action.HOLD or (share and venue.open_orders):
                continue
            assert proposal.quantity is not None
            side = Side(proposal.action.lower())
            ticket = Ticket(symbol="SPY", side=side, quantity=proposal.quantity)
            try:
                venue.submit(ticket, now)
            except Refusal as refused:
                if refused.code in {"WASH_TRADE", "MARKET_CLOSED"}:
                    continue
                raise
            signals.append(proposal)
            own[definition.name] = proposal.quantity if side is Side.BUY else D(0)
    venue.run_due(start_of(SPY.spans[-1].end + 600))
    return venue, signals


@pytest.fixture(scope="module", params=[False, True], ids=["own positions", "shared position"])
def session(request: pytest.FixtureRequest) -> tuple[Venue, list[Proposal]]:
    return played(share=request.param)


def test_the_defaults_trade_the_shipped_sessions_and_end_flat(
    session: tuple[Venue, list[Proposal]],
) -> None:
    venue, signals = session
    filled = [order for order in venue.orders.values() if order.fills]
    assert len(filled) >= 20
    assert all(proposal.confidence >= D("0.7") for proposal in signals)
    assert not venue.account.positions
    assert venue.equity(start_of(SPY.spans[-1].end)) == venue.account.cash
