"""Decisions that nobody asked for: each gets an analysis, and those that come close share one.

Of the analyses that are allowed at once only one reads the market at a time. What arrives until
its verdicts are committed waits and shares the next one: a decision for each symbol at most, since
of one symbol they are judged in the order in which they came, and no more than may enter in one
cycle, so that none is denied for the company it is in. A flood of decisions costs a few readings
of account, quotes and positions, not one for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tradesaga.domain.cycle import TriggeredBy
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.decision_requests import Answer, Question
from tradesaga.ports.clock import Clock


@dataclass(slots=True, eq=False)
class _Waiting:
    """One that has come; whoever leads has the `shared` ones, itself the first of them."""

    question: Question
    go: asyncio.Event = field(default_factory=asyncio.Event)
    shared: Sequence[_Waiting] = ()


class Unsolicited:
    """Begins analyses for one agent's unsolicited decisions, each in a place of `room`."""

    def __init__(
        self,
        *,
        clock: Clock,
        state: AgentState,
        analysis: AnalysisCycle,
        active: Callable[[], Mapping[StrategyId, Strategy]],
        room: asyncio.Semaphore,
    ) -> None:
        self._clock = clock
        self._state = state
        self._analysis = analysis
        self._active = active
        self._room = room
        self._queue: list[_Waiting] = []
        self._reading: _Waiting | None = None

    async def analyse(self, answer: Answer) -> bool:
        """Return when the analysis that judged it is over; False, unjudged, if none may run.

        An analysis that fails raises for one of those that share it; the others find that their
        decision is not in the inbox.

        Raises:
            Fenced, Unavailable: as `AnalysisCycle.run`.
        """
        if not self._state.runs():
            return False
        mine = _Waiting(self._question_of(answer))
        self._queue.append(mine)
        self._let_in()
        try:
            await mine.go.wait()
            if self._reading is mine:
                async with self._room:
                    if not self._state.runs():
                        return False  # stopped while it waited
                    await self._lead(mine)
        finally:
            self._gone(mine)
        return True

    async def _lead(self, mine: _Waiting) -> None:
        mine.shared = self._take()
        await self._analysis.run(
            tuple(self._active().values()),
            TriggeredBy.EVENT,
            self._clock.now(),
            unsolicited=[one.question for one in mine.shared],
            on_judged=lambda: self._judged(mine),
        )

    def _question_of(self, answer: Answer) -> Question:
        said, incoming = answer.proposal, answer.delivery.incoming
        assert incoming is not None, "the coordinator buries unreadable messages"
        named = (s for s in self._active().values() if s.external_id == said.strategy_id)
        return Question(
            request_id=incoming.event_id,
            strategy=next(named, None),
            symbol=said.symbol,
            asked_at=incoming.at,
            answer=answer,
        )

    def _let_in(self) -> None:
        """Have the first of the queue lead, once nobody reads."""
        if self._queue and self._reading is None:
            self._reading = self._queue[0]
            self._reading.go.set()

    def _take(self) -> Sequence[_Waiting]:
        """What one analysis judges: the first of each symbol, the first of all included."""
        most = max(1, self._analysis.gate.limits_in_force().entries_per_cycle)
        first: dict[str, _Waiting] = {}
        for one in self._queue:
            if len(first) < most:
                first.setdefault(one.question.symbol, one)
        taken = list(first.values())
        self._queue = [one for one in self._queue if one not in taken]
        return taken

    def _judged(self, leader: _Waiting) -> None:
        """Its verdicts are committed: while its orders are executed, the next one may read."""
        if self._reading is leader:
            self._reading = None
            self._let_in()

    def _gone(self, one: _Waiting) -> None:
        """It is over with this one, in whatever way."""
        if one in self._queue:
            self._queue.remove(one)
        for other in one.shared:
            other.go.set()
        self._judged(one)
