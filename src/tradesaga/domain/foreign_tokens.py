"""Tokens that another issuer has signed: what their claims must say, and what they open here.

    claims -> subject, scopes by an explicit map, times -> a caller, at each moment anew

Nothing is believed that is not there: without subject, issue or end there is no caller, and a value
that the map does not name carries no scope, not even `read`. Such a token cannot be revoked here,
so that its life is bounded by ours besides its issuer's. The caller's identity is the subject at
the issuer, not the token: a client that gets itself a new one every few minutes stays who it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from tradesaga.domain.access import AccessScope, Caller, with_reading
from tradesaga.domain.errors import Rejected

FORM: Final = re.compile(r"[A-Za-z0-9_-]{1,4000}(?:\.[A-Za-z0-9_-]{1,4000}){2}")
"""What such a token looks like, whatever it says."""
SUBJECT_LENGTH_MAX: Final = 255
VALUES_MAX: Final = 1000
_SECONDS_MAX: Final = 253_402_300_799  # the end of the year 9999
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9@|:._+=~-]")


class SigningAlgorithm(StrEnum):
    """Signatures with a public key alone: who can check one cannot make one."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRules:
    """What tokens of `issuer` must fit; `scopes` are ours by a value of the claim `scopes_claim`.

    `sign_in_age_max`: for the most dangerous commands the person has signed in no longer ago.
    """

    issuer: str
    scopes_claim: str
    scopes: Mapping[str, AccessScope]
    clock_error: timedelta
    life_max: timedelta
    sign_in_age_max: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignToken:
    """What is kept of a token whose signature was good."""

    subject: str
    identity: str
    scopes: frozenset[AccessScope]
    begins_at: datetime
    expires_at: datetime
    signed_in_at: datetime


def read_claims(claims: Mapping[str, object], rules: ForeignRules) -> ForeignToken:
    """The token that says `claims`, of which issuer and audience are known to be right.

    Raises:
        Rejected: a claim is missing or cannot be meant; the reason quotes nothing of the token.
    """
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if expires - issued > rules.life_max:
        raise Rejected(f"it lives for longer than {rules.life_max}")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    subject = _subject(claims)
    return ForeignToken(
        subject=subject,
        identity=sha256(f"{rules.issuer}\0{subject}".encode()).hexdigest()[:16],
        scopes=_scopes(claims, rules),
        begins_at=max(issued, begins),
        expires_at=expires,
        # A token that was renewed without the person tells so by auth_time alone.
        signed_in_at=_time(claims, "auth_time") if "auth_time" in claims else issued,
    )


def caller_at(token: ForeignToken, now: datetime, rules: ForeignRules) -> Caller:
    """Who shows `token` at `now`. Raises Rejected before it begins and after its end."""
    if now >= token.expires_at + rules.clock_error:
        raise Rejected("it has expired")
    if now < token.begins_at - rules.clock_error:
        raise Rejected("it is not valid yet")
    age = now - token.signed_in_at
    return Caller(
        name=token.subject,
        token_id=f"oidc-{token.identity}",
        scopes=token.scopes,
        signed_in_lately=-rules.clock_error <= age <= rules.sign_in_age_max,
    )


def _subject(claims: Mapping[str, object]) -> str:
    """Who it is, as the audit log can name him without doubt where the name ends."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
        raise Rejected(f"sub is not a name of 1 to {SUBJECT_LENGTH_MAX} characters")
    try:
        return _NOT_PLAIN.sub(_escaped, subject)
    except UnicodeEncodeError as error:
        raise Rejected("sub is no text") from error


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def _scopes(claims: Mapping[str, object], rules: ForeignRules) -> frozenset[AccessScope]:
    said = _values(_claim(claims, rules.scopes_claim))
    mapped = {rules.scopes[value] for value in said if value in rules.scopes}
    return with_reading(mapped) if mapped else frozenset()


def _claim(claims: Mapping[str, object], name: str) -> object:
    """The claim of that very name, else by its path, as in `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _values(said: object) -> frozenset[str]:
    """Words of a text, or texts of a list; anything else says nothing."""
    if isinstance(said, str):
        return frozenset(said.split()[:VALUES_MAX])
    if isinstance(said, list):
        return frozenset(one for one in said[:VALUES_MAX] if isinstance(one, str))
    return frozenset()


def _time(claims: Mapping[str, object], name: str) -> datetime:
    seconds = claims.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Rejected(f"{name} is no time")
    if not 0 <= seconds <= _SECONDS_MAX:  # nor is NaN
        raise Rejected(f"{name} is no time")
    return datetime.fromtimestamp(seconds, UTC)
