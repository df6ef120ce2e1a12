"""A signature holds for one message of one signer, for its time; the slightest change breaks it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradesaga.adapters.nats.payloads import decode_event
from tradesaga.adapters.nats.signatures import SignatureCheck
from tradesaga.domain.errors import Invalid
from tradesaga.domain.events import DecisionGenerated
from tradesaga.domain.signed_decisions import Refusal, SigningMode, Validity
from tradesaga.paper.signing import KEY_FILE, Signer, kept_signer
from tradesaga.paper.spec.events import event

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(KEY)
PAYLOAD = {"decisionId": "d-1", "symbol": "ACME", "action": "buy", "suggestedQuantity": 2}
Message = dict[str, Any]


def check(mode: SigningMode = SigningMode.REQUIRED, **keys: str) -> SignatureCheck:
    return SignatureCheck(
        mode=mode,
        keys={source: [key] for source, key in (keys or {"ai": SIGNER.public_key}).items()},
        validity=Validity(time_max=timedelta(minutes=5), clock_error=timedelta(seconds=5)),
    )


def message(signer: Signer | None = SIGNER, source: str = "ai") -> bytes:
    told = event("ai.decision.generated", source, NOW, PAYLOAD, about=("d-1",))
    return told.body if signer is None else signer.signed(told, NOW).body


def refusal(body: bytes, judge: SignatureCheck | None = None, at: datetime = NOW) -> Refusal | None:
    content = decode_event(body, at, judge or check()).content
    assert isinstance(content, DecisionGenerated)
    return content.refused


def changed(change: Callable[[Message], Any]) -> bytes:
    told: Message = msgspec.json.decode(message())
    change(told)
    return msgspec.json.encode(told)


def test_a_signed_decision_is_taken_and_brings_its_nonce() -> None:
    assert refusal(message()) is None
    content = decode_event(message(), NOW, check()).content
    assert isinstance(content, DecisionGenerated)
    assert content.nonce_key is not None
    assert content.nonce_key.startswith("nonce:ai:")
    assert message() == message(), "the same decision is the same message"


def test_the_signed_bytes_are_those_of_the_page() -> None:
    """Made here from the words of docs/howto/sign-decisions.md, by no code of ours."""
    payload = b'{"decisionId":"d-1","symbol":"ACME","action":"hold"}'
    digest = sha256(payload).hexdigest()
    said = (
        "tradesaga-decision-1\nai.decision.generated\ne-1\nai\n"
        f"2026-03-02T15:00:00+00:00\n2026-03-02T15:01:00Z\nn-1\n{digest}"
    )
    value = base64.b64encode(KEY.sign(said.encode())).decode()
    body = (
        b'{"metadata":{"eventId":"e-1","eventType":"ai.decision.generated","source":"ai",'
        b'"timestamp":"2026-03-02T15:00:00Z","signature":{"issuedAt":"2026-03-02T15:00:00+00:00",'
        b'"expiresAt":"2026-03-02T15:01:00Z","nonce":"n-1","value":"' + value.encode() + b'"}},'
        b'"payload":' + payload + b"}"
    )
    assert refusal(body) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["payload"].update(action="sell"),
        lambda m: m["payload"].update(suggestedQuantity=3),
        lambda m: m["payload"].update(more=1),
        lambda m: m["metadata"].update(eventId="e-2"),
        lambda m: m["metadata"]["signature"].update(nonce="another"),
        lambda m: m["metadata"]["signature"].update(expiresAt="2027-01-01T00:00:00+00:00"),
        lambda m: m["metadata"]["signature"].update(issuedAt="2026-03-02T15:00:01+00:00"),
        lambda m: m["metadata"]["signature"].update(value="AAAA"),
        lambda m: m["metadata"]["signature"].update(value="no base64"),
        lambda m: m["metadata"]["signature"].update(value=base64.b64encode(bytes(64)).decode()),
    ],
)
def test_whatever_is_changed_makes_it_a_forgery(change: Callable[[Message], Any]) -> None:
    assert refusal(changed(change)) is Refusal.FORGED


def test_another_signer_or_another_name_is_refused() -> None:
    other = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert refusal(message(other)) is Refusal.FORGED
    assert refusal(message(source="stranger")) is Refusal.UNKNOWN_SIGNER
    two = check(ai=SIGNER.public_key, stranger=other.public_key)
    assert refusal(message(source="stranger"), two) is Refusal.FORGED
    assert refusal(message(other, source="stranger"), two) is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-6, Refusal.NOT_YET_VALID), (-5, None), (304.9, None), (305, Refusal.EXPIRED)],
)
def test_it_holds_for_its_time(seconds: float, expected: Refusal | None) -> None:
    assert refusal(message(), at=NOW + timedelta(seconds=seconds)) is expected


@pytest.mark.parametrize(
    ("from_", "to", "expected"),
    [
        (0, 300, None),
        (0, 301, Refusal.TOO_LONG_VALID),
        (1, 1, Refusal.TOO_LONG_VALID),
        (0, -6, Refusal.EXPIRED),
    ],
)
def test_nobody_signs_for_ever(from_: int, to: int, expected: Refusal | None) -> None:
    validity = Validity(time_max=timedelta(seconds=300), clock_error=timedelta(seconds=5))
    issued, expires = (NOW + timedelta(seconds=s) for s in (from_, to))
    assert validity.refusal(issued, expires, NOW) is expected


def test_without_a_signature() -> None:
    assert refusal(message(None)) is Refusal.UNSIGNED
    assert refusal(message(None), check(SigningMode.OPTIONAL)) is None
    assert refusal(changed(lambda m: m["payload"].update(x=1)), check(SigningMode.OPTIONAL)) is (
        Refusal.FORGED
    )
    stripped = changed(lambda m: m["metadata"].pop("signature"))
    assert refusal(stripped) is Refusal.UNSIGNED


@pytest.mark.parametrize("nonce", ["", "x" * 129, "a\nb"])
def test_a_nonce_that_is_none(nonce: str) -> None:
    body = changed(lambda m: m["metadata"]["signature"].update(nonce=nonce))
    assert refusal(body) is Refusal.MALFORMED


def test_what_is_no_decision_needs_no_signature() -> None:
    told = event("ai.decision.validated", "ai", NOW, {}, about=("d-1",))
    assert not isinstance(decode_event(told.body, NOW, check()).content, DecisionGenerated)


@pytest.mark.parametrize("text", ["AAAA", "no base64!", ""])
def test_a_key_that_is_none_is_refused_naming_its_owner(text: str) -> None:
    with pytest.raises(Invalid, match="ai has no Ed25519 key"):
        check(ai=text)


def test_the_key_of_the_simulated_service_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first = kept_signer(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert kept_signer(tmp_path).public_key == first.public_key
    (tmp_path / KEY_FILE).write_text("nothing")
    with pytest.raises(Invalid, match="holds no Ed25519 key"):
        kept_signer(tmp_path)
