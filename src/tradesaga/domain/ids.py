"""Identities, and the ids that must come out the same when a crash makes us ask again.

Ids of things that happen once and are recorded at once (agents, cycles) are UUIDv7 from a port.
Ids that a repeat must find again are functions of their inputs: the saga of a decision, its
order, its reservation, a fill.
"""

from __future__ import annotations

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

DEFAULT_AGENT = AgentId(UUID("00000000-0000-7000-8000-000000000001"))
CLIENT_ORDER_ID_PREFIX = "ts-"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [low + high for high in _BASE32 for low in _BASE32]
_PLACES = range(0, 130, 10)
"""Two letters, the lower first, for each ten bits of a digest's lowest 130."""
_UUID_MASK = ~(0xF << 76 | 0x3 << 62)
_UUID_VERSION_8 = 0x8 << 76 | 0x2 << 62
_new_uuid = object.__new__
_write_int, _write_is_safe = (vars(UUID)[name].__set__ for name in ("int", "is_safe"))
"""A UUID is frozen, but its slots can be written."""


def derived(*parts: object) -> UUID:
    """A UUID (version 8, RFC 9562) that is a function of `parts`, compared by their text.

    Whoever derives several ids of one hands over its text, which takes longer than the hash.
    """
    number = int.from_bytes(_digest(parts)[:16], "big") & _UUID_MASK | _UUID_VERSION_8
    made = _new_uuid(UUID)  # past the checks of `__init__`, which take as long again
    _write_int(made, number)
    _write_is_safe(made, SafeUUID.unknown)
    return made


def client_order_id(saga_id: SagaId | str, leg: int, purpose: str) -> str:
    """The id under which the venue knows an order: 29 characters, the same on every repeat."""
    number = int.from_bytes(_digest((saga_id, leg, purpose)), "big")
    return CLIENT_ORDER_ID_PREFIX + "".join([_PAIRS[number >> at & 1023] for at in _PLACES])


def _digest(parts: tuple[object, ...]) -> bytes:
    return sha256("\x1f".join(map(str, parts)).encode()).digest()
