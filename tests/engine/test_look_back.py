"""A bus that has lost what it acknowledged: seen at the next connection, and filled again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tests.domain.trades import START
from tests.engine.place import Place
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import ANALYSIS_REQUESTED, CYCLE_STARTED
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.ladder import Cause, Rung
from tradesaga.engine.look_back import KEPT_TIME_MAX, LookBack
from tradesaga.ports.bus import Published
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.stream import Sent, StreamEnd, Told


def row(sequence: int, event_type: str = CYCLE_STARTED) -> OutboxRow:
    return OutboxRow(
        sequence=sequence,
        event_id=f"e-{sequence}",
        type=event_type,
        payload=b"{}",
        correlation_id=None,
        causation_id=None,
        at=START,
    )


@dataclass
class Server:
    """Implements `Bus.publish` and `StreamState`: a list of event ids that may get shorter."""

    kept: list[str] = field(default_factory=list)
    created: datetime = START
    number: int = 1
    away: bool = False
    last: Told | None = None

    def connection(self) -> int:
        return 0 if self.away else self.number

    async def stream_end(self) -> StreamEnd:
        if self.away:
            raise Unavailable("away")
        return StreamEnd(created=self.created, last_sequence=len(self.kept))

    async def last_of_ours(self) -> Told | None:
        return self.last

    async def publish(self, one: OutboxRow) -> Published:
        if self.away:
            raise Unavailable("away")
        self.kept.append(one.event_id)
        return Published(stream_sequence=len(self.kept), duplicate=False)


@dataclass
class Marks:
    """Implements `ports.stream.SentEvents`; a mark is (sequence, stream sequence, moment)."""

    rows: list[OutboxRow]
    marks: list[tuple[int, int, datetime]] = field(default_factory=list)
    created: datetime | None = None

    async def last_sent(self, agent_id: AgentId) -> Sent | None:
        if not self.marks:
            return None
        sequence, stream_sequence, at = self.marks[-1]
        return Sent(sequence=sequence, stream_sequence=stream_sequence, at=at)

    async def stream_known(self, agent_id: AgentId) -> datetime | None:
        return self.created

    async def remember_stream(self, agent_id: AgentId, created: datetime) -> None:
        self.created = created

    async def kept_up_to(self, agent_id: AgentId, stream_sequence: int) -> int:
        return max((m[0] for m in self.marks if m[1] <= stream_sequence), default=0)

    async def sent_before(self, agent_id: AgentId, at: datetime) -> int:
        return max((m[0] for m in self.marks if m[2] < at), default=0)

    async def between(
        self, agent_id: AgentId, *, after: int, until: int | None, limit: int
    ) -> Sequence[OutboxRow]:
        upper = self.rows[-1].sequence if until is None else until
        return [one for one in self.rows if after < one.sequence <= upper][:limit]

    async def has_row(self, told: Told) -> bool:
        return (told.sequence, told.event_id) in {(row.sequence, row.event_id) for row in self.rows}

    async def mark_again(self, agent_id: AgentId, *, sequence: int, stream_sequence: int) -> None:
        last = self.marks[-1]
        assert last[0] == sequence
        self.marks[-1] = (sequence, stream_sequence, last[2])


class Scene:
    """Six events out, one mark for each two, on a server that has been looked at once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.rows = [row(n, ANALYSIS_REQUESTED if n == 5 else CYCLE_STARTED) for n in range(1, 7)]
        self.server = Server(kept=[one.event_id for one in self.rows])
        self.marks = Marks(self.rows, [(2, 2, START), (4, 4, START), (6, 6, START)], START)

    async def look(self, times: int = 1) -> list[int]:
        async with self.place.node() as parts:
            looking = LookBack(
                agent_id=DEFAULT_AGENT,
                bus=self.server,  # type: ignore[arg-type]  # it only publishes
                stream=self.server,
                sent=self.marks,
                scribe=parts.control.dead_letters.scribe,
                metrics=self.place.metrics,
                former=parts.recovery.former,
            )
            self.ladder = parts.ladder
            return [await looking.run_once() for _ in range(times)]

    @property
    def alerts(self) -> list[object]:
        log = self.place.store.log_of(DEFAULT_AGENT)
        return [line.entry.body for line in log if line.entry.kind == "alert"]


@pytest.fixture
def scene() -> Scene:
    return Scene(Place())


async def test_a_whole_stream_is_left_alone(scene: Scene) -> None:
    assert await scene.look() == [0]
    assert len(scene.server.kept) == 6
    assert scene.alerts == []


async def test_a_lost_tail_is_published_again_in_order_without_questions(scene: Scene) -> None:
    del scene.server.kept[3:]  # the mark of rows 3 and 4 is half lost
    assert await scene.look(2) == [3, 0]
    assert scene.server.kept == ["e-1", "e-2", "e-3", "e-3", "e-4", "e-6"]
    assert scene.marks.marks[-1][:2] == (6, 6)
    assert ("error_occurred", "bus_regression") in scene.place.metrics.seen
    [alert] = scene.alerts
    assert isinstance(alert, dict)
    assert (alert["recorded"], alert["kept"], alert["publishedAgain"]) == (6, 3, 3)


async def test_a_loss_below_all_marks_is_filled_for_the_days_that_streams_keep(
    scene: Scene,
) -> None:
    long_ago = START - KEPT_TIME_MAX - timedelta(seconds=1)
    scene.marks.marks = [(2, 2, long_ago), (4, 9, START), (6, 10, START)]
    del scene.server.kept[1:]
    assert await scene.look() == [3]
    assert scene.server.kept == ["e-1", "e-3", "e-4", "e-6"]


async def test_a_mended_loss_is_no_loss_at_the_next_connection(scene: Scene) -> None:
    del scene.server.kept[1:]
    await scene.look()
    assert scene.marks.marks[-1][1] == len(scene.server.kept)
    scene.server.number = 2
    assert await scene.look() == [0]


async def test_another_stream_is_filled_with_what_the_platform_keeps(scene: Scene) -> None:
    old, new = START, START + KEPT_TIME_MAX + timedelta(seconds=1)
    scene.marks.marks = [(2, 2, old), (4, 4, new), (6, 6, new)]
    scene.server.kept = ["other"] * 9  # longer than what we know, and yet not ours
    scene.server.created = START + timedelta(hours=1)
    assert await scene.look() == [3]
    assert scene.server.kept[9:] == ["e-3", "e-4", "e-6"]
    assert scene.marks.created == scene.server.created


async def test_before_the_first_mark_there_is_nothing_to_compare(scene: Scene) -> None:
    scene.marks.marks, scene.marks.created = [], None
    scene.server.kept = []
    assert await scene.look() == [0]
    assert scene.marks.created == START


async def test_a_bus_that_goes_away_meanwhile_is_compared_again(scene: Scene) -> None:
    scene.server.away = True
    assert await scene.look() == [0], "no connection, nothing to compare"
    scene.server.away = False
    del scene.server.kept[2:]

    async def fails(one: OutboxRow) -> Published:
        raise Unavailable("gone again")

    works, scene.server.publish = scene.server.publish, fails  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup):
        await scene.look()
    scene.server.publish = works  # type: ignore[method-assign]
    assert await scene.look() == [3]
    assert scene.alerts, "told once it is mended"


@pytest.mark.parametrize(
    ("sequence", "event_id", "halted"),
    [(6, "e-6", False), (7, "e-7", True), (6, "e-6-of-another-history", True)],
)
async def test_an_event_of_ours_that_comes_of_no_row_halts_before_anything_is_published(
    scene: Scene, sequence: int, event_id: str, *, halted: bool
) -> None:
    scene.server.last = Told(agent_id=DEFAULT_AGENT, sequence=sequence, event_id=event_id)
    del scene.server.kept[3:]

    async def publishes(one: OutboxRow) -> Published:
        assert (scene.place.kinds()[-1] == "ladder.entered") is halted, "stored before"
        return Published(stream_sequence=9, duplicate=False)

    scene.server.publish = publishes  # type: ignore[method-assign]
    await scene.look()
    reason = scene.ladder.ladder.standing(Cause.BOOKS_IN_DOUBT)
    assert (reason is not None) is halted
    assert scene.ladder.rung() is (Rung.HALTED if halted else Rung.NORMAL)
    assert reason is None or f"event {event_id} of row {sequence}" in reason.detail
