"""The tasks that run sagas: one each, in the orchestrator's task group, until it rests."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from structlog import get_logger
from structlog.contextvars import bind_contextvars

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.saga import ENDS
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock

log = get_logger()
RETRY_AFTER = timedelta(seconds=1)


class SagaCrew:
    """Starts runners; a saga goes on whatever becomes of the cycle that began it."""

    def __init__(
        self, *, runner: SagaRunner, desk: TradeDesk, clock: Clock, group: asyncio.TaskGroup
    ) -> None:
        self._runner = runner
        self._desk = desk
        self._clock = clock
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, trade: OpenTrade) -> None:
        """Run the trade's saga from where it stands."""
        task = self._group.create_task(self._run(trade), name=f"saga {trade.state.saga.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds_max: float) -> None:
        """Let sagas end for at most `seconds_max` of real time, then let go of them.

        What is let go of is resumed by the next leader from its committed state.
        """
        try:
            async with asyncio.timeout(seconds_max):
                for trade in self._desk.trades:
                    await trade.ended.wait()
        except TimeoutError:
            log.warning("sagas handed over unfinished", number=len(self._desk.trades))
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, trade: OpenTrade) -> None:
        bind_contextvars(saga_id=str(trade.state.saga.id))
        while True:
            try:
                saga = await self._runner.run(trade)
            except Unavailable as error:
                log.warning("saga waits for the journal", error=str(error))
                await self._clock.sleep_until(self._clock.now() + RETRY_AFTER)
                continue
            if saga.status in ENDS:
                self._desk.trades.drop(trade)
                return
            trade.news.clear()  # it needs a person, or a late word of the venue
            await trade.news.wait()
