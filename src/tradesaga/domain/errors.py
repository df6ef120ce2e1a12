"""Every error the orchestrator raises, by what the caller does about it.

TradesagaError
├── Rejected            the request is wrong: tell the caller (HTTP 4xx), never retry
│   ├── NotFound
│   ├── IllegalTransition
│   └── Invalid         one or more fields are wrong; `problems` names each with its remedy
├── Transient           whether it took effect is unknown: look, then repeat under the policy
│   ├── Unavailable
│   │   └── Damaged     the database cannot read what it keeps: a restore is a person's work
│   └── DeadlineExceeded
├── Refused             a neighbour refused in so many words: it has not taken effect, never will
├── NotSent             our own gate was closed before the first byte left: nobody heard of it
│   └── Throttled       our own rate limit left no token in time
└── Conflict            another hand was first: load again, decide again
    ├── Stale           the caller named the version that it had read: tell it
    └── Fenced          the lease has passed on: stop acting at once
"""

from __future__ import annotations

from collections.abc import Sequence


class TradesagaError(Exception):
    """Base of all our errors; anything else that escapes is a defect."""


class Rejected(TradesagaError):
    """The request cannot be served in this state or form."""


class NotFound(Rejected):
    """No such agent, strategy, cycle or saga."""


class IllegalTransition(Rejected):
    """The machine has no such edge from its present state.

    `allowed` names the commands that would be taken now; empty: nothing helps.
    """

    def __init__(
        self, message: str, *, state: str | None = None, allowed: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.state = state
        self.allowed = tuple(allowed)


class Invalid(Rejected):
    """Input that is wrong in one or more places, all of them named."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Transient(TradesagaError):
    """May succeed if tried again; may have succeeded already."""


class Unavailable(Transient):
    """The service or the database gave no usable answer."""


class Damaged(Unavailable):
    """What the database keeps does not have its checksum, or contradicts itself."""


class DeadlineExceeded(Transient):
    """The answer did not come in time."""


class Refused(TradesagaError):
    """The other side understood and said no, with a code that is kept as evidence."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotSent(TradesagaError):
    """The gate was closed at the instant of the sending; nothing was sent."""


class Throttled(NotSent):
    """The service is asked no more often than its rate limit allows; nothing was sent."""


class Conflict(TradesagaError):
    """The state has moved on since it was read; `allowed` as with IllegalTransition."""

    def __init__(self, message: str, *, allowed: Sequence[str] = ("read", "repeat")) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class Stale(Conflict):
    """It is not at the version that the caller has read; nothing was changed."""


class Fenced(Conflict):
    """The epoch is stale: another holder has the lease."""
