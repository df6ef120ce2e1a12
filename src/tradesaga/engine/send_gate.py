"""The gate that every order passes at the instant of its sending; it lives in memory alone.

What was halted by hand stands here before anything else is done about it: no database, no bus and
no event loop is needed to close the gate. `mark` may be called from any thread and from a signal
handler: it replaces one immutable value. `close` and `open` belong to the event loop. The adapter
of the venue asks once more when the first byte is about to leave (see `bootstrap/serving.py`), so
that a request that waited for a connection is sent neither after the gate was closed nor after
the lease has passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradesaga.domain.ladder import Scope
from tradesaga.domain.orders import Order
from tradesaga.domain.trade_start import OPERATOR_EXIT

Question = Callable[[Order], str]
"""Why the order may not be sent; empty when it may. Never waits, never raises."""


class SendGate:
    """Asked before each send; cancels do not pass here.

    What is marked at the gate `above`, that of the process, is closed for all of its agents.
    """

    def __init__(self, above: SendGate | None = None) -> None:
        self._above = above
        self._closed: frozenset[Scope] = frozenset()
        self._marked: frozenset[Scope] = frozenset()
        self._questions: tuple[Question, ...] = ()
        self._delays: tuple[Question, ...] = ()

    def ask(self, question: Question) -> None:
        """Have `question` asked about each order from now on, after those before it."""
        self._questions = (*self._questions, question)

    def ask_last(self, delay: Question) -> None:
        """Have `delay` asked, after all else, when the first byte is about to leave.

        What it names passes by itself: the order is not given up for it, only not sent now.
        """
        self._delays = (*self._delays, delay)

    def close(self, scope: Scope) -> None:
        """Nothing of `scope` is sent from now on."""
        self._closed |= {scope}

    def open(self, scope: Scope) -> None:
        """`scope` was re-armed; what is marked stays closed."""
        self._closed -= {scope}

    def mark(self, scopes: Iterable[Scope]) -> None:
        """Exactly these are halted by marks of the file system or a signal. For any thread."""
        self._marked = frozenset(scopes)

    @property
    def halted(self) -> frozenset[Scope]:
        """All that is closed, by command or by mark."""
        return self._closed | self._all_marked()

    def refusal(self, order: Order) -> str:
        """Why `order` may not be sent at this instant; empty when it may.

        An exit that a person ordered by hand passes: it is what a halt leaves to do.
        """
        if order.purpose == OPERATOR_EXIT:
            return ""
        strategy = None if order.strategy_id is None else str(order.strategy_id)
        for scope in self._all_marked() | self._closed:
            if scope.covers(strategy, order.symbol):
                return f"halted: kill switch for {scope.name}"
        return next((no for ask in self._questions if (no := ask(order))), "")

    def refusal_at_last(self, order: Order) -> str:
        """Why not even the first byte of `order` may leave at this instant; empty when it may.

        For the adapter of the venue; an operator's exit needs the lease, too.
        """
        reason = self.refusal(order)
        return reason or next((no for ask in self._delays if (no := ask(order))), "")

    def _all_marked(self) -> frozenset[Scope]:
        return self._marked if self._above is None else self._marked | self._above._marked
