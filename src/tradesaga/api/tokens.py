"""The tokens of the API: list, make, revoke, rotate; for the scope `admin` alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, SkipValidation
from msgspec import Meta, Struct

from tradesaga.api.agent_control import Actor
from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.pages import ALL_AT_ONCE, Cursor, Limit, cut
from tradesaga.api.problems import failures
from tradesaga.api.requests import OptionalBody
from tradesaga.domain.access import LIFE_MAX, LIFE_USUAL, NAME, AccessScope, ApiToken
from tradesaga.ports.token_operations import Minted, TokenOperations

TokensPort = NamedDependency[SkipValidation[TokenOperations]]
TAGS: Final = ["access"]
DAYS_USUAL: Final = LIFE_USUAL.days

TokenName = Annotated[str, PathParameter(name="tokenName", description="the name or id of a token")]
ScopeName = Literal["read", "operate", "trade", "risk_admin", "admin"]
Days = Annotated[
    int,
    Meta(
        ge=1,
        le=LIFE_MAX.days,
        description="days until the token ends by itself, 1 to 366; 90 when left out",
    ),
]


class CreateTokenRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of createToken."""

    name: Annotated[
        str,
        Meta(
            pattern=f"^{NAME.pattern}$",
            description="the name in the audit log: 1 to 64 letters, digits, dots, dashes, "
            "underscores",
        ),
    ]
    scopes: Annotated[
        list[ScopeName],
        Meta(
            min_length=1,
            max_length=len(AccessScope),
            description="a list of read, operate, trade, risk_admin, admin",
        ),
    ]
    expires_in_days: Days = DAYS_USUAL


class RotateTokenRequest(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """Body of rotateToken; it may be left out."""

    expires_in_days: Days = DAYS_USUAL


class TokenAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A token without its secret; `lastUsedAt` is right to an hour."""

    id: str
    name: str
    scopes: list[str]
    created_at: Timestamp
    created_by: str
    expires_at: Timestamp
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None


class TokensAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of tokens, in order of creation."""

    tokens: list[TokenAnswer]
    next_cursor: str | None


class MintedAnswer(Struct, frozen=True, kw_only=True):
    """A token with its secret, which is told this once."""

    token: TokenAnswer
    secret: str


AS_USUAL: Final = RotateTokenRequest()


@get(
    "/tokens",
    operation_id="listTokens",
    summary="List the tokens of the API",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_tokens(
    access: TokensPort, limit: Limit = ALL_AT_ONCE, cursor: Cursor = None
) -> TokensAnswer:
    """Tokens in order of creation, the ended ones too; never a secret."""
    page, following = cut("tokens", await access.tokens(), limit, cursor, _key)
    return TokensAnswer(tokens=[token_answer(token) for token in page], next_cursor=following)


@post(
    "/tokens",
    operation_id="createToken",
    summary="Create a token",
    responses=failures(400, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def create_token(
    access: TokensPort, actor: Actor, data: JSONBody[CreateTokenRequest]
) -> MintedAnswer:
    """Make a token; the answer is the one place where its secret is shown."""
    scopes = [AccessScope(scope) for scope in data.scopes]
    life = timedelta(days=data.expires_in_days)
    return _minted(await access.create(data.name, scopes, life=life, actor=actor))


@post(
    "/tokens/{tokenName:str}/revoke",
    operation_id="revokeToken",
    summary="Revoke a token",
    responses=failures(400, 404, 503),
    status_code=200,
    tags=TAGS,
)
async def revoke_token(access: TokensPort, actor: Actor, token_name: TokenName) -> TokenAnswer:
    """End a token by name or id, within a second everywhere; one that has ended is answered."""
    return token_answer(await access.revoke(token_name, actor=actor))


@post(
    "/tokens/{tokenName:str}/rotate",
    operation_id="rotateToken",
    summary="Give a token another secret",
    operation_class=OptionalBody,
    responses=failures(400, 404, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def rotate_token(
    access: TokensPort,
    actor: Actor,
    token_name: TokenName,
    data: JSONBody[RotateTokenRequest] = AS_USUAL,
) -> MintedAnswer:
    """Another secret and a new life for a token by name or id; the old secret ends at once."""
    life = timedelta(days=data.expires_in_days)
    return _minted(await access.rotate(token_name, life=life, actor=actor))


def token_answer(token: ApiToken) -> TokenAnswer:
    """The token in the API's words."""
    return TokenAnswer(
        id=str(token.id),
        name=token.name,
        scopes=list(token.scopes),
        created_at=stamp(token.created_at),
        created_by=token.created_by,
        expires_at=stamp(token.expires_at),
        revoked_at=stamp_or_none(token.revoked_at),
        last_used_at=stamp_or_none(token.last_used_at),
    )


def _key(token: ApiToken) -> tuple[str, str]:
    return stamp(token.created_at), str(token.id)


def _minted(minted: Minted) -> MintedAnswer:
    return MintedAnswer(token=token_answer(minted.token), secret=minted.secret)
