"""Who is at the door: a bearer token is a caller or nobody, and nobody may ask too often.

Everything is judged from memory and in constant time, so that a flood of strangers costs the
orders nothing: no database, no body, no JSON is touched before a caller is known. Wrong tokens are
counted by the address that sends them and by the token itself, so that neither many addresses
with one leaked token nor one address with many guesses goes on for long. A right token is let in
whatever its address has done: whoever shares an address cannot lock its owner out. Only a signature
that was not checked before is not checked for an address with many wrong ones: that takes time.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import ceil
from typing import Final

from structlog import get_logger

from tradesaga.api.problem_kinds import TOO_MANY, UNAUTHENTICATED
from tradesaga.api.problems import Refusal
from tradesaga.api.rates import Rate
from tradesaga.domain.access import Caller
from tradesaga.domain.errors import Throttled
from tradesaga.ports.token_operations import Callers

log = get_logger()
TOKEN_CHARACTERS_MAX: Final = 8192
"""Ours have 47; those of another issuer carry what they say."""
PER_TOKEN: Final = (500.0, 1000.0)
"""Requests of one token: a second, and at once."""
PER_ADDRESS_OPEN: Final = (50.0, 200.0)
"""Requests of one address for the open paths, some of which ask the database."""
OPEN_IN_ALL: Final = (200.0, 400.0)
WRONG: Final = (0.2, 20.0)
"""Wrong tokens of one address, or one wrong token from anywhere: twelve a minute."""
ALL: Final = "all"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="tradesaga"'}
_ASKED: Final = {
    "WWW-Authenticate": 'Basic realm="tradesaga: any name, a token as password", charset="UTF-8"'
}


class Doorman:
    """Judges the header `Authorization`; `monotonic` counts seconds."""

    def __init__(self, callers: Callers, *, monotonic: Callable[[], float]) -> None:
        self._callers = callers
        self._monotonic = monotonic
        self._by_token = Rate(per_second=PER_TOKEN[0], burst=PER_TOKEN[1])
        self._open = Rate(per_second=PER_ADDRESS_OPEN[0], burst=PER_ADDRESS_OPEN[1])
        self._open_in_all = Rate(per_second=OPEN_IN_ALL[0], burst=OPEN_IN_ALL[1])
        self._wrong = Rate(per_second=WRONG[0], burst=WRONG[1])

    def let_pass(self, address: str) -> None:
        """Let a request for an open path in. Raises Refusal when there are too many."""
        now = self._monotonic()
        wait = self._open.take(address, now) or self._open_in_all.take(ALL, now)
        if wait:
            raise _too_many(wait)

    def let_in(
        self, authorization: str | None, address: str, *, in_browser: bool = False
    ) -> Caller:
        """The caller; `in_browser` he may show his token as a password, too.

        Raises:
            Refusal: nobody we know, or one who asks too often.
        """
        now = self._monotonic()
        secret = bearer_of(authorization)
        if in_browser and secret is None:
            secret = password_of(authorization)
        caller = None if secret is None else self._caller(secret, address, now)
        if caller is None:
            raise self._stranger(secret, address, now, _ASKED if in_browser else _CHALLENGE)
        wait = self._by_token.take(caller.token_id, now)
        if wait:
            raise _too_many(wait)
        return caller

    def _caller(self, secret: str, address: str, now: float) -> Caller | None:
        check = not self._wrong.is_spent(_of_address(address), now)
        try:
            return self._callers.caller(secret, check=check)
        except Throttled as error:
            raise _too_many(1) from error

    def _stranger(
        self, secret: str | None, address: str, now: float, challenge: Mapping[str, str]
    ) -> Refusal:
        wait = self._wrong.take(_of_address(address), now)
        if secret is not None:
            mark = sha256(secret.encode("utf-8", "replace")).hexdigest()[:16]
            wait = max(wait, self._wrong.take(f"token {mark}", now))
            if not wait:
                log.warning("wrong token", address=address, mark=mark)
        if wait:
            return _too_many(wait)
        detail = "there is no bearer token" if secret is None else "the bearer token opens nothing"
        return Refusal(UNAUTHENTICATED, detail, headers=challenge)


def _of_address(address: str) -> str:
    return f"address {address}"


def bearer_of(authorization: str | None) -> str | None:
    """The token shown; None without one, or with one that is none of ours by its length."""
    kind, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if kind.lower() == "bearer" and 0 < len(token) <= TOKEN_CHARACTERS_MAX else None


def password_of(authorization: str | None) -> str | None:
    """The token as a browser sends it: the password of a login, whatever its name."""
    kind, _, login = (authorization or "").partition(" ")
    if kind.lower() != "basic" or len(login) > 2 * TOKEN_CHARACTERS_MAX:
        return None
    try:
        password = b64decode(login.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # no base 64, or no text
        return None
    return password if 0 < len(password) <= TOKEN_CHARACTERS_MAX else None


def _too_many(wait: float) -> Refusal:
    return Refusal(
        TOO_MANY, "this is more than is answered", headers={"Retry-After": str(ceil(wait))}
    )
