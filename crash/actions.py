"""What can happen to a life, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override

from tradesaga.testing.seams import Seam


class Action(StrEnum):
    """KILL is SIGKILL to itself, STOP the operator's command, TERM the request to end, CUT the
    loss of the journal's connection after the commit and before its answer, TIMEOUT that no answer
    comes to the request at whose seam it happens. PAUSE is the operator's command for a time, and
    SIGKILL when it has been answered; HALT likewise the kill switch, once it is stored. FREEZE is
    SIGSTOP to itself: another process takes over, then the frozen one goes on.
    """

    KILL = "kill"
    STOP = "stop"
    PAUSE = "pause"
    HALT = "halt"
    TERM = "term"
    CUT = "cut"
    TIMEOUT = "timeout"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class Event:
    """What happens in one life, and where."""

    action: Action
    at: Seam

    @override
    def __str__(self) -> str:
        return f"{self.action}@{self.at}"
