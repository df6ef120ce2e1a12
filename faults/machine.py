"""The product on a disk of its own, which may be taken from under it, and started again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from faults.campaign import up_on
from faults.disk import Disk
from faults.processes import ended, kill_with_all_below
from tests.acceptance.running import Up
from tradesaga.paper.places import STORE_FILE

ALERT_SECONDS_MAX = 60.0
ORDER_SECONDS_MAX = 120.0
UNDER_WAY = "select exists (select from sagas where status not like 'comp%')"
ALERTED = """select (select epoch > $2 from leases) or exists (select from journal_log
  where seq > $1 and kind = 'ladder.entered' and body::jsonb ->> 'cause' = any($3))"""
STALLED = ["LEASE_STALL", "DATABASE_SLOW"]


@dataclass(frozen=True, slots=True)
class Moment:
    """The last entry of the log, and the epoch of the lease."""

    seq: int
    epoch: int


class Machine:
    """Two nodes with the state directory on `disk`; the neighbours keep their books elsewhere."""

    def __init__(self, disk: Disk, place: Path, venue: Path, speed: float) -> None:
        self.disk = disk
        self._place, self._venue, self._speed = place, venue, speed
        self.up = self._started()

    def orders_at_the_venue(self) -> int:
        """As many as the venue has ever taken, by its own books."""
        with sqlite3.connect(f"file:{self._venue / STORE_FILE}?mode=ro", uri=True) as books:
            (count,) = books.execute("select count(*) from orders").fetchone()
        books.close()
        return int(count)

    async def order_under_way(self) -> None:
        """Wait for a saga in the midst of its steps."""
        await self.up.until(UNDER_WAY, seconds=ORDER_SECONDS_MAX)

    async def moment(self) -> Moment:
        """What `stall_told` compares with."""
        seq = await self.up.ask("select coalesce(max(seq), 0) from journal_log")
        return Moment(seq, await self.up.ask("select epoch from leases"))

    async def stall_told(self, since: Moment) -> None:
        """Wait until the ladder tells of slow writes, or the lease has passed on.

        Then the node that held it ends by an error, and the next one opens nothing for a while.
        """
        asked = (since.seq, since.epoch, STALLED)
        await self.up.until(ALERTED, *asked, seconds=ALERT_SECONDS_MAX)

    async def dies(self) -> None:
        """SIGKILL to all of it; returns when nothing of it lives."""
        gone = kill_with_all_below(self.up.process.pid)  # the supervisor first: it starts nothing
        self.up.process.wait()
        await ended(gone)

    def starts(self) -> None:
        """The same command again."""
        self.up = self._started()

    def _started(self) -> Up:
        return up_on(self.disk.mountpoint, self._place, self._speed)
