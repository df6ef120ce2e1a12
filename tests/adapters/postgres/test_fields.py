"""The compiled readers of fields: each field under its name, and no naive time gets past."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import pytest

from tradesaga.adapters.postgres.fields import reading, time_check
from tradesaga.domain.errors import Invalid
from tradesaga.domain.values import changed

AT = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Times that must be there and times that may."""

    name: str = "a"
    made_at: datetime = AT
    due: datetime | None = None
    ended_at: datetime | None = AT


NAMES = [field.name for field in fields(Row)]


def test_reads_what_is_asked_for() -> None:
    assert reading(NAMES)(Row(), None) == asdict(Row())
    assert reading(["due", "name"])(Row(), None) == {"due": None, "name": "a"}
    assert reading(["name"], owned=True)(Row(), 7) == {"name": "a", "agent_id": 7}


@pytest.mark.parametrize("name", ["made_at", "due", "ended_at"])
def test_a_naive_time_is_refused_by_name(name: str) -> None:
    check = time_check(Row)
    check(Row())
    with pytest.raises(Invalid, match=rf"Row\.{name} is .* without a zone"):
        check(changed(Row(), **{name: AT.replace(tzinfo=None)}))


def test_a_type_without_times_needs_no_check() -> None:
    @dataclass(frozen=True, slots=True)
    class Bare:
        name: str

    time_check(Bare)(Bare("a"))
