"""Callers who show a token of the configured issuer: a JWT with a signature of a known key.

    header: algorithm and key id of ours? -> signature, issuer, audience -> claims -> remembered

Judged from memory: no request waits for the issuer. Its keys are looked at again and again; a key
id that is not known has them looked at sooner, yet never more often than `UNKNOWN_KEY_EVERY`,
whoever asks. What a token's header says of where its key is to be had is not even read. While the
issuer is away its last keys stand, for `KEYS_AGE_MAX` at most. A signature is checked once; after
that the token is known by its hash, for as long as it lives and its key is there.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
from structlog import get_logger

from tradesaga.domain.access import Caller, digest_of
from tradesaga.domain.errors import Invalid, Rejected, Throttled, TradesagaError
from tradesaga.domain.foreign_tokens import (
    ForeignRules,
    ForeignToken,
    SigningAlgorithm,
    caller_at,
    read_claims,
)
from tradesaga.domain.token_bucket import Rate, TokenBucket
from tradesaga.ports.clock import Clock

log = get_logger()
KEY_BYTES_MAX: Final = 256 * 1024
KEYS_MAX: Final = 64
KEY_ID_LENGTH_MAX: Final = 256
RSA_BITS_MIN: Final = 2048
REMEMBERED_MAX: Final = 2048
UNKNOWN_KEY_EVERY: Final = timedelta(seconds=10)
KEYS_AGE_MAX: Final = timedelta(days=1)
CHECKS: Final = Rate(per_minute=6000, burst=200, reserve=0)
"""Signatures of tokens that are not remembered: one takes a tenth of a millisecond of our loop."""
TOLD: Final = Rate(per_minute=60, burst=10, reserve=0)
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}

Keys = Mapping[tuple[str, str], tuple[str, Any]]
"""Public keys by key id and algorithm, each with its text in the document."""
Read = Callable[[], Awaitable[bytes]]
"""Reads a JWKS document. Raises TradesagaError."""


@dataclass(slots=True, kw_only=True)
class KeySource:
    """Where keys come from, and those that came last."""

    name: str
    read: Read
    keys: Keys = field(default_factory=dict)
    at: datetime | None = None


class OidcCallers:
    """Implements `ports.token_operations.ForeignCallers`."""

    def __init__(
        self,
        *,
        rules: ForeignRules,
        audience: str,
        algorithms: Collection[SigningAlgorithm],
        sources: Sequence[KeySource],
        refresh: timedelta,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._audience = audience
        self._algorithms = frozenset(map(str, algorithms))
        self._sources = sources
        self._refresh = refresh
        self._clock = clock
        self._keys: Keys = {}
        self._remembered: OrderedDict[str, ForeignToken] = OrderedDict()
        self._checks = TokenBucket(CHECKS, clock.monotonic())
        self._told = TokenBucket(TOLD, clock.monotonic())
        self._missing = False

    def caller(self, token: str, *, check: bool) -> Caller | None:
        """See `ports.token_operations`."""
        digest = digest_of(token)
        known = self._remembered.get(digest)
        try:
            if known is None:
                if not check or token.count(".") != 2:
                    return None
                known = self._checked(token)
            caller = caller_at(known, self._clock.now(), self._rules)
        except Rejected as error:
            self._remembered.pop(digest, None)
            self._tell(str(error))
            return None
        self._remember(digest, known)
        return caller

    async def look(self) -> None:
        """Look at all keys once; those of a source that cannot be read stay for a while."""
        self._missing = False
        for source in self._sources:
            try:
                source.keys = read_keys(await source.read(), self._algorithms)
                source.at = self._clock.now()
            except TradesagaError as error:
                log.warning(
                    "keys of the OIDC issuer are not read", source=source.name, why=str(error)
                )
                if source.at is not None and self._clock.now() - source.at > KEYS_AGE_MAX:
                    source.keys = {}
        keys = {name: key for one in reversed(self._sources) for name, key in one.keys.items()}
        if _texts(keys) != _texts(self._keys):
            self._remembered.clear()  # a key that has gone takes its tokens along
            log.info("keys of the OIDC issuer", key_ids=sorted({key_id for key_id, _ in keys}))
        self._keys = keys

    async def run(self) -> None:
        """Look for ever: every `refresh`, and soon after a key id that is not known."""
        while True:
            await self.look()
            now = self._clock.now()
            again = now + self._refresh
            while now < again:
                now = min(again, now + UNKNOWN_KEY_EVERY)
                await self._clock.sleep_until(now)
                if self._missing:
                    break

    def _checked(self, token: str) -> ForeignToken:
        """The token, with a good signature. Raises Rejected, and Throttled when there are many."""
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = self._key_of(header)
            if wait := self._checks.take(self._clock.monotonic(), urgent=False):
                raise Throttled(f"too many tokens are to be checked; again in {wait:.1f} s")
            claims = jwt.decode(
                token,
                key=key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._rules.issuer,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    # By our own clock, and at every request: see `domain.foreign_tokens`.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            # The library's words may quote the token: its kind of error says enough.
            raise Rejected(type(error).__name__) from None
        return read_claims(claims, self._rules)

    def _key_of(self, header: Mapping[str, Any]) -> tuple[Any, str]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms:
            raise Rejected("its algorithm is not one of security.oidc.algorithms")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= KEY_ID_LENGTH_MAX:
            raise Rejected("it names no key")
        if "crit" in header or str(header.get("typ", "JWT")).lower() not in _TYPES:
            raise Rejected("its header asks for what is not known here")
        known = self._keys.get((key_id, algorithm))
        if known is None:
            self._missing = True
            raise Rejected("its key is not known; the issuer's keys will be looked at")
        return known[1], algorithm

    def _remember(self, digest: str, token: ForeignToken) -> None:
        self._remembered[digest] = token
        self._remembered.move_to_end(digest)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def _tell(self, why: str) -> None:
        if not self._told.take(self._clock.monotonic(), urgent=False):
            log.warning("a token of another issuer is refused", why=why)


def read_keys(document: bytes, algorithms: Collection[str]) -> Keys:
    """The public keys of a JWKS document; what is no use for `algorithms` is left out.

    Raises:
        Invalid: it is no such document, or too large.
    """
    if len(document) > KEY_BYTES_MAX:
        raise Invalid([f"a JWKS document of more than {KEY_BYTES_MAX} bytes"])
    try:
        listed = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Invalid(["this is no JWKS document"]) from error
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise Invalid([f"a JWKS document has a list of at most {KEYS_MAX} keys"])
    found: dict[tuple[str, str], tuple[str, Any]] = {}
    for one in listed:
        for algorithm in algorithms:
            if isinstance(one, dict) and _is_for(one, algorithm):
                key = _public_key(one, algorithm)
                if key is not None:
                    # Two keys under one name: the first stands, as with several sources.
                    text = json.dumps(one, sort_keys=True)
                    found.setdefault((one["kid"], algorithm), (text, key))
    return found


def _texts(keys: Keys) -> Mapping[tuple[str, str], str]:
    return {name: text for name, (text, _) in keys.items()}


def _is_for(one: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key checks signatures of that algorithm; one with its private part is leaked."""
    key_id = one.get("kid")
    return (
        isinstance(key_id, str)
        and 0 < len(key_id) <= KEY_ID_LENGTH_MAX
        and one.get("use", "sig") == "sig"
        and one.get("alg", algorithm) == algorithm
        and one.get("kty") == _KINDS[algorithm[:2]]
        and one.get("crv") == _CURVES.get(algorithm, one.get("crv"))
        and _checks_signatures(one.get("key_ops"))
        and "d" not in one
    )


def _checks_signatures(uses: object) -> bool:
    return uses is None or (isinstance(uses, list) and "verify" in uses)


def _public_key(one: Mapping[str, Any], algorithm: str) -> Any | None:
    """The key; None, and a line in the log, when it is none or too weak."""
    try:
        key = jwt.get_algorithm_by_name(algorithm).from_jwk(json.dumps(one))
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("a key of the OIDC issuer is no key", key_id=one["kid"], why=str(error))
        return None
    if getattr(key, "key_size", RSA_BITS_MIN) < RSA_BITS_MIN and one["kty"] == "RSA":
        log.warning("a key of the OIDC issuer is too short", key_id=one["kid"])
        return None
    return key
