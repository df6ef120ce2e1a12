"""Sees that the bus has lost events that it had acknowledged, and publishes them again.

A server that acknowledges before its disk has the message forgets the latest ones when the power
fails; its stream looks healthy after that, only shorter. So after every connection its end is
compared with what it had acknowledged: another stream, or a last number below the highest one that
is marked, is a loss. What lies above is published again under the same ids, in the order of the
log; readers know an id that they have seen. Questions are left out: whoever asked has its answer
or has given up, and a late answer could trade.

The other way round, an event of ours there that comes of no row of the log is one of other books:
those here were set back (`former_books`). It is looked for before anything new is published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from structlog import get_logger

from tradesaga.domain.events import ANALYSIS_REQUESTED
from tradesaga.domain.ids import AgentId
from tradesaga.engine.former_books import FormerBooks
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.bus import Bus
from tradesaga.ports.journal import Entry
from tradesaga.ports.metrics import ErrorType, Metrics
from tradesaga.ports.stream import Sent, SentEvents, StreamEnd, StreamState

log = get_logger()
BATCH_MAX = 256
KEPT_TIME_MAX = timedelta(days=7)
"""How far a stream that is another one is filled again: the platform's keep no more."""


@dataclass(slots=True, kw_only=True)
class LookBack:
    """One agent's; the relay asks it before it publishes what is new."""

    agent_id: AgentId
    bus: Bus
    stream: StreamState
    sent: SentEvents
    scribe: Scribe
    metrics: Metrics
    former: FormerBooks
    _looked: int = field(default=0, init=False)

    async def run_once(self) -> int:
        """Compare once for each connection; how many events were published again.

        Raises:
            Unavailable: bus or database are away; nothing counts as compared.
            Fenced: the lease has passed on.
        """
        connection = self.stream.connection()
        if connection in (0, self._looked):
            return 0
        end, last = await self.stream.stream_end(), await self.sent.last_sent(self.agent_id)
        known, number = await self.sent.stream_known(self.agent_id), 0
        if last is not None:
            await self._must_be_of_these_books()
        if last is not None and (after := await self._lost_after(end, last, known)) is not None:
            number = await self._publish_again(after, last, end)
        if known != end.created:
            await self.sent.remember_stream(self.agent_id, end.created)
        self._looked = connection
        return number

    async def _must_be_of_these_books(self) -> None:
        """See whether the last event of ours in the stream comes of a row that the log has."""
        told = await self.stream.last_of_ours()
        if told is None or await self.sent.has_row(told):
            await self.former.heed()  # another agent may have looked before something new came
            return
        log.error("the bus has an event of other books", row=told.sequence, event_id=told.event_id)
        await self.former.set_back(
            f"the bus has event {told.event_id} of row {told.sequence} of our log, "
            "and the log here has no such row: the books were set back"
        )

    async def _lost_after(self, end: StreamEnd, last: Sent, known: datetime | None) -> int | None:
        """The last row that the stream still has; None when it has all."""
        oldest = last.at - KEPT_TIME_MAX
        if known is not None and known != end.created:
            return await self.sent.sent_before(self.agent_id, oldest)
        if end.last_sequence < last.stream_sequence:
            kept = await self.sent.kept_up_to(self.agent_id, end.last_sequence)
            return max(kept, await self.sent.sent_before(self.agent_id, oldest))
        return None

    async def _publish_again(self, after: int, last: Sent, end: StreamEnd) -> int:
        recorded, kept = last.stream_sequence, end.last_sequence
        log.error("the bus has lost events", recorded=recorded, kept=kept, again_after=after)
        self.metrics.error_occurred(ErrorType.BUS_REGRESSION)
        number, place, highest = 0, after, 0
        while rows := await self.sent.between(
            self.agent_id, after=place, until=last.sequence, limit=BATCH_MAX
        ):
            for row in rows:
                if row.type == ANALYSIS_REQUESTED:
                    continue
                published = await self.bus.publish(row)
                highest = max(highest, published.stream_sequence)
                number += 1
            place = rows[-1].sequence
        await self.sent.mark_again(
            self.agent_id, sequence=last.sequence, stream_sequence=highest or kept
        )
        body = {
            "alert": "the event bus has lost events that it had acknowledged",
            "recorded": recorded,
            "kept": kept,
            "publishedAgain": number,
        }
        entry = Entry(kind="alert", subject=str(self.agent_id), actor="engine", body=body)
        await self.scribe.fact((), (entry,))
        return number
