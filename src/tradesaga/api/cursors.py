"""The cursor of a list: a place, as text that a client hands back and does not look into."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tradesaga.domain.ids import SagaId
from tradesaga.ports.trade_records import Place

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ID_BYTES: Final = 16
_BYTES: Final = 8 + _ID_BYTES


def cursor_of(place: Place) -> str:
    """The text that stands for `place`."""
    at, saga_id = place
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(microseconds.to_bytes(8, "big", signed=True) + saga_id.bytes).decode()


def place_of(cursor: str) -> Place:
    """The place that `cursor` stands for. Raises ValueError when we did not make it."""
    raw = urlsafe_b64decode(cursor.encode("ascii"))
    if len(raw) != _BYTES:
        raise ValueError("a cursor of another length")
    microseconds = int.from_bytes(raw[:-_ID_BYTES], "big", signed=True)
    try:
        at = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise ValueError("a cursor to no time") from error
    return at, SagaId(UUID(bytes=raw[-_ID_BYTES:]))
