"""Decisions that nobody asked for share an analysis, and none is worse off for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.domain.limits import LIMITS
from tests.domain.trades import START
from tests.engine.place import SETTINGS, STRATEGY, Place
from tests.engine.test_event_coordinator import decided, proposal
from tradesaga.domain.agent import Mode
from tradesaga.domain.cycle import Cycle
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, StrategyId
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.values import changed
from tradesaga.engine.agent_state import AgentState
from tradesaga.engine.analysis_cycle import AnalysisCycle
from tradesaga.engine.decision_requests import Answer, Question
from tradesaga.engine.unsolicited import Came, Unsolicited
from tradesaga.ports.bus import Delivery
from tradesaga.testing.clock import VirtualClock

TOGETHER = 3


@dataclass
class Analyses:
    """Notes what each analysis was given; each is judged, and ends, when it is told to."""

    given: list[list[str]] = field(default_factory=list)
    judge: list[asyncio.Event] = field(default_factory=list)
    end: list[asyncio.Event] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    readings: list[str] = field(default_factory=list)
    readable: asyncio.Event = field(default_factory=asyncio.Event)
    read_ahead: list[str | None] = field(default_factory=list)
    gate = SimpleNamespace(limits_in_force=lambda: SimpleNamespace(entries_per_cycle=TOGETHER))

    def __post_init__(self) -> None:
        self.readable.set()

    async def read(self, symbols: Sequence[str]) -> str:
        """The reading's name, once it may be known."""
        self.readings.append("reading")
        try:
            await self.readable.wait()
        except asyncio.CancelledError:
            self.readings[-1] = "given up"
            raise
        self.readings[-1] = "read"
        return f"of {','.join(symbols)}"

    async def run(
        self,
        *_: object,
        unsolicited: Sequence[Question],
        on_judged: Callable[[], None],
        read: Callable[[], Awaitable[str]] | None,
    ) -> None:
        self.read_ahead.append(None if read is None else await read())
        judge, end = asyncio.Event(), asyncio.Event()
        self.given.append([question.request_id for question in unsolicited])
        self.judge.append(judge)
        self.end.append(end)
        self.begun.set()
        await judge.wait()
        if self.error is not None:
            raise self.error
        on_judged()
        await end.wait()

    async def number(self, count: int) -> None:
        """Wait until so many have begun."""
        while len(self.given) < count:
            self.begun.clear()
            await self.begun.wait()


def made(
    analyses: Analyses,
    places: int = 8,
    runs: Callable[[], bool] = lambda: True,
    active: Callable[[], Mapping[StrategyId, Strategy]] = dict,
) -> Unsolicited:
    return Unsolicited(
        clock=VirtualClock(START),
        state=cast(AgentState, SimpleNamespace(runs=runs)),
        analysis=cast(AnalysisCycle, analyses),
        active=active,
        room=asyncio.Semaphore(places),
    )


async def wanted() -> bool:
    return True


def answer(event_id: str, symbol: str) -> Answer:
    said = changed(proposal(), symbol=symbol, external_id=event_id)
    delivery = SimpleNamespace(incoming=decided(said, event_id))
    return Answer(said, cast(Delivery, delivery))


async def settled() -> None:
    """Let everybody come as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_comes_while_one_reads_shares_the_next_in_order() -> None:
    analyses = Analyses()
    unsolicited = made(analyses)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = []
        for name, symbol in (
            ("a1", "A"), ("b1", "B"), ("b2", "B"), ("c1", "C"), ("d1", "D"), ("e1", "E"),
        ):  # fmt: skip
            tasks.append(group.create_task(unsolicited.analyse(answer(name, symbol), wanted)))
            await settled()
        assert analyses.given == [["a1"]]
        for number in (1, 2, 3):
            analyses.judge[number - 1].set()  # the next one may read while this one's orders run
            await settled()
            assert len(analyses.given) == min(number + 1, 3)
        # One decision of a symbol at a time, three at most: the others wait in their order.
        assert analyses.given == [["a1"], ["b1", "c1", "d1"], ["b2", "e1"]]
        assert not any(task.done() for task in tasks)
        for end in analyses.end:
            end.set()
    assert [task.result() for task in tasks] == [Came.TO_JUDGEMENT] * 6


async def looked_up(
    analyses: Analyses, unsolicited: Unsolicited, name: str, *, is_wanted: bool
) -> Came:
    """What comes of it when the look-up takes its time and the reading is done by then."""
    go = asyncio.Event()

    async def look_up() -> bool:
        await go.wait()
        return is_wanted

    before = len(analyses.given)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(unsolicited.analyse(answer(name, name), look_up))
        await settled()
        assert len(analyses.given) == before, "nothing is judged that may be known"
        go.set()
        await settled()
        for event in (*analyses.judge, *analyses.end):
            event.set()
    return task.result()


async def test_the_market_is_read_while_it_is_looked_up_whether_one_is_known() -> None:
    analyses = Analyses()
    unsolicited = made(analyses)
    assert await looked_up(analyses, unsolicited, "a", is_wanted=True) is Came.TO_JUDGEMENT
    assert (analyses.readings, analyses.read_ahead) == (["read"], ["of "])
    analyses.readable.clear()
    assert await looked_up(analyses, unsolicited, "b", is_wanted=False) is Came.UNWANTED
    assert (analyses.readings, analyses.given) == (["read", "given up"], [["a"]])
    # A flood of what is known costs that one reading; then each is looked up first.
    for name in "cde":
        assert await looked_up(analyses, unsolicited, name, is_wanted=False) is Came.UNWANTED
    assert len(analyses.readings) == 2
    assert await looked_up(analyses, unsolicited, "f", is_wanted=True) is Came.TO_JUDGEMENT
    assert (len(analyses.readings), analyses.read_ahead[-1]) == (2, None)
    analyses.readable.set()
    assert await looked_up(analyses, unsolicited, "g", is_wanted=True) is Came.TO_JUDGEMENT
    assert len(analyses.readings) == 3


async def test_a_reading_of_other_symbols_is_not_taken() -> None:
    analyses, active = Analyses(), dict[StrategyId, Strategy]()
    unsolicited = made(analyses, active=lambda: active)
    go = asyncio.Event()

    async def look_up() -> bool:
        await go.wait()
        return True

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(unsolicited.analyse(answer("a", "A"), look_up))
        await settled()
        active[STRATEGY.id] = STRATEGY
        go.set()
        await analyses.number(1)
        analyses.judge[0].set()
        analyses.end[0].set()
    assert (analyses.readings, analyses.read_ahead) == (["read"], [None])


async def test_a_look_up_that_fails_keeps_nobody_waiting() -> None:
    analyses = Analyses()
    unsolicited = made(analyses)

    async def look_up() -> bool:
        raise Unavailable("no database")

    for name in "ab":
        with pytest.raises(Unavailable):
            await unsolicited.analyse(answer(name, name), look_up)
    assert await looked_up(analyses, unsolicited, "c", is_wanted=True) is Came.TO_JUDGEMENT


async def test_no_more_at_once_than_there_is_room_for() -> None:
    analyses = Analyses()
    unsolicited = made(analyses, places=1)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(unsolicited.analyse(answer(name, name.upper()), wanted))
            await settled()
        analyses.judge[0].set()
        await settled()
        assert analyses.given == [["a"]]  # its orders still run
        analyses.end[0].set()
        await analyses.number(2)
        assert analyses.given[1] == ["b", "c"]
        analyses.judge[1].set()
        analyses.end[1].set()


async def test_what_waits_when_the_agent_is_stopped_is_not_analysed() -> None:
    analyses, running = Analyses(), [True]
    unsolicited = made(analyses, places=1, runs=lambda: running[0])
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = []
        for name in ("a", "b", "c"):
            tasks.append(group.create_task(unsolicited.analyse(answer(name, name.upper()), wanted)))
            await settled()
        running[0] = False
        analyses.judge[0].set()
        analyses.end[0].set()
    assert analyses.given == [["a"]]
    assert [task.result() for task in tasks] == [Came.TO_JUDGEMENT, *[Came.WHILE_NONE_MAY_RUN] * 2]


async def test_a_failure_is_one_failure_and_the_next_go_on() -> None:
    analyses = Analyses(error=Unavailable("no account"))
    unsolicited = made(analyses)
    outcomes: dict[str, Any] = {}

    async def analyse(name: str) -> None:
        try:
            outcomes[name] = await unsolicited.analyse(answer(name, name.upper()), wanted)
        except Unavailable as error:
            outcomes[name] = str(error)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for name in ("a", "b", "c"):
            group.create_task(analyse(name))
            await settled()
        analyses.judge[0].set()
        await analyses.number(2)
        analyses.judge[1].set()
    # `c` shared the analysis of `b`: that it is not in the inbox has it told again.
    assert outcomes == {"a": "no account", "b": "no account", "c": Came.TO_JUDGEMENT}


@pytest.mark.parametrize("which", [0, 1])
async def test_one_that_is_cancelled_keeps_nobody_waiting(which: int) -> None:
    analyses = Analyses()
    unsolicited = made(analyses)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = []
        for name in ("a", "b", "c"):
            tasks.append(group.create_task(unsolicited.analyse(answer(name, name.upper()), wanted)))
            await settled()
        tasks[which].cancel()
        await settled()
        analyses.judge[0].set()
        await analyses.number(2)
        assert analyses.given == [["a"], ["b", "c"] if which == 0 else ["c"]]
        for event in (*analyses.judge, *analyses.end):
            event.set()


async def test_none_is_denied_for_the_company_it_is_in() -> None:
    place = Place(
        settings=replace(
            SETTINGS,
            analysis_concurrent_max=8,
            limits=dict.fromkeys(Mode, replace(LIMITS, entries_per_cycle=2)),
        ),
        clock=VirtualClock(START, idle_turns=500),  # two analyses at once take many turns
    )
    symbols = [f"S{number}" for number in range(5)]
    for symbol in symbols:
        place.market_data.show(symbol, 100)
    async with place.node() as parts, asyncio.TaskGroup() as group:
        await parts.book.load([replace(STRATEGY, symbols=tuple(symbols))])
        await parts.control.start(strategies=None, mode=None, actor="operator")
        task = group.create_task(parts.coordinator.run())
        for number, symbol in enumerate(symbols):
            said = changed(proposal(), symbol=symbol, external_id=f"d-{number}")
            place.bus.deliver(decided(changed(said, suggested_quantity=Decimal(1)), f"e-{number}"))
        await place.bus.until_idle()
        task.cancel()
    decisions = place.store.of(Decision, DEFAULT_AGENT)
    assert {d.symbol for d in decisions} == set(symbols)
    denials = {denial.code for decision in decisions for denial in decision.denials}
    assert denials == {"POSITION_COUNT"}, denials  # not ORDER_RATE, which counts in a cycle
    cycles = place.store.of(Cycle, DEFAULT_AGENT)
    assert max(cycle.decisions_generated for cycle in cycles) <= 2
    assert len(cycles) < len(symbols)
