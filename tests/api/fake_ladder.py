"""A fake of the third driving port: decides with the real machine, keeps the ladder in memory."""

from __future__ import annotations

from datetime import UTC, datetime

from tradesaga.domain import ladder as machine
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Ladder, Reason, Rung, Scope, ScopeKind
from tradesaga.ports.ladder_operations import Killed, LadderView, Rearmed, Unresolved

AT = datetime(2020, 12, 15, 17, 0, tzinfo=UTC)
DRIFT = Reason(
    cause=Cause.DRIFT, scope=Scope(ScopeKind.SYMBOL, "SPY"), detail="ours 1, theirs 2", since=AT
)


class FakeLadder:
    """Begins with a drift of SPY; set `error` to make commands raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.last: Killed | None = None
        self.state = Ladder(id=DEFAULT_AGENT, agent_id=DEFAULT_AGENT, updated_at=AT)
        self.state = machine.enter(self.state, DRIFT)

    async def ladder(self) -> LadderView:
        return LadderView(
            ladder=self.state,
            rung=self.state.rung(),
            recorded=True,
            halted=[EVERYWHERE] if self.state.rung() is Rung.HALTED else [],
            last_kill=self.last,
        )

    async def kill(self, scope: Scope, *, reason: str, who: str, rung: Rung) -> Killed:
        self._asked("kill", scope=scope, reason=reason, who=who, rung=rung)
        cause = Cause.KILL_SWITCH if rung is Rung.HALTED else Cause.OPERATOR_REDUCE_ONLY
        entered = Reason(cause=cause, scope=scope, detail=reason, since=AT, who=who)
        self.state = machine.enter(self.state, entered)
        lost = Unresolved(
            client_order_id="ts-a", venue_order_id=None, symbol="SPY", said="no answer"
        )
        self.last = Killed(
            scope=scope,
            at=AT,
            marked=True,
            recorded=False,
            orders=3,
            asked=2,
            ended=2,
            unresolved=[lost],
        )
        return self.last

    async def rearm(self, scope: Scope, *, operator: str, reason: str) -> Rearmed:
        self._asked("rearm", scope=scope, operator=operator, reason=reason)
        after = machine.rearm(self.state, scope, operator, reason, AT)
        ended, self.state = machine.left(self.state, after), after
        return Rearmed(ended=ended, view=await self.ladder())

    async def acknowledge(self, cause: Cause, scope: Scope, *, operator: str) -> LadderView:
        self._asked("acknowledge", cause=cause, scope=scope, operator=operator)
        self.state = machine.acknowledge(self.state, cause, scope, operator, AT)
        return await self.ladder()

    def _asked(self, name: str, **arguments: object) -> None:
        self.calls.append((name, arguments))
        if self.error is not None:
            raise self.error
