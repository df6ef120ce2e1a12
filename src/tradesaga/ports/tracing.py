"""Traces: what caused what, told to whoever collects them.

A span has a name, a time and facts; facts are ids and words of ours (`Facts`), never amounts,
prices, secrets or anybody's text. Beside those that are named, a span bears the ids that the log is
bound to. Nothing here waits or raises, whatever becomes of the collector.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Final, Protocol, TypedDict

from typing_extensions import Unpack, override

from tradesaga.domain.trace_context import TraceContext


class SpanKind(StrEnum):
    """Who else has a part in it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Facts(TypedDict, total=False):
    """All that a span may say; text of more than a word is left out."""

    agent_id: str
    cycle_id: str
    cycle_type: str
    decision_id: str
    saga_id: str
    order_id: str
    correlation_id: str
    event_id: str
    event_type: str
    subject: str
    service: str
    method: str
    route: str
    status_code: int
    step: str
    command: str
    action: str
    verdict: str
    status: str
    outcome: str
    changes: int


class Span(Protocol):
    """One that has begun."""

    def note(self, **facts: Unpack[Facts]) -> None:
        """Add facts that were not known at its beginning."""
        ...

    def failed(self, error: str) -> None:
        """It came to nothing; `error` is a word, as the name of a class."""
        ...


class Tracer(Protocol):
    """Begins spans. `is_on` is for those who would otherwise prepare facts in vain."""

    @property
    def is_on(self) -> bool:
        """Whether anybody collects."""
        ...

    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        about: str | None = None,
        first: bool = False,
        parent: TraceContext | None = None,
        **facts: Unpack[Facts],
    ) -> AbstractContextManager[Span]:
        """A span around what is done within; an error that leaves it makes it a failed one.

        It is a child of `parent`, of somebody else; else of the trace that is `about` this thing,
        linked to the span it stands in if that belongs to another; else of the span it stands in.
        `first`: it is the one that begins the trace about the thing.
        """
        ...

    def moment(self) -> int:
        """Now, for `told`."""
        ...

    def told(
        self,
        name: str,
        *,
        since: int,
        about: str | None = None,
        first: bool = False,
        links: Sequence[TraceContext] = (),
        **facts: Unpack[Facts],
    ) -> None:
        """A span that has just ended and began at `since`; of `links` some are kept."""
        ...

    def here(self) -> TraceContext | None:
        """The span in which this is asked, to be sent with what is sent now; None without one."""
        ...


class _NoSpan:
    """Implements `Span` and its own context; there is one of it."""

    __slots__ = ()

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, **_: Unpack[Facts]) -> None:
        """Nobody listens."""

    def failed(self, error: str) -> None:
        """Nobody listens."""


_NO_SPAN: Final = _NoSpan()


class _Untraced(Tracer):
    """Implements `Tracer` for when nobody collects."""

    __slots__ = ()
    is_on = False

    @override
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        about: str | None = None,
        first: bool = False,
        parent: TraceContext | None = None,
        **facts: Unpack[Facts],
    ) -> AbstractContextManager[Span]:
        return _NO_SPAN

    @override
    def moment(self) -> int:
        return 0

    @override
    def told(
        self,
        name: str,
        *,
        since: int,
        about: str | None = None,
        first: bool = False,
        links: Sequence[TraceContext] = (),
        **facts: Unpack[Facts],
    ) -> None:
        pass

    @override
    def here(self) -> TraceContext | None:
        return None


UNTRACED: Final[Tracer] = _Untraced()
"""Nobody collects."""
