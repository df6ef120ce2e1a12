"""Trades that begin in the commit of the verdicts that allow them: all is written, or nothing.

A trade counts against every limit from the moment it is admitted, before anything is written. So
whoever admits commits or withdraws, however the commit ends. Sagas that are committed have their
runners before anybody else runs.

The verdicts are facts, the trades are not: when a stop has raised the epoch meanwhile, the verdicts
are committed and no trade begins.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradesaga.domain.errors import Fenced
from tradesaga.domain.trade_messages import TradeState
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.saga_crew import SagaCrew
from tradesaga.engine.scribe import Scribe
from tradesaga.engine.trade_desk import Admission, TradeDesk
from tradesaga.ports.journal import Entry, Row


class Intents:
    """What one cycle is about to begin.

    `trades` are those that have begun, unless a stop has kept them all: then `stopped` is set.
    """

    def __init__(self, *, desk: TradeDesk, crew: SagaCrew, epoch: int) -> None:
        self._desk = desk
        self._crew = crew
        self._epoch = epoch
        self._admitted: list[Admission] = []
        self.trades: tuple[OpenTrade, ...] = ()
        self.stopped = False

    def __len__(self) -> int:
        """How many wait for their commit."""
        return len(self._admitted)

    def admit(self, state: TradeState) -> None:
        """Count a pending trade. Raises Conflict when its saga has begun already."""
        self._admitted.append(self._desk.admit(state))

    async def commit(self, scribe: Scribe, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        """Commit `rows` and `entries`, and the trades with them unless a stop came in between.

        Not to be interrupted: what is committed has to be known as committed.

        Raises:
            Conflict, Unavailable: as the journal; no trade has begun.
            Fenced: the lease has passed on.
        """
        more = [row for admitted in self._admitted for row in admitted.rows]
        said = [entry for admitted in self._admitted for entry in admitted.entries]
        try:
            await scribe.intent((*rows, *more), (*entries, *said), epoch=self._epoch)
        except Fenced:
            self.withdraw()
            if await scribe.epoch_settled() == self._epoch:
                raise
            self.stopped = True
            await scribe.fact(rows, entries)
        except BaseException:
            self.withdraw()
            raise
        else:
            self.trades = tuple(admitted.trade for admitted in self._admitted)
            self._admitted.clear()
            for trade in self.trades:
                self._crew.take(trade)

    def withdraw(self) -> None:
        """Nothing of what was admitted and is not committed has ever counted."""
        for admitted in self._admitted:
            self._desk.withdraw(admitted.trade)
        self._admitted.clear()
