"""What can happen to a life at a seam."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """KILL is SIGKILL to itself, STOP the operator's command, TERM the request to end, CUT the
    loss of the journal's connection after the commit and before its answer.
    """

    KILL = "kill"
    STOP = "stop"
    TERM = "term"
    CUT = "cut"
