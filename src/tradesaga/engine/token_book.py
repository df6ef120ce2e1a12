"""The tokens of the API: kept through the journal, known by heart, looked up again twice a second.

A request is judged from memory, so that the kill switch answers with the database down, and so that
a flood of wrong tokens costs a hash each. What another node has changed is seen at the next look,
within a second; while the database is away the last look stands. Life is counted in real time,
also in a replay. `fixed` are the callers that need no database: the token file of this machine.
`foreign` knows those whom another issuer vouches for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from structlog import get_logger

from tradesaga.domain.access import (
    TOKEN,
    AccessScope,
    ApiToken,
    Caller,
    caller_of,
    digest_of,
    must_be_fit,
)
from tradesaga.domain.errors import Conflict, Fenced, NotFound, TradesagaError, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.access_records import AccessRecords
from tradesaga.ports.clock import Clock
from tradesaga.ports.identity import IdSource
from tradesaga.ports.journal import Entry, Insert, Row, Update
from tradesaga.ports.token_operations import ForeignCallers, Minted

log = get_logger()
LOOK_EVERY: Final = timedelta(milliseconds=500)
USE_NOTED_EVERY: Final = timedelta(hours=1)
LIVE_MAX: Final = 1000
"""So many tokens may live; whoever needs more has lost count of them."""


class TokenBook:
    """Implements `ports.token_operations.TokenOperations`; `clock` is the real one."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        records: AccessRecords,
        clock: Clock,
        ids: IdSource,
        mint: Callable[[], str],
        fixed: Callable[[], Mapping[str, Caller]],
        agent_id: AgentId,
        foreign: ForeignCallers | None = None,
    ) -> None:
        self._foreign = foreign
        self._scribe = scribe
        self._records = records
        self._clock = clock
        self._ids = ids
        self._mint = mint
        self._fixed = fixed
        self._agent_id = agent_id
        self._turn = asyncio.Lock()
        self._known: Mapping[str, Caller] = {}
        self._by_digest: dict[str, ApiToken] = {}
        self._used: dict[str, datetime] = {}
        self.loaded = False

    def caller(self, secret: str, *, check: bool = True) -> Caller | None:
        """See `ports.token_operations`."""
        digest = digest_of(secret)
        # Found by a hash that nobody can steer; compared in constant time all the same.
        for known, caller in self._known.items():
            if compare_digest(known, digest):
                return caller
        if TOKEN.fullmatch(secret) is None:
            return None if self._foreign is None else self._foreign.caller(secret, check=check)
        if (token := self._by_digest.get(digest)) is None:
            return None
        now = self._clock.now()
        if not (compare_digest(token.digest, digest) and token.lives(now)):
            return None
        self._used[digest] = now
        return caller_of(token)

    @property
    def is_empty(self) -> bool:
        """Whether nobody at all could be let in."""
        now = self._clock.now()
        if self._known or self._foreign is not None:
            return False
        return not any(token.lives(now) for token in self._by_digest.values())

    async def tokens(self) -> Sequence[ApiToken]:
        """See `ports.token_operations`."""
        self._must_be_loaded()
        return sorted(self._by_digest.values(), key=lambda token: (token.created_at, token.id))

    async def create(
        self, name: str, scopes: Sequence[AccessScope], *, life: timedelta, actor: str
    ) -> Minted:
        """See `ports.token_operations`."""
        must_be_fit(name, scopes, life)
        async with self._turn:
            self._must_be_loaded()
            now, live = self._clock.now(), self._live()
            if any(token.name == name for token in live):
                why = f"a token named {name} lives: rotate or revoke it"
                raise Conflict(why, allowed=("rotate", "revoke"))
            if len(live) >= LIVE_MAX:
                raise Conflict(f"{LIVE_MAX} tokens live: revoke some", allowed=("revoke",))
            secret = self._mint()
            token = ApiToken(
                id=self._ids.uuid7(),
                agent_id=self._agent_id,
                name=name,
                digest=digest_of(secret),
                scopes=tuple(scope for scope in AccessScope if scope in scopes),
                created_at=now,
                created_by=actor,
                expires_at=now + life,
            )
            await self._commit(Insert(token), "token.created", actor, before=None)
            self._by_digest[token.digest] = token
            return Minted(token=token, secret=secret)

    async def revoke(self, name: str, *, actor: str) -> ApiToken:
        """See `ports.token_operations`."""
        async with self._turn:
            before = self._found(name)
            if before.revoked_at is not None:
                return before
            return await self._replaced(
                before, "token.revoked", actor, revoked_at=self._clock.now()
            )

    async def rotate(self, name: str, *, life: timedelta, actor: str) -> Minted:
        """See `ports.token_operations`."""
        async with self._turn:
            before = self._found(name)
            if not before.lives(now := self._clock.now()):
                raise NotFound(f"the token {name} has ended: create a new one")
            must_be_fit(before.name, before.scopes, life)
            secret = self._mint()
            after = await self._replaced(
                before,
                "token.rotated",
                actor,
                digest=digest_of(secret),
                expires_at=now + life,
                last_used_at=None,
            )
            return Minted(token=after, secret=secret)

    async def run(self) -> None:
        """Look twice a second, for ever."""
        while True:
            await self._clock.sleep_until(self._clock.now() + LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Look once; while the database is away the last look stands."""
        try:
            await self.run_once()
        except TradesagaError as error:
            log.warning("tokens are not looked up", error=str(error))

    async def run_once(self) -> None:
        """Read what there is, and note what was used. Raises Unavailable."""
        self._known = self._fixed()
        async with self._turn:
            stored = await self._records.api_tokens(self._agent_id)
            self._by_digest = {token.digest: token for token in stored}
            self.loaded = True
            await self._note_use()

    async def _note_use(self) -> None:
        used, self._used = self._used, {}
        for digest, at in used.items():
            token = self._by_digest.get(digest)
            if token is None:
                continue
            if token.last_used_at is None or at - token.last_used_at >= USE_NOTED_EVERY:
                try:
                    await self._replaced(token, "token.used", "engine", last_used_at=at)
                except TradesagaError as error:
                    # Not worth a failure: a standby cannot write, the next use is noted.
                    log.debug("the use of a token is not noted", error=str(error))

    async def _replaced(
        self, before: ApiToken, kind: str, actor: str, **changes: object
    ) -> ApiToken:
        after = replace(before, version=before.version + 1, **changes)  # type: ignore[arg-type]  # its own fields
        await self._commit(Update(after), kind, actor, before=before)
        del self._by_digest[before.digest]
        self._by_digest[after.digest] = after
        return after

    async def _commit(self, row: Row, kind: str, actor: str, *, before: ApiToken | None) -> None:
        token = row.value
        assert isinstance(token, ApiToken)
        body = {"before": None if before is None else _told(before), "after": _told(token)}
        entry = Entry(kind=kind, subject=str(token.id), actor=actor, body=body)
        try:
            await self._scribe.fact([row], [entry])
        except Fenced as error:
            raise Unavailable("another node has the agent: ask it, or ask again") from error

    def _found(self, name: str) -> ApiToken:
        """The token of that name or id: the one that lives before those that do not."""
        self._must_be_loaded()
        now = self._clock.now()
        found = [t for t in self._by_digest.values() if name in (t.name, str(t.id))]
        if not found:
            raise NotFound(f"there is no token {name}; `tradesaga token ls` lists them")
        return max(found, key=lambda token: (token.lives(now), token.created_at))

    def _live(self) -> list[ApiToken]:
        now = self._clock.now()
        return [token for token in self._by_digest.values() if token.lives(now)]

    def _must_be_loaded(self) -> None:
        if not self.loaded:
            raise Unavailable("the tokens have not been read yet; ask again")


def _told(token: ApiToken) -> dict[str, object]:
    """What the audit log says of it: never the secret, nor its digest."""
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "expiresAt": token.expires_at,
        "revokedAt": token.revoked_at,
        "version": token.version,
    }
