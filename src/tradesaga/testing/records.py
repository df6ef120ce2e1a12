"""Readers and outbox in memory, under the name by which tests know them."""

from __future__ import annotations

from tradesaga.adapters.memory.access_records import MemoryAccessRecords
from tradesaga.adapters.memory.records import MemoryOutbox, MemoryRecords, row_of

__all__ = ["MemoryAccessRecords", "MemoryOutbox", "MemoryRecords", "row_of"]
