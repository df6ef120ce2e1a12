"""An issuer of tokens: its keys, its JWKS document, and tokens as right or wrong as wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://idp.example"
AUDIENCE = "tradesaga"


@cache
def ec_key(name: str) -> EllipticCurvePrivateKey:
    """One for each name."""
    assert name
    return generate_private_key(SECP256R1())


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_rsa(65537, bits)


@cache
def ed_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def public(key: Any, key_id: str, **more: object) -> dict[str, Any]:
    """The key as it stands in a JWKS document."""
    kind: Any = {
        EllipticCurvePrivateKey: ECAlgorithm, RSAPrivateKey: RSAAlgorithm,
        Ed25519PrivateKey: OKPAlgorithm,
    }  # fmt: skip
    [algorithm] = [kind[one] for one in kind if isinstance(key, one)]
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, **more}


def document(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def token(
    now: float,
    *,
    key: Any = None,
    alg: str = "ES256",
    head: Mapping[str, object] | None = None,
    leave_out: str = "",
    **claims: object,
) -> str:
    """A right token of ann's at `now`, but for what is said."""
    said = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": int(now), "exp": int(now) + 600,
        "scope": "trader",
    } | claims  # fmt: skip
    said.pop(leave_out, None)
    headers = {"kid": "one", **(head or {})}
    return jwt.PyJWS().encode(
        json.dumps(said).encode(),
        ec_key("one") if key is None else key,
        algorithm=alg,
        headers={name: value for name, value in headers.items() if value is not None},
    )
