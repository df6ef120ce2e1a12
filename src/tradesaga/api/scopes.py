"""Who may do what only a scope allows; until there is authentication, a token shown is the scope.

Without a configured token nobody has the scope. Tokens are compared in constant time.
"""

from __future__ import annotations

import hmac
from typing import Final, Protocol

from tradesaga.api.problems import FORBIDDEN, Refusal

RISK_ADMIN: Final = "risk_admin"


class Scopes(Protocol):
    """Tells whether a request has a scope."""

    def allows(self, scope: str, authorization: str | None) -> bool:
        """Whether the header `Authorization` gives `scope`."""
        ...


class TokenScopes:
    """One token for `risk_admin`; empty: nobody has it."""

    def __init__(self, risk_admin: str) -> None:
        self._risk_admin = risk_admin.encode()

    def allows(self, scope: str, authorization: str | None) -> bool:
        """See `Scopes`."""
        kind, _, token = (authorization or "").partition(" ")
        shown = token.strip().encode() if kind.lower() == "bearer" else b""
        right = hmac.compare_digest(shown, self._risk_admin)
        return scope == RISK_ADMIN and right and bool(self._risk_admin)


def require(scopes: Scopes, scope: str, authorization: str | None) -> None:
    """Refuse a request without `scope`.

    Raises:
        Refusal: saying which scope is missing, not why.
    """
    if not scopes.allows(scope, authorization):
        raise Refusal(FORBIDDEN, f"this needs the scope {scope}")
