"""What may be done about the tokens of the API; the driving side of `engine.token_book`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from tradesaga.domain.access import AccessScope, ApiToken, Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A token with its secret, which is told this once and kept nowhere."""

    token: ApiToken
    secret: str = field(repr=False)


class Callers(Protocol):
    """Tells who shows a secret, from memory alone: no request waits for the database here."""

    def caller(self, secret: str, *, check: bool = True) -> Caller | None:
        """The caller; None for a secret that is unknown, expired or revoked.

        Without `check` no signature is checked: a token of another issuer counts if it did before.

        Raises:
            Throttled: there are too many signatures to check.
        """
        ...


class ForeignCallers(Protocol):
    """Tells who shows a token of another issuer, from memory as well."""

    def caller(self, token: str, *, check: bool) -> Caller | None:
        """As `Callers.caller`."""
        ...


class TokenOperations(Callers, Protocol):
    """Tokens as an administrator sees them. All writes raise Unavailable without the lease."""

    async def tokens(self) -> Sequence[ApiToken]:
        """All of them, in order of creation. Raises Unavailable before they could be read."""
        ...

    async def create(
        self, name: str, scopes: Sequence[AccessScope], *, life: timedelta, actor: str
    ) -> Minted:
        """Make one.

        Raises:
            Invalid: the name, the scopes or the life are no good.
            Conflict: a token of that name lives.
        """
        ...

    async def revoke(self, name: str, *, actor: str) -> ApiToken:
        """End the token of that name or id; on this node at once, on others within a second.

        Raises:
            NotFound: there is none.
        """
        ...

    async def rotate(self, name: str, *, life: timedelta, actor: str) -> Minted:
        """Give it another secret and a new life; the old secret ends at once.

        Raises:
            NotFound: there is none that lives.
        """
        ...
