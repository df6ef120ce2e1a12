"""The tasks that run sagas: one each, in the orchestrator's task group, until it rests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

from structlog import get_logger
from structlog.contextvars import bind_contextvars

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.saga import ENDS
from tradesaga.domain.trade_messages import TradeState
from tradesaga.engine.log_ids import ids_of
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_runner import SagaRunner
from tradesaga.engine.shutdown import finish
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Entry, Row
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger()
RETRY_AFTER = timedelta(seconds=1)


class SagaCrew:
    """Starts runners; a saga goes on whatever becomes of the cycle that began it."""

    def __init__(
        self,
        *,
        runner: SagaRunner,
        desk: TradeDesk,
        clock: Clock,
        group: asyncio.TaskGroup,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._runner = runner
        self._desk = desk
        self._clock = clock
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(
        self,
        state: TradeState,
        *,
        epoch: int,
        rows: Sequence[Row] = (),
        entries: Sequence[Entry] = (),
    ) -> OpenTrade:
        """Commit a pending trade and run it. Raises as `TradeDesk.begin`.

        Not to be interrupted between the two: a saga that is committed has its runner.
        """
        begun = self._desk.begin(state, epoch=epoch, rows=rows, entries=entries)
        return await finish(self._taken(begun))

    async def _taken(self, begun: Coroutine[Any, Any, OpenTrade]) -> OpenTrade:
        trade = await begun
        self.take(trade)
        return trade

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
        saga = trade.state.saga
        ids = ids_of(trade.state.order)
        bind_contextvars(**ids)
        while True:
            try:
                with self._tracer.span("saga", about=ids["decision_id"]) as span:
                    saga = await self._runner.run(trade)
                    span.note(status=saga.status)
            except Unavailable as error:
                log.warning("saga waits for the journal", error=str(error))
                await self._clock.sleep_until(self._clock.now() + RETRY_AFTER)
                continue
            if saga.status in ENDS:
                self._desk.trades.drop(trade)
                return
            trade.news.clear()  # it needs a person, or a late word of the venue
            await trade.news.wait()
