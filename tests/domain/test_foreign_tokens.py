"""What a token of another issuer must say, and what it opens at a given moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.access import AccessScope
from tradesaga.domain.errors import Rejected
from tradesaga.domain.foreign_tokens import ForeignRules, caller_at, read_claims

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
RULES = ForeignRules(
    issuer="https://idp.example",
    scopes_claim="scope",
    scopes={
        "viewer": AccessScope.READ,
        "trader": AccessScope.TRADE,
        "ops": AccessScope.OPERATE,
        "risk": AccessScope.RISK_ADMIN,
        "root": AccessScope.ADMIN,
    },
    clock_error=timedelta(seconds=30),
    life_max=timedelta(hours=1),
    sign_in_age_max=timedelta(minutes=5),
)
CLAIMS: dict[str, Any] = {
    "sub": "ann", "iat": SECONDS, "exp": SECONDS + 600, "scope": "openid trader"
}  # fmt: skip


def test_it_opens_what_the_map_says_from_its_begin_to_its_end() -> None:
    token = read_claims(CLAIMS | {"nbf": SECONDS + 60}, RULES)
    caller = caller_at(token, NOW + timedelta(seconds=60), RULES)
    assert caller.name == "ann"
    assert caller.scopes == {AccessScope.TRADE, AccessScope.READ}
    assert caller.token_id.startswith("oidc-")
    for early in (timedelta(seconds=29), timedelta()):
        with pytest.raises(Rejected, match="not valid yet"):
            caller_at(token, NOW + early, RULES)
    caller_at(token, NOW + timedelta(seconds=30), RULES)
    caller_at(token, NOW + timedelta(seconds=629), RULES)
    with pytest.raises(Rejected, match="expired"):
        caller_at(token, NOW + timedelta(seconds=630), RULES)


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ("viewer", {"read"}),
        ("trader", {"read", "trade"}),
        ("ops", {"read", "operate"}),
        ("risk", {"read", "risk_admin"}),
        ("root", {"read", "admin"}),
        (["trader", "ops", 7, None], {"read", "trade", "operate"}),
        ("", set()),
        ("TRADER admin read trade", set()),
        (["trader ops"], set()),
        ({"trader": True}, set()),
        (True, set()),
        (None, set()),
    ],
)
def test_a_value_that_is_not_in_the_map_opens_nothing_not_even_reading(
    said: object, scopes: set[str]
) -> None:
    token = read_claims(CLAIMS | {"scope": said}, RULES)
    assert caller_at(token, NOW, RULES).scopes == scopes


def test_a_claim_is_found_by_its_name_or_by_its_path() -> None:
    from dataclasses import replace

    nested = replace(RULES, scopes_claim="realm_access.roles")
    claims = {name: value for name, value in CLAIMS.items() if name != "scope"}
    for said in ({"realm_access": {"roles": ["ops"]}}, {"realm_access.roles": "ops"}):
        assert AccessScope.OPERATE in read_claims(claims | said, nested).scopes
    for wrong in ({}, {"realm_access": "ops"}, {"realm_access": {"role": "ops"}}):
        assert read_claims(claims | wrong, nested).scopes == frozenset()


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 256}, {"sub": "\ud800"},
        {"iat": None}, {"iat": "1"}, {"iat": True}, {"iat": float("nan")}, {"iat": -1},
        {"exp": None}, {"exp": 1e300}, {"exp": float("inf")}, {"exp": 10**400},
        {"nbf": None}, {"nbf": "soon"}, {"auth_time": "now"}, {"auth_time": None},
        {"exp": SECONDS + 3601}, {"iat": 0},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Rejected) as refused:
        read_claims(CLAIMS | wrong, RULES)
    assert "x" * 20 not in str(refused.value), "it quotes nothing"


@pytest.mark.parametrize("name", ["sub", "iat", "exp"])
def test_what_is_missing_is_refused(name: str) -> None:
    with pytest.raises(Rejected):
        read_claims({key: value for key, value in CLAIMS.items() if key != name}, RULES)


@pytest.mark.parametrize(
    ("more", "age", "lately"),
    [
        ({}, 0, True),
        ({}, 300, True),
        ({}, 301, False),
        ({"auth_time": SECONDS - 299}, 1, True),
        ({"auth_time": SECONDS - 299}, 2, False),
        ({"auth_time": SECONDS + 31}, 0, False),
    ],
)
def test_the_sign_in_is_that_of_the_person_not_of_the_token(
    more: dict[str, int], age: int, lately: bool
) -> None:
    token = read_claims(CLAIMS | more, RULES)
    caller = caller_at(token, NOW + timedelta(seconds=age), RULES)
    assert caller.signed_in_lately is lately


def test_who_it_is_stays_the_same_over_tokens_and_differs_between_people() -> None:
    def identity(**said: object) -> str:
        return caller_at(read_claims(CLAIMS | said, RULES), NOW, RULES).token_id

    assert identity() == identity(exp=SECONDS + 60, jti="other")
    assert identity() != identity(sub="bob")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=255))
def test_a_subject_is_one_word_of_the_audit_log_and_no_two_are_the_same(subject: str) -> None:
    name = read_claims(CLAIMS | {"sub": subject}, RULES).subject
    assert name.isascii()
    assert not set(name) & set(' #\n"')
    other = (
        read_claims(CLAIMS | {"sub": subject + "!"}, RULES).subject if len(subject) < 255 else ""
    )
    assert name != other
