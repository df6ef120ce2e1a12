"""Who may do what over the API: scopes, and the tokens that carry them.

A token is shown once, when it is made; what is kept is its SHA-256, which is enough for 256 random
bits. A token ends by its expiry, by being revoked, or by being rotated: then its secret is another
one, while its name, id and scopes stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId

PREFIX: Final = "tsk_"
"""What every token begins with, so that scanners and people know one when they see it."""
TOKEN: Final = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")
"""A whole token: the prefix and 256 bits in base 64."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LIFE_MAX: Final = timedelta(days=366)
LIFE_USUAL: Final = timedelta(days=90)


class AccessScope(StrEnum):
    """What a token may do. READ comes with each of them, ADMIN has them all."""

    READ = "read"
    OPERATE = "operate"
    TRADE = "trade"
    RISK_ADMIN = "risk_admin"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """One token as it is kept. `last_used_at` is coarse: written at most once an hour."""

    id: UUID
    agent_id: AgentId
    name: str
    digest: str
    scopes: tuple[AccessScope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    version: int = 1

    def lives(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a request; `token_id` is what the audit log names beside the name.

    `signed_in_lately`: whether the person has shown his password just now, where he has one.
    """

    name: str
    token_id: str
    scopes: frozenset[AccessScope]
    signed_in_lately: bool = True

    def may(self, scopes: Iterable[AccessScope]) -> bool:
        """Whether one of `scopes` is among those of the caller."""
        return AccessScope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)


def caller_of(token: ApiToken) -> Caller:
    """The caller who shows `token`."""
    return Caller(name=token.name, token_id=str(token.id), scopes=with_reading(token.scopes))


def with_reading(scopes: Iterable[AccessScope]) -> frozenset[AccessScope]:
    """The scopes with what they bring along."""
    return frozenset(scopes) | {AccessScope.READ}


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def must_be_fit(name: str, scopes: Iterable[AccessScope], life: timedelta) -> None:
    """Refuse what no token may be. Raises Invalid, naming all that is wrong."""
    problems = []
    if NAME.fullmatch(name) is None:
        problems.append(
            f'name is "{name[:60]}": it takes 1 to 64 letters, digits, dots, dashes, underscores'
        )
    if not list(scopes):
        problems.append(f"scopes is empty: it takes some of {', '.join(AccessScope)}")
    if not timedelta() < life <= LIFE_MAX:
        problems.append(f"it would live for {life}: a token lives at most {LIFE_MAX.days} days")
    if problems:
        raise Invalid(problems)
