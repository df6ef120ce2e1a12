"""The id of an event is of its row and of all before it; those of older logs are known still."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tradesaga.adapters.chain import (
    GENESIS,
    LogRow,
    event_id_of,
    fault_of,
    former_event_id,
    hash_of,
)
from tradesaga.domain.ids import DEFAULT_AGENT, derived

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def logged(body: str, *, seq: int = 1, before: bytes = GENESIS) -> dict[str, object]:
    row = LogRow(NOW, "x", "s", "engine", body, "orchestrator.x", "{}")
    digest = hash_of(before, DEFAULT_AGENT, seq, 1, row)
    return {
        "seq": seq, "at": NOW, "epoch": 1, "kind": "x", "subject": "s", "actor": "engine",
        "body": body, "event_type": "orchestrator.x", "event_payload": "{}",
        "correlation_id": None, "causation_id": None, "hash": digest,
        "event_id": event_id_of(digest),
    }  # fmt: skip


def test_two_histories_have_no_id_in_common_from_where_they_part() -> None:
    one, other = logged('{"n":1}'), logged('{"n":2}')
    assert one["event_id"] == logged('{"n":1}')["event_id"], "one row, one id, always"
    assert one["event_id"] != other["event_id"]
    later = [logged("{}", seq=2, before=each["hash"])["event_id"] for each in (one, other)]  # type: ignore[arg-type]
    assert later[0] != later[1], "the same row after another one is another event"


@pytest.mark.parametrize(
    ("event_id", "fault"),
    [
        (logged("{}")["event_id"], None),
        (former_event_id(DEFAULT_AGENT, 1), None),
        (former_event_id(DEFAULT_AGENT, 2), "its event id is not that of the row"),
        (derived("anything"), "its event id is not that of the row"),
        (None, "its event id is not that of the row"),
    ],
)
def test_an_id_that_is_not_the_rows_is_a_fault(event_id: object, fault: str | None) -> None:
    row = logged("{}") | {"event_id": event_id}
    assert fault_of(row, DEFAULT_AGENT, 0, GENESIS) == fault
