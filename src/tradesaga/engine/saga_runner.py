"""Drives one trade saga until it rests: ask the machine, ask the world, book the answer, repeat.

Starting, running on and recovering after a crash are this same loop: the command is derived from
the committed state. The loop has no bound of its own; every wait in it has, and the machine ends
it or parks it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradesaga.domain import trade_saga
from tradesaga.domain.orders import LIVE
from tradesaga.domain.saga import Saga
from tradesaga.domain.trade_messages import CancelWanted
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.trade_actions import TradeActions
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.clock import Clock
from tradesaga.ports.tracing import UNTRACED, Tracer


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRunner:
    """One process's runner; a second one on the same saga is stopped by the journal."""

    desk: TradeDesk
    actions: TradeActions
    clock: Clock
    tracer: Tracer = UNTRACED

    async def run(self, trade: OpenTrade) -> Saga:
        """Run or resume the saga until it ends or needs a person.

        Raises:
            Fenced: the lease has passed on.
            Unavailable: the journal takes no more; run it again later.
        """
        while True:
            if trade.unbooked is not None:
                await self.desk.book(trade, trade.unbooked)
                trade.unbooked = None
            trade.news.clear()
            if (reason := _wish(trade)) is not None:
                await self.desk.book(trade, CancelWanted(reason=reason), actor="operator")
            command = trade_saga.command(trade.state, self.clock.now(), self.desk.policy)
            if command is None:
                return trade.state.saga
            # Kept until it is committed: what was asked of the venue must not be asked again
            # because the journal did not take the answer.
            with self.tracer.span("saga.step", command=type(command).__name__):
                trade.unbooked = await self.actions.perform(command, trade)


def _wish(trade: OpenTrade) -> str | None:
    """Why the order is to be cancelled, if it may be live and nobody has said so yet."""
    order = trade.state.order
    if order.status not in LIVE or order.cancel_wanted_at is not None:
        return None
    return trade.cancel_wish
