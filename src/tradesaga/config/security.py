"""Whom we believe: the signers of decisions, and the issuer of tokens beside our own."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from typing_extensions import override

from tradesaga.config import values
from tradesaga.config.section import (
    CALL_DEADLINE,
    DAY,
    DELAY,
    HOUR,
    HTTP_URL_OR_NONE,
    MINUTE,
    SECOND,
    Section,
    http_url,
    key,
    section,
)
from tradesaga.config.values import Unfit, milliseconds
from tradesaga.domain.access import AccessScope
from tradesaga.domain.foreign_tokens import SigningAlgorithm
from tradesaga.domain.signed_decisions import SigningMode

_KEY = values.matching(
    r"[A-Za-z0-9._-]{1,64}=[A-Za-z0-9+/]{43}=",
    "a public key",
    'write "source=KEY", the Ed25519 key of 32 bytes in base64',
)
_AUDIENCE = values.matching(r"(?:\S{1,255})?", "an audience", "write text without spaces")
_FILE = values.matching(r"(?:/[^\x00-\x1f]{1,900})?", "a path", "write it from / on")
_CLAIM = values.matching(r"[^\s=]{1,200}", "a claim", "write its name, or its path with dots")
_SCOPE = values.matching(
    rf"\S{{1,200}}=(?:{'|'.join(AccessScope)})",
    "a value of the claim and a scope",
    f'write "VALUE=SCOPE"; the scopes are {", ".join(AccessScope)}',
)


def _keys_url(value: object) -> str:
    """Read where keys come from: whoever could change them on their way could sign tokens."""
    url = HTTP_URL_OR_NONE(value)
    if not url:
        return url
    host = urlsplit(http_url(url)).hostname or ""
    if url.startswith("http://") and not _is_this_machine(host):
        raise Unfit(f"{url} is open to whoever is on the way", "write https://")
    return url


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSigning(Section):
    """Whether decisions must be signed, and by whom."""

    mode: SigningMode = key(values.choice(SigningMode), "off")
    keys: tuple[str, ...] = key(values.distinct(_KEY), [])
    validity_max: timedelta = key(milliseconds(1000, HOUR), 300_000)
    clock_error: timedelta = key(DELAY, 5000)

    def by_source(self) -> Mapping[str, Sequence[str]]:
        """The keys of each decision maker."""
        found: dict[str, list[str]] = {}
        for text in self.keys:
            source, _, public = text.partition("=")
            found.setdefault(source, []).append(public)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Oidc(Section):
    """An issuer whose tokens open the API beside our own; without `issuer` there is none."""

    issuer: str = key(HTTP_URL_OR_NONE, "")
    audience: str = key(_AUDIENCE, "")
    algorithms: tuple[str, ...] = key(values.distinct(values.choice(SigningAlgorithm)), ["RS256"])
    jwks_file: str = key(_FILE, "")
    jwks_url: str = key(_keys_url, "")
    refresh_interval: timedelta = key(milliseconds(10 * SECOND, DAY), 300_000)
    timeout: timedelta = key(CALL_DEADLINE, 5000)
    scopes_claim: str = key(_CLAIM, "scope")
    scopes: tuple[str, ...] = key(values.distinct(_SCOPE), [])
    clock_error: timedelta = key(milliseconds(0, 5 * MINUTE), 30_000)
    life_max: timedelta = key(milliseconds(MINUTE, 7 * DAY), DAY)
    sign_in_age_max: timedelta = key(milliseconds(SECOND, DAY), 300_000)

    def by_value(self) -> Mapping[str, AccessScope]:
        """Our scope for each value of the claim."""
        found = {}
        for text in self.scopes:
            value, _, scope = text.rpartition("=")
            found[value] = AccessScope(scope)
        return found

    @override
    def conflicts(self) -> Iterator[Unfit]:
        if not self.issuer:
            for name, value in (("jwksFile", self.jwks_file), ("jwksUrl", self.jwks_url)):
                if value:
                    yield Unfit("it has no effect without an issuer", "write issuer", name)
            return
        if not self.audience:
            yield Unfit("tokens for anybody would be taken", "write for whom they are", "audience")
        if not (self.jwks_file or self.jwks_url):
            yield Unfit("no key could check a token", "write jwksUrl or jwksFile", "jwksUrl")
        if not self.algorithms:
            yield Unfit("no token would be taken", "write RS256, or others", "algorithms")
        if not self.scopes:
            yield Unfit("no token would open anything", 'write "VALUE=SCOPE"', "scopes")
        if len(self.by_value()) < len(self.scopes):
            yield Unfit("a value stands for two scopes", "write one of them", "scopes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security(Section):
    """What is asked of those who tell us something."""

    decision_signing: DecisionSigning = section(DecisionSigning)
    oidc: Oidc = section(Oidc)
