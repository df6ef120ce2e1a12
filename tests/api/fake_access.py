"""A fake of the port of tokens: one caller for each scope, and one with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tradesaga.domain.access import (
    PREFIX,
    AccessScope,
    ApiToken,
    Caller,
    caller_of,
    digest_of,
)
from tradesaga.domain.errors import NotFound
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.ports.token_operations import ForeignCallers, Minted

NOON = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
FRESH = PREFIX + "f" * 43


def secret_of(scope: AccessScope) -> str:
    return PREFIX + f"{scope}".ljust(43, "x")


def token_of(scope: AccessScope) -> ApiToken:
    place = list(AccessScope).index(scope)
    return ApiToken(
        id=UUID(int=0x01934F0E_0000_7000_8000_0000000000A0 + place),
        agent_id=DEFAULT_AGENT,
        name=f"{scope}-token",
        digest=digest_of(secret_of(scope)),
        scopes=(scope,),
        created_at=NOON,
        created_by="api:local#file@127.0.0.1",
        expires_at=NOON + timedelta(days=90),
    )


ADMIN = secret_of(AccessScope.ADMIN)
ADMIN_HEADER = {"Authorization": f"Bearer {ADMIN}"}
ACTOR = f"api:admin-token#{token_of(AccessScope.ADMIN).id}@127.0.0.1"


class FakeAccess:
    """Implements `ports.token_operations`; records what was asked."""

    def __init__(self) -> None:
        self.known = {secret_of(scope): token_of(scope) for scope in AccessScope}
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.foreign: ForeignCallers | None = None

    def caller(self, secret: str, *, check: bool = True) -> Caller | None:
        token = self.known.get(secret)
        if token is None and self.foreign is not None:
            return self.foreign.caller(secret, check=check)
        return None if token is None else caller_of(token)

    async def tokens(self) -> Sequence[ApiToken]:
        return list(self.known.values())

    async def create(
        self, name: str, scopes: Sequence[AccessScope], *, life: timedelta, actor: str
    ) -> Minted:
        self.calls.append(("create", {"name": name, "life": life, "actor": actor}))
        token = replace(
            token_of(AccessScope.READ),
            id=UUID(int=0x01934F0E_0000_7000_8000_0000000000B0),
            name=name,
            scopes=tuple(scopes),
            expires_at=NOON + life,
        )
        self.known[FRESH] = token
        return Minted(token=token, secret=FRESH)

    async def revoke(self, name: str, *, actor: str) -> ApiToken:
        self.calls.append(("revoke", {"name": name, "actor": actor}))
        for secret, token in self.known.items():
            if name in (token.name, str(token.id)):
                del self.known[secret]
                return replace(token, revoked_at=NOON)
        raise NotFound(f"there is no token {name}")

    async def rotate(self, name: str, *, life: timedelta, actor: str) -> Minted:
        token = await self.revoke(name, actor=actor)
        self.known[FRESH] = replace(token, revoked_at=None, expires_at=NOON + life)
        return Minted(token=self.known[FRESH], secret=FRESH)
