"""Tokens of another issuer: which are let in, and every way to get in with a wrong one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from tests.adapters.issuer import AUDIENCE, ISSUER, document, ec_key, ed_key, public, rsa_key, token
from tests.log_lines import lines_of
from tradesaga.adapters import oidc
from tradesaga.adapters.oidc import (
    CHECKS,
    KEYS_AGE_MAX,
    REMEMBERED_MAX,
    UNKNOWN_KEY_EVERY,
    KeySource,
    OidcCallers,
    read_keys,
)
from tradesaga.domain.access import AccessScope, Caller
from tradesaga.domain.errors import Invalid, Throttled, Unavailable
from tradesaga.domain.foreign_tokens import ForeignRules, SigningAlgorithm
from tradesaga.testing.clock import VirtualClock

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AT = NOW.timestamp()
REFRESH = timedelta(minutes=5)
RULES = ForeignRules(
    issuer=ISSUER,
    scopes_claim="scope",
    scopes={"trader": AccessScope.TRADE},
    clock_error=timedelta(seconds=30),
    life_max=timedelta(hours=1),
    sign_in_age_max=timedelta(minutes=5),
)
ONE = public(ec_key("one"), "one", alg="ES256", use="sig")

LEAKED: dict[str, Any] = {**ECAlgorithm.to_jwk(ec_key("one"), as_dict=True), "kid": "one"}


class Issuer:
    """Serves a document, and counts how often it is asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = keys or (ONE,)
        self.asked = 0
        self.away = False

    async def read(self) -> bytes:
        self.asked += 1
        if self.away:
            raise Unavailable("the issuer is away")
        return document(*self.keys)


def callers(
    *issuers: Issuer,
    clock: VirtualClock | None = None,
    algorithms: Iterable[str] = ("ES256", "RS256", "EdDSA"),
) -> OidcCallers:
    return OidcCallers(
        rules=RULES,
        audience=AUDIENCE,
        algorithms=[SigningAlgorithm(name) for name in algorithms],
        sources=[KeySource(name=f"{n}", read=one.read) for n, one in enumerate(issuers)],
        refresh=REFRESH,
        clock=clock or VirtualClock(NOW),
    )


async def judged(shown: str, *issuers: Issuer) -> Caller | None:
    found = callers(*(issuers or [Issuer()]))
    await found.look()
    return found.caller(shown, check=True)


async def test_a_token_of_the_issuer_is_a_caller() -> None:
    caller = await judged(token(AT))
    assert caller is not None
    assert caller.name == "ann"
    assert caller.scopes == {AccessScope.TRADE, AccessScope.READ}


@pytest.mark.parametrize(
    ("key", "alg"), [(rsa_key(), "RS256"), (ed_key(), "EdDSA"), (ec_key("two"), "ES256")]
)
async def test_each_kind_of_key_counts_for_its_algorithm_alone(key: Any, alg: str) -> None:
    issuer = Issuer(public(key, "one"))
    assert await judged(token(AT, key=key, alg=alg), issuer) is not None
    others = callers(issuer, algorithms={"ES384", "PS256", "ES256", "RS256", "EdDSA"} - {alg})
    await others.look()
    assert others.caller(token(AT, key=key, alg=alg), check=True) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil.example"}, {"iss": ISSUER + "/"}, {"iss": [ISSUER]}, {"iss": None},
        {"aud": "somebody"}, {"aud": ["a", "b"]}, {"aud": None}, {"aud": ""}, {"aud": []},
        {"exp": AT - 31}, {"nbf": AT + 31}, {"iat": AT + 31}, {"exp": AT + 7200},
        {"exp": "never"}, {"sub": ""}, {"sub": 7},
        {"leave_out": "iss"}, {"leave_out": "aud"}, {"leave_out": "sub"}, {"leave_out": "iat"},
        {"leave_out": "exp"},
        {"head": {"kid": "two"}}, {"head": {"kid": None}}, {"head": {"crit": ["x"], "x": 1}},
        {"head": {"typ": "logout+jwt"}}, {"key": ec_key("two")},
        {"key": ec_key("two"), "head": {"jwk": public(ec_key("two"), "one")}},
        {"key": ec_key("two"), "head": {"jku": "https://evil.example/keys", "x5u": "https://e"}},
    ],
)  # fmt: skip
async def test_what_is_wrong_about_a_token_refuses_it(wrong: dict[str, Any]) -> None:
    assert await judged(token(AT, **wrong)) is None


async def test_several_audiences_with_ours_among_them_are_right() -> None:
    assert await judged(token(AT, aud=["other", AUDIENCE])) is not None


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forged(alg: str, secret: bytes | None) -> str:
    """A token with a signature by a shared secret, or with none."""
    _, claims, _ = token(AT).split(".")
    said = f"{_part({'alg': alg, 'kid': 'one', 'typ': 'JWT'})}.{claims}"
    if secret is None:
        return f"{said}."
    made = hmac.new(secret, said.encode(), hashlib.sha256).digest()
    return f"{said}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS256", "ES256", ""])
async def test_no_signature_is_no_signature(alg: str) -> None:
    assert await judged(_forged(alg, None)) is None


@pytest.mark.parametrize("alg", ["HS256", "HS384", "RS256", "ES256"])
async def test_the_public_key_is_no_secret_to_sign_with(alg: str) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    for key in (rsa_key(), ec_key("one")):
        issuer, known = Issuer(public(key, "one")), key.public_key()
        for form in (Encoding.PEM, Encoding.DER):
            secret = known.public_bytes(form, PublicFormat.SubjectPublicKeyInfo)
            assert await judged(_forged(alg, secret), issuer) is None
        assert await judged(_forged(alg, document(public(key, "one"))), issuer) is None


async def test_whatever_is_changed_in_a_token_makes_it_a_forgery() -> None:
    found = callers(Issuer())
    await found.look()
    right = token(AT)
    for place in range(0, len(right), 7):
        other = "A" if right[place] != "A" else "B"
        changed = right[:place] + other + right[place + 1 :]
        if changed != right and place != len(right) - 1:
            assert found.caller(changed, check=True) is None, place


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
async def test_no_text_does_more_than_be_refused(text: str) -> None:
    found = callers(Issuer())
    await found.look()
    for shown in (text, f"{text}.{text}.{text}", ".".join([token(AT).split(".")[0], text, text])):
        assert found.caller(shown, check=True) is None


async def test_its_end_counts_at_every_request() -> None:
    clock = VirtualClock(NOW)
    found = callers(Issuer(), clock=clock)
    await found.look()
    shown = token(AT)
    assert found.caller(shown, check=True) is not None
    clock.advance(timedelta(seconds=629))
    assert found.caller(shown, check=False) is not None, "remembered"
    clock.advance(timedelta(seconds=1))
    assert found.caller(shown, check=True) is None


async def test_a_new_token_is_not_checked_when_there_shall_be_no_check() -> None:
    found = callers(Issuer())
    await found.look()
    assert found.caller(token(AT), check=False) is None
    assert found.caller(token(AT), check=True) is not None


async def test_a_key_that_is_changed_takes_its_tokens_along() -> None:
    issuer = Issuer()
    found = callers(issuer)
    await found.look()
    old, new = token(AT), token(AT, key=ec_key("two"), head={"kid": "two"})
    assert found.caller(old, check=True) is not None
    assert found.caller(new, check=True) is None
    issuer.keys = (ONE, public(ec_key("two"), "two"))
    await found.look()
    assert found.caller(old, check=True) is not None
    assert found.caller(new, check=True) is not None
    issuer.keys = (public(ec_key("two"), "two"),)
    await found.look()
    assert found.caller(old, check=True) is None
    issuer.keys = (public(ec_key("three"), "two"),)
    await found.look()
    assert found.caller(new, check=True) is None, "another key under the same id"


async def test_a_flood_of_unknown_keys_does_not_hammer_the_issuer() -> None:
    clock, issuer = VirtualClock(NOW, idle_turns=5), Issuer()
    found = callers(issuer, clock=clock)
    running = asyncio.ensure_future(found.run())
    for number in range(200):
        found.caller(token(AT, head={"kid": f"unknown {number}"}), check=True)
        await asyncio.sleep(0)
    passed = clock.now() - NOW
    assert issuer.asked <= 1 + passed / UNKNOWN_KEY_EVERY
    assert issuer.asked > passed / REFRESH, "it does look sooner"
    running.cancel()


async def test_without_unknown_keys_the_issuer_is_asked_at_its_interval() -> None:
    clock, issuer = VirtualClock(NOW, idle_turns=5), Issuer()
    running = asyncio.ensure_future(callers(issuer, clock=clock).run())
    await clock.sleep_until(NOW + 10 * REFRESH)
    running.cancel()
    assert 9 <= issuer.asked <= 12


async def test_while_the_issuer_is_away_its_last_keys_stand_for_a_while() -> None:
    clock, issuer, file = VirtualClock(NOW), Issuer(), Issuer(public(ec_key("file"), "file"))
    found = callers(issuer, file, clock=clock)
    await found.look()
    issuer.away = True

    async def knows() -> tuple[bool, bool]:
        await found.look()
        at = clock.now().timestamp()
        of_file = token(at, key=ec_key("file"), head={"kid": "file"})
        return (
            found.caller(token(at), check=True) is not None,
            found.caller(of_file, check=True) is not None,
        )

    clock.advance(KEYS_AGE_MAX)
    assert await knows() == (True, True)
    clock.advance(timedelta(seconds=1))
    assert await knows() == (False, True), "keys that could have been withdrawn long ago"
    issuer.away = False
    assert await knows() == (True, True)


async def test_signatures_are_checked_so_often_and_no_more() -> None:
    clock = VirtualClock(NOW)
    found = callers(Issuer(), clock=clock)
    await found.look()
    known = token(AT)
    assert found.caller(known, check=True) is not None
    forged = token(AT, key=ec_key("two"))
    for _ in range(CHECKS.burst - 1):
        assert found.caller(forged, check=True) is None
    with pytest.raises(Throttled):
        found.caller(forged, check=True)
    assert found.caller(known, check=True) is not None, "who is known needs no check"
    assert found.caller(token(AT, head={"kid": "unknown"}), check=True) is None
    clock.advance(timedelta(seconds=1))
    assert found.caller(token(AT, sub="bob"), check=True) is not None


async def test_a_bounded_number_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradesaga.adapters.oidc.REMEMBERED_MAX", 3)
    found = callers(Issuer())
    await found.look()
    shown = [token(AT, sub=f"n{number}") for number in range(4)]
    assert all(found.caller(one, check=True) for one in shown)
    assert [found.caller(one, check=False) is not None for one in shown] == [False, *[True] * 3]
    assert REMEMBERED_MAX > 3


async def test_nothing_of_a_token_gets_into_the_log() -> None:
    found = callers(Issuer())
    await found.look()
    with lines_of(oidc) as lines:
        for shown in (
            token(AT, sub="CANARY", exp=AT - 60), token(AT, aud="CANARY"), token(AT, iss="CANARY"),
            token(AT, head={"kid": "CANARY"}), token(AT, head={"typ": "CANARY"}),
            token(AT, key=ec_key("two"), sub="CANARY"), "CANARY.CANARY.CANARY",
        ):  # fmt: skip
            assert found.caller(shown, check=True) is None
            assert not any(shown in str(line) for line in lines)
    assert len(lines) >= 7
    assert "CANARY" not in str(lines)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"7", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000,
        b'{"keys": [' + b",".join([b"{}"] * 65) + b"]}", b'{"keys": []}' + b" " * 262_144,
    ],
)  # fmt: skip
def test_what_is_no_document_of_keys_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_keys(raw, ["ES256"])


@pytest.mark.parametrize(
    "key",
    [
        7, {}, {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {**ONE, "use": "enc"},
        {**ONE, "kid": 7}, {**ONE, "kid": ""}, {**ONE, "alg": "HS256"}, {**ONE, "alg": "ES384"},
        {**ONE, "crv": "P-384"}, {**ONE, "x": "!"}, {**ONE, "x": 7}, LEAKED,
        {**ONE, "key_ops": ["sign"]}, {**ONE, "key_ops": "verify"}, {**ONE, "kty": "RSA"},
        public(rsa_key(1024), "one"),
    ],
)  # fmt: skip
def test_what_is_no_use_is_left_out(key: Any) -> None:
    second = public(ec_key("two"), "two")
    found = read_keys(document(key, second), ["ES256", "RS256"])
    assert set(found) == {("two", "ES256")}


def test_of_two_keys_under_one_name_the_first_stands() -> None:
    both = document(ONE, public(ec_key("two"), "one"))
    assert read_keys(both, ["ES256"])["one", "ES256"][0] == json.dumps(ONE, sort_keys=True)
