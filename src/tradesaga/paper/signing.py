"""The key of the simulated ai-decision, and how it signs what it publishes.

The key is made at the first start and kept in a file of the state directory (0600). The same
decision is signed alike whenever it is produced again: nonce and signature are functions of it.
"""

from __future__ import annotations

import base64
import os
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradesaga.domain.errors import Invalid
from tradesaga.domain.signed_decisions import statement
from tradesaga.paper.identifiers import derived_uuid7
from tradesaga.paper.store import Outgoing

KEY_FILE = "ai-decision.key"
VALIDITY = timedelta(minutes=5)


class _Message(msgspec.Struct):
    metadata: dict[str, object]
    payload: msgspec.Raw


class Signer:
    """Signs the events of one service."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def signed(self, event: Outgoing, at: datetime) -> Outgoing:
        """The same event with its signature, valid from `at` on."""
        message = msgspec.json.decode(event.body, type=_Message)
        payload = bytes(message.payload)
        signature = {
            "issuedAt": at.isoformat(),
            "expiresAt": (at + VALIDITY).isoformat(),
            "nonce": str(derived_uuid7(at, "nonce", event.event_id)),
        }
        said = statement(
            event_type=event.event_type,
            event_id=event.event_id,
            source=event.source,
            issued_at=signature["issuedAt"],
            expires_at=signature["expiresAt"],
            nonce=signature["nonce"],
            payload=payload,
        )
        value = base64.b64encode(self._key.sign(said)).decode()
        message.metadata["signature"] = {**signature, "value": value}
        return msgspec.structs.replace(event, body=msgspec.json.encode(message))

    @property
    def public_key(self) -> str:
        """For the configuration of who checks: 32 bytes in base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()


def kept_signer(directory: Path) -> Signer:
    """The signer with the key of the directory, which is made if there is none.

    Raises Invalid for a file that holds no key.
    """
    path = directory / KEY_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()))
    try:
        raw = base64.b64decode(path.read_bytes(), validate=True)
        return Signer(Ed25519PrivateKey.from_private_bytes(raw))
    except ValueError as error:
        raise Invalid([f"{path} holds no Ed25519 key: move it away, a new one is made"]) from error
