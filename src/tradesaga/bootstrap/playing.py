"""Accompanying a replay from its first minute to its last: show it, settle it, sum it up.

Cycles are read from the database, from the moment at which the last look ended a little back, so
that none is missed however fast they come or however long the database is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.tally import CYCLES_AT_ONCE, Tally, Unsettled
from tradesaga.adapters.system import ScaledClock
from tradesaga.bootstrap.asking import ask
from tradesaga.bootstrap.children import Api, Replay
from tradesaga.bootstrap.display import Display, Played
from tradesaga.bootstrap.simulated import START_CASH
from tradesaga.bootstrap.summary import Summary, summarize
from tradesaga.bootstrap.verifying import Venue, circumstances, is_left_to_engine
from tradesaga.config import Settings
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.domain.market_clock import EPOCH, datetime_of, unpack
from tradesaga.paper.minutes import start_of
from tradesaga.paper.recordings import Recording

LOOK_EVERY_SECONDS: Final = 0.2
OVERLAP: Final = timedelta(minutes=10)
"""Of market time: longer than a cycle may run, so a slow one is not passed over."""
SETTLE_SECONDS_MAX: Final = 15.0
START_SECONDS_MAX: Final = 30.0
SUMMARY_SECONDS_MAX: Final = 60.0


def played_of(recording: Recording) -> Played:
    """The recorded sessions as the display needs them."""
    return Played(
        sessions=tuple((start_of(span.start), start_of(span.end)) for span in recording.spans)
    )


def market_time_left(clock_file: Path) -> tuple[datetime, bool]:
    """Where the last life left market time, and whether the recording had ended by then."""
    try:
        mapping = unpack(clock_file.read_bytes())
    except FileNotFoundError:
        mapping = None
    if mapping is None:
        return EPOCH, False
    return datetime_of(mapping.anchor_market_us), bool(mapping.ended)


async def start_once(api: Api, tally: Tally, *, token: str) -> bool:
    """Start the agent unless it was ever started; True if it was done now.

    An agent that was stopped since stays stopped, one that was running runs on by itself. Raises
    Unavailable when the orchestrator does not do it in time.
    """
    said = "nothing"
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                try:
                    if await tally.was_started():
                        return False
                    status, body = await ask(
                        "POST", f"{api.url}/api/v1/agent/start", {}, token=token
                    )
                except Unavailable as error:
                    said = str(error)
                else:
                    if status == 200:
                        return True
                    said = f"{status}: {_detail(body)}"
                await asyncio.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 -- real time, no clock here
    except TimeoutError as error:
        raise Unavailable(f"the agent could not be started, the last answer: {said}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Accompanied:
    """What is needed to watch one replay."""

    replay: Replay
    played: Played
    api: Api
    agent_id: AgentId
    pool: ReaderPool
    display: Display
    since: datetime
    settings: Settings

    @property
    def tally(self) -> Tally:
        """Readers of the run."""
        return Tally(self.pool, self.agent_id)

    async def watch(self) -> None:
        """Show every cycle and the bar until the recording has been played to its end."""
        clock = ScaledClock(self.replay.neighbours.clock_file)
        new = NewCycles(self.tally, since=self.since)
        note = f"{self.replay.speed:g}x  {self.api.url}"
        try:
            while not clock.ended:
                await new.show(self.display)
                self.display.bar(self.played, clock.now(), note=note)
                await asyncio.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 -- real time, for people
        finally:
            clock.close()
        await self._settle(new)
        self.display.end_bar()

    async def summary(self) -> Summary:
        """Sum up; waits for servers that are being started again. Raises Unavailable."""
        try:
            async with asyncio.timeout(SUMMARY_SECONDS_MAX):
                while True:
                    try:
                        return await self._summary()
                    except Unavailable:
                        await asyncio.sleep(1.0)  # noqa: TID251 -- real time, a restart
        except TimeoutError as error:
            raise Unavailable("the run could not be summed up: a server stays away") from error

    async def _summary(self) -> Summary:
        clock_file = self.replay.neighbours.clock_file
        given = await circumstances(self.settings, clock_file, self.pool, self.agent_id)
        return await summarize(
            self.pool,
            self.agent_id,
            played=self.played,
            symbols=self.replay.symbols,
            venue=Venue(
                url=self.replay.neighbours.trading_engine,
                start_cash=START_CASH,
                trades_itself=is_left_to_engine(self.settings),
            ),
            unsettled=await self.tally.unsettled(),
            given=given,
        )

    async def _settle(self, new: NewCycles) -> None:
        """Wait until nothing is under way any more, for a bounded time."""
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS_MAX
        unsettled: Unsettled | None = None
        while unsettled or unsettled is None:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251 -- real time, for people
            await new.show(self.display)
            try:
                unsettled = await self.tally.unsettled()
            except Unavailable:
                unsettled = None


class NewCycles:
    """Shows each cycle that ends, once. Memory is bounded by the cycles of the overlap."""

    def __init__(self, tally: Tally, *, since: datetime) -> None:
        self._tally = tally
        self._since = self._latest = since
        self._shown: dict[UUID, datetime] = {}

    async def show(self, display: Display) -> None:
        """Show what has ended since the last look; while the database is away, nothing."""
        full = True
        while full:
            try:
                found = await self._tally.finished_cycles(self._since)
            except Unavailable:
                return  # the supervisor tells of it, and the next look begins where this one did
            for cycle in found:
                if cycle.id not in self._shown:
                    self._shown[cycle.id] = cycle.started_at
                    display.cycle(cycle)
            if found:
                self._latest = max(self._latest, found[-1].started_at)
            full = len(found) == CYCLES_AT_ONCE and self._look_from(self._latest)
        self._look_from(self._latest - OVERLAP)

    def _look_from(self, moment: datetime) -> bool:
        """Look from `moment` on, never back; whether that is a change."""
        before, self._since = self._since, max(self._since, moment)
        self._shown = {one: at for one, at in self._shown.items() if at >= self._since}
        return self._since > before


def _detail(body: bytes) -> str:
    try:
        problem: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return body[:200].decode(errors="replace")
    told: Sequence[object] = [problem[key] for key in ("title", "detail") if key in problem]
    return ", ".join(map(str, told))
