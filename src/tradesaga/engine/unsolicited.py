"""Decisions that nobody asked for: each gets an analysis, and those that come close share one.

Of the analyses that are allowed at once only one reads the market at a time. What arrives until
its verdicts are committed waits and shares the next one: a decision for each symbol at most, since
of one symbol they are judged in the order in which they came, and no more than may enter in one
cycle, so that none is denied for the company it is in. A flood of decisions costs a few readings
of account, quotes and positions, not one for each.

One that comes while nobody reads has the market read while it is still being looked up whether it
is known: most are not. After one that was, the next is looked up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from tradesaga.domain.cycle import TriggeredBy
from tradesaga.domain.ids import StrategyId
from tradesaga.domain.strategies import Strategy
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.decision_requests import Answer, Question
from tradesaga.engine.market_reading import MarketReading, ReadMarket, symbols_of
from tradesaga.engine.waiting import caught, good
from tradesaga.ports.clock import Clock

Wanted = Callable[[], Awaitable[bool]]
"""Whether a decision is still to be judged; what is not is settled by it."""


class Came(Enum):
    """What has come of a decision."""

    TO_JUDGEMENT = auto()
    UNWANTED = auto()
    WHILE_NONE_MAY_RUN = auto()


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
        self._was_wanted = True

    async def analyse(self, answer: Answer, wanted: Wanted) -> Came:
        """Return when the analysis that judged it is over, or it is known that none will.

        An analysis that fails raises for one of those that share it; the others find that their
        decision is not in the inbox.

        Raises:
            Fenced, Unavailable: as `AnalysisCycle.run`, and as `wanted`.
        """
        is_alone = self._reading is None and not self._queue
        if is_alone and self._was_wanted and self._state.runs():
            return await self._at_once(_Waiting(self._question_of(answer)), wanted)
        if not await self._is(wanted):
            return Came.UNWANTED
        if not self._state.runs():
            return Came.WHILE_NONE_MAY_RUN
        mine = _Waiting(self._question_of(answer))
        self._queue.append(mine)
        self._let_in()
        try:
            await mine.go.wait()
            if self._reading is mine:
                async with self._room:
                    return await self._lead(mine)
        finally:
            self._gone(mine)
        return Came.TO_JUDGEMENT

    async def _at_once(self, mine: _Waiting, wanted: Wanted) -> Came:
        self._reading = mine
        try:
            async with self._room, asyncio.TaskGroup() as group:
                symbols = symbols_of(self._active().values())
                reading = group.create_task(caught(lambda: self._analysis.read(symbols)))

                async def read() -> MarketReading:
                    await asyncio.wait([reading])
                    return good(reading.result())

                came = await caught(lambda: self._if_wanted(mine, wanted, symbols, read))
                reading.cancel()
            return good(came)
        finally:
            self._gone(mine)

    async def _if_wanted(
        self, mine: _Waiting, wanted: Wanted, symbols: Sequence[str], read: ReadMarket
    ) -> Came:
        if not await self._is(wanted):
            return Came.UNWANTED
        return await self._lead(mine, (symbols, read))

    async def _is(self, wanted: Wanted) -> bool:
        self._was_wanted = await wanted()
        return self._was_wanted

    async def _lead(
        self, mine: _Waiting, ahead: tuple[Sequence[str], ReadMarket] | None = None
    ) -> Came:
        """Have one analysis judge `mine` and what shares it."""
        if not self._state.runs():
            return Came.WHILE_NONE_MAY_RUN  # stopped while it waited
        mine.shared = self._take(mine)
        strategies = tuple(self._active().values())
        symbols, read = ahead or (None, None)
        await self._analysis.run(
            strategies,
            TriggeredBy.EVENT,
            self._clock.now(),
            unsolicited=[one.question for one in mine.shared],
            on_judged=lambda: self._judged(mine),
            read=read if symbols == symbols_of(strategies) else None,
        )
        return Came.TO_JUDGEMENT

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

    def _take(self, mine: _Waiting) -> Sequence[_Waiting]:
        """What one analysis judges: the first of each symbol, `mine` before all."""
        most = max(1, self._analysis.gate.limits_in_force().entries_per_cycle)
        first = {mine.question.symbol: mine}
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
