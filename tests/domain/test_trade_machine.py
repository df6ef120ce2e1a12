"""Long random lives of a trade saga in the venue model, and at their end a fair venue."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from tests.domain.trade_laws import Exploration
from tests.domain.trades import FORGETFUL, POLICY
from tests.domain.venue_model import first_world, moves
from tradesaga.domain.saga import ENDS


class TradeLife(RuleBasedStateMachine):
    """Any move that the model allows, again and again."""

    @initialize(dedupes=st.booleans())
    def begin(self, dedupes: bool) -> None:
        self.laws = Exploration(policy=POLICY if dedupes else FORGETFUL, depth_max=0)
        self.world = first_world()
        self.trail: tuple[str, ...] = ()

    @rule(choice=st.integers(0, 99))
    def anything_happens(self, choice: int) -> None:
        possible = list(moves(self.world, self.laws.policy))
        if not possible:
            return
        self._take(possible[choice % len(possible)].name)

    @precondition(lambda self: self.world.answer is not None)
    @rule(lost=st.booleans())
    def the_answer(self, lost: bool) -> None:
        names = {move.name for move in moves(self.world, self.laws.policy)}
        wanted = "the answer is lost" if lost else "the answer comes"
        self._take(wanted if wanted in names else "the answer comes")

    @invariant()
    def the_reservation_lasts_as_long_as_the_saga(self) -> None:
        ended = self.world.state.saga.status in ENDS
        assert ended == (self.world.state.reservation.closed_at is not None)

    @override
    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.laws.must_settle(self.world, self.trail)

    def _take(self, name: str) -> None:
        move = next(m for m in moves(self.world, self.laws.policy) if m.name == name)
        self.world = self.laws.step(self.world, move, self.trail)
        self.trail = (*self.trail, name)


TestTradeLife = TradeLife.TestCase
TestTradeLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
