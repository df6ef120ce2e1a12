"""The lease as the engine holds it: who may write, who may send, and what a loss does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.trades import START, pending
from tests.engine.place import PATIENCE
from tradesaga.domain.errors import Fenced, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.trade_start import OPERATOR_EXIT
from tradesaga.engine.leadership import Leadership
from tradesaga.engine.send_gate import SendGate
from tradesaga.engine.shutdown import finish
from tradesaga.ports.lease import Held
from tradesaga.testing.clock import VirtualClock

SECOND = timedelta(seconds=1)
TICK = timedelta(milliseconds=1)


class ScriptedLease:
    """Answers `take` and `renew` from lists; an exception is raised."""

    def __init__(self) -> None:
        self.takes: list[Held | Exception | None] = []
        self.renewals: list[Held | Exception] = []
        self.released: list[int] = []

    async def take(self, agent_id: AgentId) -> Held | None:
        return self._next(self.takes)

    async def freed(self, within: timedelta) -> None:
        await asyncio.sleep(0)

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        held = self._next(self.renewals)
        assert held is not None
        return held

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        return Held(epoch=epoch + 1, until=2.0, wait=timedelta())

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        self.released.append(epoch)

    def _next(self, answers: list[Held | Exception | None] | list[Held | Exception]) -> Held | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Post:
    """A leadership over a scripted lease, and the epochs that it announced."""

    def __init__(self) -> None:
        self.lease, self.clock = ScriptedLease(), VirtualClock(START)
        self.epochs: list[int] = []
        self.leadership = Leadership(
            lease=self.lease,
            clock=self.clock,
            agent_id=DEFAULT_AGENT,
            renew_every=TICK,
            on_epoch=self._announced,
        )

    async def _announced(self, agent_id: AgentId, epoch: int) -> None:
        self.epochs.append(epoch)


def held(epoch: int = 1, until: float = 2.0, wait: timedelta = timedelta()) -> Held:
    return Held(epoch=epoch, until=until, wait=wait)


async def test_without_the_lease_there_is_no_epoch_and_no_leave_to_send() -> None:
    post = Post()
    with pytest.raises(Fenced):
        _ = post.leadership.epoch
    assert not post.leadership.may_send(opening=False)


async def test_it_asks_until_the_lease_is_free() -> None:
    post = Post()
    post.lease.takes = [None, Unavailable("away"), held(epoch=7)]
    async with asyncio.timeout(PATIENCE):
        assert await post.leadership.take() == 7
    assert (post.leadership.epoch, post.epochs) == (7, [7])


@pytest.mark.parametrize(
    ("passed", "may"), [(1.4, True), (1.5, True), (1.501, False), (3.0, False)]
)
async def test_a_send_needs_half_a_second_of_the_lease(passed: float, may: bool) -> None:
    post = Post()
    post.lease.takes = [held(until=2.0)]
    await post.leadership.take()
    post.clock.advance(timedelta(seconds=passed))
    assert post.leadership.may_send(opening=True) is may
    assert post.leadership.may_send(opening=False) is may


async def test_a_new_leader_waits_before_it_opens_but_may_close() -> None:
    post = Post()
    post.lease.takes = [held(until=60.0, wait=12 * SECOND)]
    await post.leadership.take()
    assert post.leadership.may_send(opening=False)
    post.clock.advance(11 * SECOND)
    assert not post.leadership.may_send(opening=True)
    post.clock.advance(SECOND)
    assert post.leadership.may_send(opening=True)


async def test_it_renews_through_an_outage_and_ends_when_another_holds_it() -> None:
    post = Post()
    post.lease.takes = [held(until=1.0)]
    post.lease.renewals = [Unavailable("away"), held(until=9.0), Fenced("another")]
    await post.leadership.take()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Fenced):
            await post.leadership.hold()
    assert post.lease.renewals == []
    assert post.leadership.may_send(opening=True), "what was renewed still lasts"


async def test_a_raised_epoch_is_announced_before_it_is_used() -> None:
    post = Post()
    post.lease.takes = [held(epoch=3)]
    await post.leadership.take()
    assert await post.leadership.raise_epoch() == 4
    assert (post.leadership.epoch, post.epochs) == (4, [3, 4])


async def test_a_release_is_done_once_and_writes_nothing_after() -> None:
    post = Post()
    post.lease.takes = [held(epoch=3)]
    await post.leadership.take()
    await post.leadership.release()
    await post.leadership.release()
    assert post.lease.released == [3]
    with pytest.raises(Fenced):
        _ = post.leadership.epoch


async def test_what_must_be_finished_is_finished_however_often_it_is_cancelled() -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await go.wait()
        done.set()

    task = asyncio.ensure_future(finish(work()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    go.set()
    await asyncio.wait([task])
    assert done.is_set()
    assert task.cancelled(), "the cancellation goes on"


async def test_what_is_finished_answers_and_fails_as_it_is() -> None:
    async def fail() -> int:
        raise Unavailable("away")

    async def answer() -> int:
        return 3

    assert await finish(answer()) == 3
    with pytest.raises(Unavailable):
        await finish(fail())


async def test_the_first_byte_needs_the_lease_and_the_turn_before_does_not() -> None:
    post, gate = Post(), SendGate()
    gate.ask_last(post.leadership.refusal_to_send)
    order = pending().order
    by_hand = replace(order, purpose=OPERATOR_EXIT)
    post.lease.takes = [held(until=2.0)]
    await post.leadership.take()
    assert gate.refusal_at_last(order) == ""
    post.clock.advance(2 * SECOND)
    assert "lease" in gate.refusal_at_last(order)
    assert "lease" in gate.refusal_at_last(by_hand)
    assert gate.refusal(order) == "", "the saga is not given up for it"
    gate.ask(lambda _: "agent is stopped")
    assert gate.refusal_at_last(order) == "agent is stopped"
