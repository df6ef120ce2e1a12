"""What a trade saga asks of the venue, and how each answer is told to the saga.

    command         action or compensation            answers
    Submit          submit_order                      Reported, SubmitRefused, NoAnswer,
                                                      CancelWanted when nothing may be sent
    LookUp          resolves an UNKNOWN submit        Reported, NotFound, Ambiguous, NoAnswer
    Follow          wait_for_fill, the cancel verdict Reported, TimeUp, or news from elsewhere
    RequestCancel   cancel_order, handle_partial_fill CancelAsked, NoAnswer

reserve_buying_power, update_position, record_trade, their compensations and
release_buying_power ask nothing of the world: `domain/trade_saga.py` takes them in the commit of
the fact that allows them. A timeout, a 5xx or a lost connection is NoAnswer, never a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from tradesaga.domain.errors import NotSent, Refused, Throttled, Transient
from tradesaga.domain.orders import Order, OrderStatus
from tradesaga.domain.trade_messages import (
    Ambiguous,
    CancelAsked,
    CancelWanted,
    Command,
    Follow,
    Happening,
    LookUp,
    NoAnswer,
    NotFound,
    Reported,
    RequestCancel,
    Submit,
    SubmitRefused,
    TimeUp,
)
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import AmbiguousMatch, TradingEngine

NOT_LEADING_WAIT = timedelta(milliseconds=250)
"""How long to wait before asking again whether the lease allows a send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeActions:
    """Performs one command; never raises for what the venue does."""

    venue: TradingEngine
    clock: Clock
    leadership: Leadership
    refusal_to_send: Callable[[Order], str]
    """Why the order may not be sent (stopped, halted); empty when it may. See `SendGate`."""

    async def perform(self, command: Command, trade: OpenTrade) -> Happening | None:
        """What came of it; None when the trade changed meanwhile and must be looked at again."""
        match command:
            case Submit():
                return await self._submit(trade)
            case LookUp(at=at):
                if await news_or_moment(self.clock, trade.news, at):
                    return None
                return await self._look_up(trade.state.order)
            case Follow(poll_at=poll_at, until=until):
                if await news_or_moment(self.clock, trade.news, min(poll_at, until)):
                    return None
                now, order = self.clock.now(), trade.state.order
                # After a long absence the wait is over and the poll is due: look, then decide.
                unsent = order.status is OrderStatus.INTENT
                if now >= until and (unsent or poll_at > now):
                    return TimeUp()
                return await self._look_up(order)
            case RequestCancel(at=at):
                if await news_or_moment(self.clock, trade.news, at):
                    return None
                return await self._cancel(trade.state.order)
            case _:
                assert_never(command)

    async def _submit(self, trade: OpenTrade) -> Happening | None:
        order = trade.state.order
        if reason := self.refusal_to_send(order):
            return CancelWanted(reason=reason)
        if not self.leadership.may_send(opening=order.opening):
            await news_or_moment(self.clock, trade.news, self.clock.now() + NOT_LEADING_WAIT)
            return None
        trade.is_sending = True
        try:
            return Reported(report=await self.venue.submit(order))
        except Throttled as error:  # an exit asks again, an entry has had its time
            return CancelWanted(reason=str(error)) if order.opening else None
        except NotSent:
            return None  # refused when its first byte was about to go: ask again
        except Refused as refusal:
            return SubmitRefused(evidence=f"{refusal.code} {refusal}".strip())
        except Transient as error:
            return NoAnswer(reason=str(error))
        finally:
            trade.is_sending = False

    async def _look_up(self, order: Order) -> Happening:
        try:
            report = await self.venue.look_up(order)
        except AmbiguousMatch as error:
            return Ambiguous(reason=str(error))
        except Transient as error:
            return NoAnswer(reason=str(error))
        except Refused as refusal:
            return NoAnswer(reason=f"look-up refused: {refusal}")
        return NotFound() if report is None else Reported(report=report)

    async def _cancel(self, order: Order) -> Happening:
        assert order.venue_order_id is not None, order
        try:
            await self.venue.cancel(order.venue_order_id)
        except Transient as error:
            return NoAnswer(reason=str(error), to_cancel=True)
        except Refused as refusal:
            return NoAnswer(reason=f"cancel refused: {refusal}", to_cancel=True)
        return CancelAsked()
