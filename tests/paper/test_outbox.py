from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.paper.market import CASH, at
from tradesaga.domain.errors import Invalid, Unavailable
from tradesaga.paper.faults import Fault, FaultBook, FaultKind
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.store import Outgoing, Store

SERVICE = "trading-engine"


def event(number: int, symbol: str = "SPY") -> Outgoing:
    return Outgoing(
        event_id=f"e{number}", event_type="t", source=SERVICE, symbol=symbol, body=b"{}"
    )


class Bus:
    """Takes events, unless it is down; notes them with the id they were sent under."""

    def __init__(self) -> None:
        self.down = False
        self.taken: list[tuple[str, str | None]] = []
        self.tries = 0
        self.changed = asyncio.Event()

    async def send(self, told: Outgoing, message_id: str | None) -> None:
        self.tries += 1
        self.changed.set()
        if self.down:
            raise Unavailable("down")
        self.taken.append((told.event_id, message_id))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path)


def opened(folder: Path) -> Store:
    return Store(folder / "paper.sqlite3", fingerprint="f", start_cash=CASH)


@asynccontextmanager
async def sending(outbox: Outbox, bus: Bus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run(bus.send))
        yield
        task.cancel()


def outbox_on(store: Store, book: FaultBook | None = None) -> Outbox:
    return Outbox(store, store.load().outbox, {SERVICE: book or FaultBook(SERVICE, 1)})


async def test_events_leave_in_order_and_are_then_forgotten(store: Store) -> None:
    outbox, bus = outbox_on(store), Bus()
    async with sending(outbox, bus):
        for number in range(5):
            outbox.add(store.commit(now=at(0), events=[event(number)]))
        assert await outbox.drained(5)
    assert bus.taken == [(f"e{number}", f"e{number}") for number in range(5)]
    assert store.load().outbox == []


async def test_events_wait_for_the_bus_and_for_the_next_life_of_the_process(
    store: Store, tmp_path: Path
) -> None:
    outbox, bus = outbox_on(store), Bus()
    bus.down = True
    async with sending(outbox, bus):
        outbox.add(store.commit(now=at(0), events=[event(1), event(2)]))
        await bus.until(lambda: bus.tries >= 3)
        assert not await outbox.drained(0.01)
    assert bus.taken == []
    bus.down = False
    again = opened(tmp_path)
    outbox = outbox_on(again)
    assert outbox.depth == 2
    async with sending(outbox, bus):
        assert await outbox.drained(5)
    assert [sent for sent, _ in bus.taken] == ["e1", "e2"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind=FaultKind.EVENT_DROPPED), ["e2", "e3"]),
        (Fault(kind=FaultKind.EVENT_REORDERED), ["e2", "e1", "e3"]),
        (Fault(kind=FaultKind.EVENT_DUPLICATED), ["e1", "e1", "e2", "e3"]),
        (Fault(kind=FaultKind.EVENT_DUPLICATED, count=2, symbol="BAC"), ["e1", "e2", "e2", "e3"]),
        (Fault(kind=FaultKind.EVENT_DROPPED, event_type="other"), ["e1", "e2", "e3"]),
        (Fault(kind=FaultKind.EVENT_DROPPED, probability=0.0), ["e1", "e2", "e3"]),
    ],
)
async def test_ordered_faults_act_on_events(
    store: Store, fault: Fault, expected: list[str]
) -> None:
    book = FaultBook(SERVICE, 1)
    assert book.add(fault)
    outbox, bus = outbox_on(store, book), Bus()
    outbox.add(store.commit(now=at(0), events=[event(1), event(2, "BAC"), event(3)]))
    async with sending(outbox, bus):
        assert await outbox.drained(5)
    assert [sent for sent, _ in bus.taken] == expected
    # A repeat carries the same event id, but no message id: the stream must not drop it.
    assert sum(message_id is None for _, message_id in bus.taken) == len(expected) - len(
        {*expected}
    )
    assert store.load().outbox == []


def test_a_fault_is_counted_down_and_fits_its_filters() -> None:
    book = FaultBook(SERVICE, 1, default_operation="submit")
    book.add(Fault(kind=FaultKind.REPLY_LOST, count=2, symbol="SPY"))
    assert book.take(FaultKind.REPLY_LOST, symbol="BAC", operation="submit") is None
    assert book.take(FaultKind.REPLY_LOST, symbol="SPY", operation="orders") is None
    assert book.take(FaultKind.ERROR_AFTER, symbol="SPY", operation="submit") is None
    for _ in range(2):
        assert book.take(FaultKind.REPLY_LOST, symbol="SPY", operation="submit") is not None
    assert book.take(FaultKind.REPLY_LOST, symbol="SPY", operation="submit") is None
    assert book.faults == []


def test_a_chance_is_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[bool]:
        book = FaultBook(SERVICE, seed)
        book.add(Fault(kind=FaultKind.EVENT_DROPPED, count=1000, probability=0.5))
        return [book.take(FaultKind.EVENT_DROPPED) is not None for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 10 < sum(drawn(1)) < 40


def test_a_state_directory_of_other_data_is_refused(store: Store, tmp_path: Path) -> None:
    store.close()
    with pytest.raises(Invalid, match="holds a run on other recorded data"):
        Store(tmp_path / "paper.sqlite3", fingerprint="other", start_cash=CASH)


def test_a_failed_commit_leaves_nothing_behind(store: Store) -> None:
    class Broken(Exception):
        pass

    def events() -> Iterator[Outgoing]:
        yield event(1)
        raise Broken

    with pytest.raises(Broken):
        store.commit(now=at(0), decision=("d", b"{}"), events=events())
    assert store.decision("d") is None
    store.commit(now=at(0), decision=("d", b"{}"))
    assert store.decision("d") == b"{}"
