"""The simulated neighbours as one process: three HTTP services, one bus connection, one clock.

    recording -> prices -> venue, judgement, quotes        (pure, told the time)
    market clock -> ticker -> what is due                  (one background loop)
    store -> outbox -> NATS                                (durable before anybody hears of it)

`run_paper` returns when `stop` is set and everything is closed: time is frozen then and goes on at
the next start. It raises when a part of it fails for good; the supervisor starts the process anew.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from datetime import datetime
from typing import assert_never

import msgspec
from litestar.types import ASGIApp
from msgspec import Struct
from structlog import get_logger

from tradesaga.domain.errors import TradesagaError
from tradesaga.paper.bus import Bus, BusAddress
from tradesaga.paper.clock import ClockAuthority, ClockFile, Pace
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.http_server import listen, server
from tradesaga.paper.personality import (
    AI_DECISION,
    MARKET_DATA,
    TRADING_ENGINE,
    Personality,
    Surroundings,
)
from tradesaga.paper.places import STORE_FILE
from tradesaga.paper.platform.neighbours import PlatformNeighbours
from tradesaga.paper.prices import Prices
from tradesaga.paper.recordings import Recording, load
from tradesaga.paper.settings import Dialect, Endpoints, PaperSettings
from tradesaga.paper.spec.neighbours import SpecificationNeighbours
from tradesaga.paper.store import Store

TICK_SECONDS_MAX = 0.02
IDLE_SECONDS = 0.2
AGENT_EVENTS = "orchestrator.>"
_log = get_logger(__name__)


class _CyclePayload(Struct, frozen=True, rename="camel"):
    type: str = ""
    cycle_type: str = ""
    scheduled_at: datetime | None = None


class _CycleMetadata(Struct, frozen=True, rename="camel"):
    event_type: str = ""


class _AgentEvent(Struct, frozen=True, rename="camel"):
    payload: _CyclePayload = _CyclePayload()
    metadata: _CycleMetadata = _CycleMetadata()
    event_type: str = ""


class Paper:
    """All parts of a run, put together; `run` makes them move."""

    def __init__(self, settings: PaperSettings, recording: Recording) -> None:
        self.settings = settings
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        self.file = ClockFile(settings.clock_path)
        try:
            self.store = Store(
                settings.state_dir / STORE_FILE,
                fingerprint=recording.fingerprint,
                start_cash=settings.start_cash,
            )
        except BaseException:
            self.file.close()
            raise
        pace = Pace(
            speed=settings.speed,
            governor=settings.governor,
            cycle_hold_seconds=settings.cycle_hold_seconds,
            start_hold_seconds=settings.start_hold_seconds if settings.governor else 0.0,
        )
        self.clock = ClockAuthority(self.file, recording.spans, pace)
        self.bus = Bus(
            BusAddress(
                url=settings.nats_url,
                token=settings.nats_token,
                logins=settings.nats_logins,
                prefix=settings.subject_prefix,
                stream_bytes_max=settings.stream_bytes_max,
            ),
            name="tradesaga-paper",
        )
        self.wake = asyncio.Event()
        loaded = self.store.load()
        self._last_moment = loaded.last_moment
        seed = settings.rules.seed
        books = {
            TRADING_ENGINE: FaultBook(TRADING_ENGINE, seed, default_operation="submit"),
            AI_DECISION: FaultBook(AI_DECISION, seed),
            MARKET_DATA: FaultBook(MARKET_DATA, seed),
        }
        around = Surroundings(
            settings=settings,
            recording=recording,
            prices=Prices(recording),
            store=self.store,
            bus=self.bus,
            clock=self.clock,
            books=books,
            agent_seen=self.agent_seen,
        )
        self.neighbours: Personality
        match settings.dialect:
            case Dialect.SPECIFICATION:
                self.neighbours = SpecificationNeighbours(around, loaded)
            case Dialect.PLATFORM:
                self.neighbours = PlatformNeighbours(around)
            case _:
                assert_never(settings.dialect)

    def application(self, name: str) -> ASGIApp:
        """The HTTP side of one service."""
        return self.neighbours.application(name)

    def start(self) -> None:
        """Take up market time where the last life left it."""
        self.clock.start(not_before=self._last_moment)

    def agent_seen(self) -> None:
        """End the hold of the start: the agent has asked for its books or told of itself."""
        if self.clock.waits_for_agent:
            self.clock.agent_seen()
            self.wake.set()

    async def hear_agent(self, raw: bytes) -> None:
        """Take note of an event of the agent."""
        self.agent_seen()
        try:
            told = msgspec.json.decode(raw, type=_AgentEvent)
        except msgspec.DecodeError:
            return  # not for us to judge: only the end of a cycle matters here
        kind = told.metadata.event_type or told.event_type
        cycle = told.payload
        is_analysis = "analysis" in (cycle.type, cycle.cycle_type)
        if kind == "orchestrator.cycle.completed" and is_analysis and cycle.scheduled_at:
            self.clock.governor.cycle_completed(cycle.scheduled_at)
            self.wake.set()

    async def tick_for_ever(self) -> None:
        """Move market time on and do what is due; ends by cancellation."""
        while True:
            seconds = self.tick()
            try:
                async with asyncio.timeout(seconds):
                    await self.wake.wait()
            except TimeoutError:
                continue
            self.wake.clear()

    def tick(self) -> float:
        """Do what is due now; answers after how many real seconds at most to come again."""
        now = self.clock.tick(self.neighbours.next_due())
        self.neighbours.tick(now)
        if self.clock.ended:
            self.neighbours.end_of_recording()
            return IDLE_SECONDS
        due = self.neighbours.next_due()
        left = None if due is None else self.clock.seconds_until(due)
        return TICK_SECONDS_MAX if left is None else min(TICK_SECONDS_MAX, max(left, 0.001))

    async def work(self) -> None:
        """Let time run, connect to the bus, then send and hear; ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.tick_for_ever(), name="ticker")
            await self.bus.open()
            await self.bus.listen(AGENT_EVENTS, self.hear_agent)
            self.neighbours.work(group)

    def close(self) -> None:
        """Freeze time and close the files."""
        self.clock.freeze()
        self.file.close()
        self.store.close()


async def run_paper(
    settings: PaperSettings,
    stop: asyncio.Event,
    on_ready: Callable[[Endpoints], None] | None = None,
) -> None:
    """Run the simulated neighbours until `stop` is set.

    `on_ready` is told the addresses as soon as HTTP is served; the bus may come later. Raises
    Invalid for data, strategies or a state directory that cannot be used, Unavailable for a port
    that is taken, Conflict when the state directory is in use, Refused for a wrong token.
    """
    recording = load(settings.data)
    for notice in recording.notices:
        _log.info("file_skipped", notice=notice)
    paper = Paper(settings, recording)
    sockets: dict[str, socket.socket] = {}
    try:
        for name, port in (
            (TRADING_ENGINE, settings.trading_engine_port),
            (AI_DECISION, settings.ai_decision_port),
            (MARKET_DATA, settings.market_data_port),
        ):
            sockets[name] = listen(settings.host, port)
        paper.start()
        await _run(paper, sockets, stop, on_ready)
    finally:
        for listener in sockets.values():
            listener.close()
        paper.close()


async def _run(
    paper: Paper,
    sockets: dict[str, socket.socket],
    stop: asyncio.Event,
    on_ready: Callable[[Endpoints], None] | None,
) -> None:
    servers = [(server(paper.application(name)), sockets[name]) for name in sockets]
    try:
        async with asyncio.TaskGroup() as group:
            for one, listener in servers:
                group.create_task(one.serve(sockets=[listener]), name="http")
            working = group.create_task(paper.work(), name="work")
            if on_ready is not None:
                on_ready(_endpoints(sockets))
            await stop.wait()
            working.cancel()
            for one, _ in servers:
                one.should_exit = True
    except BaseExceptionGroup as failures:  # a raise within `except*` would be wrapped anew
        ours, others = failures.split(TradesagaError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from failures
    finally:
        await paper.bus.close()


def _first(failures: BaseExceptionGroup[TradesagaError]) -> TradesagaError:
    """One error that speaks for the group."""
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _endpoints(sockets: dict[str, socket.socket]) -> Endpoints:
    def url(name: str) -> str:
        host, port = sockets[name].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    return Endpoints(
        trading_engine=url(TRADING_ENGINE),
        ai_decision=url(AI_DECISION),
        market_data=url(MARKET_DATA),
    )
