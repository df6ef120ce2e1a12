"""Which scope an operation needs: one table, and the guard that asks it.

Reading needs `read`. What is not a reading operation stands in the table, or nobody may call it:
a new operation is closed until somebody has thought about it. A few paths are open, because a
probe has no token and a problem must be explained to whoever was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from tradesaga.api.problem_kinds import FORBIDDEN, SIGN_IN
from tradesaga.api.problems import Refusal
from tradesaga.domain.access import AccessScope, Caller

READ, OPERATE, TRADE = AccessScope.READ, AccessScope.OPERATE, AccessScope.TRADE
RISK_ADMIN, ADMIN = AccessScope.RISK_ADMIN, AccessScope.ADMIN

OPEN_PATHS: Final = frozenset({"/health", "/livez", "/readyz", "/startupz", "/problems"})
OPEN_BELOW: Final = "/problems/"
DOCUMENTS: Final = frozenset({"/docs", "/api/v1/openapi.json", "/asyncapi.json"})
"""What a person reads in a browser, which asks for the token by itself (Basic) and nowhere else."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_ONE_OF: Final[Mapping[tuple[AccessScope, ...], str]] = {
    (OPERATE,): "startAgent stopAgent pauseAgent resumeAgent cancelCycle"
    " addSchedule changeSchedule removeSchedule enableSchedule disableSchedule triggerSchedule"
    " analyzeStrategy createStrategy updateStrategy deleteStrategy activateStrategy"
    " deactivateStrategy runRetention",
    (TRADE,): "retrySaga compensateSaga resolveSaga closePosition approveOrder denyOrder"
    " replayDeadLetter discardDeadLetter"
    " acknowledge",
    # Halting is for everybody who may do anything; re-arming is not.
    (OPERATE, TRADE, RISK_ADMIN): "kill killAll",
    (RISK_ADMIN,): "putRiskLimits rearm",
    (ADMIN,): "listTokens createToken revokeToken rotateToken addAgent retireAgent",
}
NEEDED: Final[Mapping[str, tuple[AccessScope, ...]]] = {
    name: scopes for scopes, names in _ONE_OF.items() for name in names.split()
}
"""By operation id: one of these scopes."""
LATELY: Final = frozenset({"putRiskLimits", "rearm", "createToken", "rotateToken"})
"""What needs a person who has signed in just now, if he signs in anywhere: it loosens a limit, ends
a halt, or makes a token that outlives his own."""
_AGAIN: Final = {
    "WWW-Authenticate": 'Bearer realm="tradesaga", error="insufficient_user_authentication"'
}


def is_open(path: str) -> bool:
    """Whether a path is answered without a token."""
    return path in OPEN_PATHS or path.startswith(OPEN_BELOW)


def needed(operation_id: str, methods: frozenset[str]) -> tuple[AccessScope, ...]:
    """One of these scopes is needed; empty: nobody may."""
    if operation_id in NEEDED:
        return NEEDED[operation_id]
    return (READ,) if methods <= SAFE_METHODS else ()


def caller_in(state: Mapping[str, Any]) -> Caller | None:
    """Who sends the request, as the gate has found out; None on an open path."""
    return state.get("caller")


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a caller without a scope that the operation needs; before anything is read.

    Raises:
        Refusal: naming the scope.
    """
    if is_open(connection.url.path):
        return
    assert isinstance(handler, HTTPRouteHandler)
    operation = str(handler.operation_id)
    scopes = needed(operation, frozenset(map(str, handler.http_methods)))
    caller = caller_in(connection.scope["state"])
    if caller is not None and scopes and caller.may(scopes):
        if operation in LATELY and not caller.signed_in_lately:
            raise Refusal(SIGN_IN, "the sign-in is too long ago for this", headers=_AGAIN)
        return
    said = " or ".join(scopes)
    raise Refusal(
        FORBIDDEN,
        f"this needs the scope {said}" if scopes else "no scope is set for this operation",
    )
