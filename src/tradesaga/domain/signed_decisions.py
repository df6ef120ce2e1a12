"""What a decision maker signs, and why a decision is refused for its signature.

The signature covers everything that an intruder could use again or turn around: type, event id
and source of the message, its times, a nonce, and the payload byte for byte. So a signed decision
cannot be changed, nor be told under another id; a nonce that was seen has its place in the inbox
for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

FORM = "tradesaga-decision-1"
NONCE_LENGTH_MAX = 128


class SigningMode(StrEnum):
    """OPTIONAL checks what is signed and takes what is not."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Refusal(StrEnum):
    """Why a decision is not taken."""

    UNSIGNED = "unsigned"
    UNKNOWN_SIGNER = "unknown_signer"
    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TOO_LONG_VALID = "too_long_valid"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long a signature may hold at most, and how far the signer's clock may be off."""

    time_max: timedelta
    clock_error: timedelta

    def refusal(self, issued_at: datetime, expires_at: datetime, now: datetime) -> Refusal | None:
        """Why it does not hold at this moment; None when it does."""
        if now >= expires_at + self.clock_error:
            return Refusal.EXPIRED
        if now < issued_at - self.clock_error:
            return Refusal.NOT_YET_VALID
        if not issued_at < expires_at <= issued_at + self.time_max:
            return Refusal.TOO_LONG_VALID
        return None


def statement(
    *,
    event_type: str,
    event_id: str,
    source: str,
    issued_at: str,
    expires_at: str,
    nonce: str,
    payload: bytes,
) -> bytes:
    """The bytes that are signed; the two moments as they stand in the message."""
    digest = sha256(payload).hexdigest()
    lines = (FORM, event_type, event_id, source, issued_at, expires_at, nonce, digest)
    return "\n".join(lines).encode()


def nonce_key(source: str, nonce: str) -> str:
    """The inbox key under which a nonce is kept."""
    return f"nonce:{source}:{nonce}"
