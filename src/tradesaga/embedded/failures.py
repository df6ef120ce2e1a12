"""How the embedded servers fail, by what the caller does about it.

Rejected       AlreadyRunning   leave the other one alone
               Unusable         change what the message names, then start again
                 NoSpace        free some; a supervisor that is at work waits for it
Unavailable    StartFailed      may work the next time; the log says why it did not
               CrashLoop        a person must look
"""

from __future__ import annotations

from tradesaga.domain.errors import Rejected, Unavailable


class Unusable(Rejected):
    """This machine or directory cannot hold the server; the message says what to change."""


class NoSpace(Unusable):
    """The disk is too full to start a server on it."""


class StartFailed(Unavailable):
    """The server did not come up; its log says why."""


class AlreadyRunning(Rejected):
    """Another supervisor owns the state directory."""


class CrashLoop(Unavailable):
    """A service ended more often than the policy allows."""
