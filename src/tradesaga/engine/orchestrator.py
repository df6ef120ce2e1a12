"""The orchestrator of one agent: owns every task, in the order in which they may begin.

    lease                    nobody acts before it is held
    bus, relay, coordinator  events out and in: a fill may be waiting there
    recovery                 what was open is settled before anything new begins
    pause                    one that ran out meanwhile is over before the first cycle
    scheduler                cycles, last

A loop that ends or fails ends all: the supervisor of the process starts it again, and recovery is
the same path as start. Stopping is the reverse: no new cycles, sagas get time to end, then the
lease is handed over. The agent's status is not touched: it runs on in the next process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from structlog import get_logger
from structlog.contextvars import bind_contextvars

from tradesaga.domain.checkpoint import Occasion
from tradesaga.domain.errors import Damaged, Fenced, Unavailable
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import Policy
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.assembly import Parts, assemble
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.world import World

log = get_logger()
DRAIN_SECONDS_MAX = 1.0
"""Real time that open sagas are given when the process is asked to end."""
CHECKPOINT_SECONDS_MAX = 2.0
"""For what is written last: without it the next process takes this one for one that has died."""
PUBLISH_SECONDS_MAX = 0.5
"""For what was said at the end; a bus that is away is not waited for."""


class Orchestrator:
    """Runs one agent on one node while that node holds its lease."""

    def __init__(
        self,
        *,
        world: World,
        settings: EngineSettings,
        policy: Policy,
        strategies: Sequence[Strategy],
        on_control: Callable[[AgentControl], None],
    ) -> None:
        self._world = world
        self._settings = settings
        self._policy = policy
        self._configured = strategies
        self._on_control = on_control

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Raises:
            ExceptionGroup: a loop failed; with Fenced in it when the lease has passed on, with
                Damaged when the database cannot be read: the ladder says so to whoever comes next.
        """
        bind_contextvars(agent_id=str(self._settings.agent_id))
        async with asyncio.TaskGroup() as group:
            parts = assemble(self._world, self._settings, self._policy, group)
            self._on_control(parts.control)
            serving = group.create_task(self._serve_or_tell(parts), name="orchestrator")
            stopping = group.create_task(stop.wait(), name="stop")
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            await self._wind_down(parts)
            serving.cancel()
            stopping.cancel()
        await parts.leadership.release()
        log.info("handed over")

    async def _serve_or_tell(self, parts: Parts) -> None:
        try:
            await self._serve(parts)
        except* Damaged:
            await _leave_halt(parts)
            raise

    async def _serve(self, parts: Parts) -> None:
        epoch = await parts.leadership.take()
        log.info("lease taken", epoch=epoch)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(parts.leadership.hold(), name="lease")
            loops.create_task(self._ready_in_time(parts), name="start")
            loops.create_task(self._world.bus.run(), name="bus")
            loops.create_task(parts.relay.run(), name="relay")
            found = await parts.recovery.run()
            await parts.watchers.engine.check()
            loops.create_task(parts.kill.run(), name="kill switch")
            loops.create_task(parts.ladder.run(), name="ladder")
            await parts.book.load(self._configured)  # a decision that waits is judged by it
            loops.create_task(parts.coordinator.run(), name="coordinator")
            await parts.recovery.settle(found)
            parts.control.recovered.set()
            await parts.breaker.started()
            await parts.board.poll()
            await parts.market.ask(self._world.clock.now())
            await parts.watchers.clocks.check()
            loops.create_task(parts.watchers.vitals.run(), name="vital signs")
            await parts.books.try_once()
            loops.create_task(parts.books.run(), name="reconciliation")
            await parts.pause_end.run_once()
            loops.create_task(parts.pause_end.run(), name="pause")
            loops.create_task(parts.approvals.run(), name="approvals")
            loops.create_task(parts.watch.run(), name="invariants")
            loops.create_task(parts.retention.run(), name="retention")
            loops.create_task(parts.exits.run(), name="strategy exits")
            loops.create_task(parts.scheduler.run_heartbeats(), name="heartbeats")
            loops.create_task(parts.scheduler.run(), name="schedules")
            parts.control.ready.set()
            log.info("ready", market_time=self._world.clock.now().isoformat())

    async def _ready_in_time(self, parts: Parts) -> None:
        try:
            async with asyncio.timeout(self._settings.start_time_max.total_seconds()):
                await parts.control.ready.wait()
        except TimeoutError:
            await parts.breaker.start_is_late()

    async def _wind_down(self, parts: Parts) -> None:
        await parts.scheduler.cancel_all()
        await parts.crew.drain(DRAIN_SECONDS_MAX)
        if not parts.leadership.may_send(opening=False):
            return
        if parts.control.ready.is_set():
            await _leave_checkpoint(parts)
        await _publish_the_rest(parts)


async def _leave_halt(parts: Parts) -> None:
    """Have the next process find why this one could not go on."""
    parts.recovery.former.look()
    try:
        async with asyncio.timeout(CHECKPOINT_SECONDS_MAX):
            await parts.ladder.write()
    except (Fenced, Unavailable, TimeoutError) as error:
        log.warning("the halt is not stored", error=repr(error))


async def _publish_the_rest(parts: Parts) -> None:
    """What was said is heard now, not when somebody leads again; what is not is in the outbox."""
    try:
        async with asyncio.timeout(PUBLISH_SECONDS_MAX):
            await parts.relay.emptied()
    except TimeoutError:
        log.info("events are left to the next process")


async def _leave_checkpoint(parts: Parts) -> None:
    """What is left open, for people; the next process finds it by itself, so none is no loss.

    Not tried when the lease could not be renewed: the database is away, and a commit would wait.
    """
    report = {"sagasOpen": len(parts.recovery.desk.trades)}
    try:
        async with asyncio.timeout(CHECKPOINT_SECONDS_MAX):
            await parts.checkpoints.take(Occasion.HANDED_OVER, report)
    except (Fenced, Unavailable, TimeoutError) as error:
        log.warning("no checkpoint at the end", error=repr(error))
