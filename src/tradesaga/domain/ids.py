"""Identities, and the ids that must come out the same when a crash makes us ask again.

Ids of things that happen once and are recorded at once (agents, cycles) are UUIDv7 from a port.
Ids that a repeat must find again are functions of their inputs: the saga of a decision, its
order, its reservation, a fill.

A decision's id begins with the moment at which it was made, and what comes of it begins with the
same one (version 7): the rows of today stand side by side in every index, however many there are
of old. Ids without a moment are hashes alone (version 8), and so is all that comes of them: what
was begun before there were moments goes on under the ids that it has.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NewType
from uuid import UUID, SafeUUID

AgentId = NewType("AgentId", UUID)
StrategyId = NewType("StrategyId", UUID)
CycleId = NewType("CycleId", UUID)
ScheduleId = NewType("ScheduleId", UUID)
DecisionId = NewType("DecisionId", UUID)
SagaId = NewType("SagaId", UUID)
OrderId = NewType("OrderId", UUID)
ReservationId = NewType("ReservationId", UUID)
FillId = NewType("FillId", UUID)
TradeId = NewType("TradeId", UUID)
VoidId = NewType("VoidId", UUID)
ApprovalId = NewType("ApprovalId", UUID)
ExternalOrderId = NewType("ExternalOrderId", UUID)

DEFAULT_AGENT = AgentId(UUID("00000000-0000-7000-8000-000000000001"))
CLIENT_ORDER_ID_PREFIX = "ts-"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [low + high for high in _BASE32 for low in _BASE32]
_PLACES = range(0, 130, 10)
"""Two letters, the lower first, for each ten bits of a digest's lowest 130."""
_ORDERED = "0123456789abcdefghijklmnopqrstuv"
_ORDERED_PAIRS = [high + low for high in _ORDERED for low in _ORDERED]
_LETTERS = {*_BASE32, *_ORDERED}
_MOMENT_PLACES, _HASH_PLACES = range(40, -1, -10), range(70, -1, -10)
"""As above, but text that sorts like its number: 50 bits of a moment, 80 of a digest."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MOMENT_AT = 80
_MOMENT_MAX = (1 << 48) - 1
_MOMENT_TOLD_MAX = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_UUID_MASK = ~(0xF << 76 | 0x3 << 62)
_HASH_MASK = _UUID_MASK & (1 << _MOMENT_AT) - 1
_UUID_VERSION_7, _UUID_VERSION_8 = 0x7 << 76 | 0x2 << 62, 0x8 << 76 | 0x2 << 62
_new_uuid = object.__new__
_write_int, _write_is_safe = (vars(UUID)[name].__set__ for name in ("int", "is_safe"))
"""A UUID is frozen, but its slots can be written."""
_UNKNOWN = SafeUUID.unknown  # looked up by Python code, each time


def derived(*parts: object) -> UUID:
    """A UUID (version 8, RFC 9562) that is a function of `parts`, compared by their text.

    Whoever derives several ids of one hands over its text, which takes longer than the hash.
    """
    number = int.from_bytes(_digest(parts)[:16], "big") & _UUID_MASK | _UUID_VERSION_8
    return _uuid_of(number)


def derived_at(at: datetime, *parts: object) -> UUID:
    """A UUID (version 7) of the moment `at`, to the millisecond; the rest is hashed of `parts`."""
    moment = min(max(0, (at - _EPOCH) // _MILLISECOND), _MOMENT_MAX)
    return _of_moment(moment, parts)


def derived_beside(elder: UUID, *parts: object) -> UUID:
    """The id of something that comes of `elder`: of its moment, or `derived` if it has none."""
    moment = _moment_of(elder)
    return derived(*parts) if moment is None else _of_moment(moment, parts)


def of_digest(digest: bytes) -> UUID:
    """A UUID (version 8) that is the beginning of a hash: made already, so nothing is hashed."""
    return _uuid_of(int.from_bytes(digest[:16], "big") & _UUID_MASK | _UUID_VERSION_8)


def question_id(cycle_id: CycleId, strategy_id: StrategyId, symbol: str) -> DecisionId:
    """The id of a question, which is that of the decision that answers it.

    So all that comes of a question travels under one correlation id.
    """
    return DecisionId(derived_beside(cycle_id, cycle_id, strategy_id, symbol))


def uuid_or_none(text: str) -> UUID | None:
    """The UUID that `text` is, or None: a name of another kind."""
    try:
        return UUID(text)
    except ValueError:
        return None


def client_order_id(saga_id: SagaId, leg: int, purpose: str, *, name: str = "") -> str:
    """The id under which the venue knows an order: 29 characters, the same on every repeat.

    `name` is the text of the saga's id, if the caller has it.
    """
    digest, moment = _digest((name or saga_id, leg, purpose)), _moment_of(saga_id)
    if moment is None:
        number = int.from_bytes(digest, "big")
        return CLIENT_ORDER_ID_PREFIX + "".join([_PAIRS[number >> at & 1023] for at in _PLACES])
    hashed = int.from_bytes(digest[:10], "big")
    time_text = "".join([_ORDERED_PAIRS[moment >> at & 1023] for at in _MOMENT_PLACES])
    hash_text = "".join([_ORDERED_PAIRS[hashed >> at & 1023] for at in _HASH_PLACES])
    return CLIENT_ORDER_ID_PREFIX + time_text + hash_text


def is_client_order_id(text: str) -> bool:
    """Whether `text` has the shape of those that `client_order_id` gives, now or formerly."""
    name = text.removeprefix(CLIENT_ORDER_ID_PREFIX)
    return name != text and len(name) == 2 * len(_PLACES) and set(name) <= _LETTERS


def moment_of_order(text: str) -> datetime | None:
    """When the decision behind a client order id was made; None where the id does not tell."""
    letters = text.removeprefix(CLIENT_ORDER_ID_PREFIX)[: 2 * len(_MOMENT_PLACES)]
    if not set(letters) <= set(_ORDERED):
        return None
    moment = int(letters, 32)
    return _EPOCH + moment * _MILLISECOND if moment <= _MOMENT_TOLD_MAX else None


def _moment_of(elder: UUID) -> int | None:
    """Milliseconds since 1970 that an id of version 7 begins with; None of any other."""
    number = elder.int
    return number >> _MOMENT_AT if number >> 76 & 0xF == 7 else None


def _of_moment(moment: int, parts: tuple[object, ...]) -> UUID:
    hashed = int.from_bytes(_digest(parts)[:10], "big") & _HASH_MASK
    return _uuid_of(moment << _MOMENT_AT | hashed | _UUID_VERSION_7)


def _uuid_of(number: int) -> UUID:
    made = _new_uuid(UUID)  # past the checks of `__init__`, which take as long again
    _write_int(made, number)
    _write_is_safe(made, _UNKNOWN)
    return made


def _digest(parts: tuple[object, ...]) -> bytes:
    return sha256("\x1f".join(map(str, parts)).encode()).digest()
