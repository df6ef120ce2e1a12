"""Checks the Ed25519 signatures of decisions against the keys of the configuration.

A signature stands in the envelope's metadata. The key is found by the message's source, which is
itself signed; a source may have several keys while one takes the place of another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tradesaga.adapters.nats.envelope import Envelope, Signature
from tradesaga.domain.errors import Invalid
from tradesaga.domain.signed_decisions import (
    NONCE_LENGTH_MAX,
    Refusal,
    SigningMode,
    Validity,
    statement,
)


class SignatureCheck:
    """Judges messages; `keys` are public keys by source, each 32 bytes in base64.

    Raises Invalid for a key that is none.
    """

    def __init__(
        self, *, mode: SigningMode, keys: Mapping[str, Sequence[str]], validity: Validity
    ) -> None:
        self._mode = mode
        self._validity = validity
        self._keys = {
            source: [_key(source, text) for text in many] for source, many in keys.items()
        }

    def refusal(self, envelope: Envelope, now: datetime) -> Refusal | None:
        """Why the message is not taken; None when it is."""
        signature = envelope.signature
        if signature is None:
            return Refusal.UNSIGNED if self._mode is SigningMode.REQUIRED else None
        keys = self._keys.get(envelope.source)
        if keys is None:
            return Refusal.UNKNOWN_SIGNER
        if not 0 < len(signature.nonce) <= NONCE_LENGTH_MAX or "\n" in _signed_names(envelope):
            return Refusal.MALFORMED
        if not _is_signed(envelope, signature, keys):
            return Refusal.FORGED
        try:
            issued = datetime.fromisoformat(signature.issued_at)
            expires = datetime.fromisoformat(signature.expires_at)
        except ValueError:
            return Refusal.MALFORMED
        if issued.tzinfo is None or expires.tzinfo is None:
            return Refusal.MALFORMED
        return self._validity.refusal(issued, expires, now)


def _signed_names(envelope: Envelope) -> str:
    assert envelope.signature is not None, "asked about a signature alone"
    one = envelope.signature
    names = (envelope.event_type, envelope.event_id, envelope.source, one.nonce)
    return "".join((*names, one.issued_at, one.expires_at))


def _is_signed(envelope: Envelope, signature: Signature, keys: Sequence[Ed25519PublicKey]) -> bool:
    said = statement(
        event_type=envelope.event_type,
        event_id=envelope.event_id,
        source=envelope.source,
        issued_at=signature.issued_at,
        expires_at=signature.expires_at,
        nonce=signature.nonce,
        payload=envelope.payload,
    )
    try:
        value = base64.b64decode(signature.value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(_verifies(key, value, said) for key in keys)


def _verifies(key: Ed25519PublicKey, value: bytes, said: bytes) -> bool:
    try:
        key.verify(value, said)
    except InvalidSignature:
        return False
    return True


def _key(source: str, text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            [f"security.decisionSigning.keys: {source} has no Ed25519 key (32 bytes, base64)"]
        ) from error
