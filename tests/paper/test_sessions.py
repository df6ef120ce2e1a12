from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tradesaga.domain.market import SessionKind
from tradesaga.paper.sessions import kind_at, next_transition, session_of, transitions


@pytest.mark.parametrize(
    ("moment", "kind"),
    [
        ("2020-12-15T08:59:59", SessionKind.CLOSED),  # 03:59:59 in New York, winter: UTC-5
        ("2020-12-15T09:00:00", SessionKind.PRE),
        ("2020-12-15T14:29:59", SessionKind.PRE),
        ("2020-12-15T14:30:00", SessionKind.REGULAR),
        ("2020-12-15T20:59:59", SessionKind.REGULAR),
        ("2020-12-15T21:00:00", SessionKind.POST),
        ("2020-12-16T00:59:59", SessionKind.POST),
        ("2020-12-16T01:00:00", SessionKind.CLOSED),
        ("2013-10-07T13:30:00", SessionKind.REGULAR),  # summer: UTC-4
        ("2020-12-24T17:59:59", SessionKind.REGULAR),  # half day: 13:00 in New York
        ("2020-12-24T18:00:00", SessionKind.POST),
        ("2020-12-24T22:00:00", SessionKind.CLOSED),  # 17:00 on half days
        ("2020-12-25T15:00:00", SessionKind.CLOSED),
        ("2020-12-26T15:00:00", SessionKind.CLOSED),
        ("2022-05-30T15:00:00", SessionKind.CLOSED),  # Memorial Day
    ],
)
def test_the_session_of_a_moment(moment: str, kind: SessionKind) -> None:
    assert kind_at(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is kind


def test_a_half_day_is_no_holiday() -> None:
    session = session_of(date(2020, 12, 24))
    assert session is not None
    assert session.half_day
    assert session.reason


def test_every_change_between_two_moments_comes_once_and_in_order() -> None:
    friday_close = datetime(2020, 12, 18, 21, 0, tzinfo=UTC)
    monday_open = datetime(2020, 12, 21, 14, 30, tzinfo=UTC)
    found = transitions(friday_close, monday_open)
    assert [(change.before, change.after) for change in found] == [
        (SessionKind.POST, SessionKind.CLOSED),
        (SessionKind.CLOSED, SessionKind.PRE),
        (SessionKind.PRE, SessionKind.REGULAR),
    ]
    assert found[-1].at == monday_open
    assert next_transition(friday_close) == found[0]
