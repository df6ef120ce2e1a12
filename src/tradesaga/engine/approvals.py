"""Orders that wait for a named operator (`trading.executionMode` SEMI_AUTO).

The questions are rows, read when they are needed: a restart or a takeover forgets none. Answers
are taken one at a time. Between the last judgement and the intent nothing waits, and the intent,
the decision's saga and the used approval are one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from structlog import get_logger

from tradesaga.domain import approval as machine
from tradesaga.domain import risk
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Conflict, Fenced, IllegalTransition, NotFound, Unavailable
from tradesaga.domain.ids import ApprovalId
from tradesaga.domain.instructions import Origin
from tradesaga.domain.money import ZERO
from tradesaga.domain.trade_start import trade_for
from tradesaga.engine.instructed_trades import InstructedTrades
from tradesaga.engine.risk_gate import Circumstances, MarketView
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.strategy_book import StrategyBook
from tradesaga.engine.waiting import news_or_moment
from tradesaga.ports.journal import Entry, Insert, Update
from tradesaga.ports.trade_records import Place

log = get_logger()
PENDING_MAX = 1000
RETRY_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Implements `ports.approval_operations`; `trades` is how orders without a cycle begin."""

    settings: EngineSettings
    trades: InstructedTrades
    book: StrategyBook
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def approvals(
        self, *, limit: int, state: ApprovalState | None, after: Place | None = None
    ) -> Sequence[Approval]:
        """See `ports.approval_operations`."""
        return await self.trades.records.approvals(
            self.settings.agent_id, limit=limit, state=state, after=after
        )

    async def ask(self, decision: Decision) -> Approval:
        """Have an operator asked about an allowed entry; what waits already is answered.

        A question of the same strategy about the same symbol is replaced when the order differs.

        Raises:
            Conflict: the decision has its question already.
            Fenced, Unavailable: as the journal.
        """
        async with self._turn:
            now = self.trades.clock.now()
            order = trade_for(decision, reserve=ZERO, now=now, policy=self.trades.desk.policy).order
            new = machine.asked(order, self._configuration, now, self._session_end(now))
            rows: list[Insert | Update] = [Insert(new)]
            entries = [_entry("approval.asked", new, "engine")]
            for old in await self._pending():
                if (old.strategy_id, old.symbol) != (new.strategy_id, new.symbol):
                    continue
                if old.digest == new.digest and now < old.expires_at:
                    return old
                gone = machine.expired(old, "replaced by a newer proposal", now)
                rows.append(Update(gone))
                entries.append(_entry("approval.expired", gone, "engine"))
            await self.trades.scribe.fact(rows, entries)
            self._changed.set()
            log.warning("an order waits for an approval", **_ids_of(new), symbol=new.symbol)
            return new

    async def approve(
        self, approval_id: ApprovalId, *, by: str, reason: str, actor: str
    ) -> Approval:
        """See `ports.approval_operations`."""
        async with self._turn:
            found, decision = await self._found(approval_id)
            if found.state is ApprovalState.CONSUMED:
                return found
            machine.must_be_open(found, self.trades.clock.now())
            try:
                epoch = self.trades.desk.epoch
                view = await self._view(found.symbol)
                return await self._carry_out(
                    found, decision, view, epoch, by=by, reason=reason, actor=actor
                )
            except Fenced as error:
                raise Unavailable("the agent was stopped or has passed on; ask again") from error
            except Conflict:
                after, _ = await self._found(approval_id)  # a commit in doubt had been taken
                if after.state is ApprovalState.CONSUMED:
                    return after
                raise

    async def deny(self, approval_id: ApprovalId, *, by: str, reason: str, actor: str) -> Approval:
        """See `ports.approval_operations`."""
        async with self._turn:
            found, _ = await self._found(approval_id)
            if found.state is ApprovalState.DENIED:
                return found
            after = machine.denied(found, by=by, reason=reason, now=self.trades.clock.now())
            await self._commit(after, "approval.denied", actor)
            return after

    async def run(self) -> None:
        """Remind of what waits, end what nobody answers, for ever.

        Raises:
            Fenced: the lease has passed on.
        """
        clock = self.trades.clock
        while True:
            self._changed.clear()
            try:
                await self.expire_due()
                await self.remind_due()
                due = min(map(machine.next_look_at, await self._pending()), default=None)
            except Unavailable as error:
                log.warning("approvals wait for the journal", error=str(error))
                due = clock.now() + RETRY_AFTER
            if due is None:
                await self._changed.wait()
            else:
                await news_or_moment(clock, self._changed, due)

    async def expire_due(self) -> int:
        """End the questions whose time is over; how many. Raises as the journal."""
        async with self._turn:
            now = self.trades.clock.now()
            over = [one for one in await self._pending() if one.expires_at <= now]
            for one in over:
                after = machine.expired(one, "nobody answered in time", now)
                await self._commit(after, "approval.expired", "engine")
            return len(over)

    async def remind_due(self) -> int:
        """Alert people to what waits and ends soon, each time once; how many. Raises as above."""
        async with self._turn:
            now, told = self.trades.clock.now(), 0
            for one in await self._pending():
                after = machine.reminded(one, now)
                if after is one or one.expires_at <= now:
                    continue
                left = int((one.expires_at - now).total_seconds())
                why = f"{one.side} {one.quantity:f} {one.symbol} waits: {left} s are left"
                body = {"alert": "approval ends soon", "why": why, "until": one.expires_at}
                said = Entry(
                    kind="alert",
                    subject=str(one.id),
                    actor="engine",
                    body=body,
                    correlation_id=str(one.decision_id),
                )
                await self.trades.scribe.fact((Update(after),), (said,))
                log.warning("approval ends soon", **_ids_of(one), why=why)
                told += 1
            return told

    async def _carry_out(
        self,
        found: Approval,
        decision: Decision,
        view: MarketView,
        epoch: int,
        *,
        by: str,
        reason: str,
        actor: str,
    ) -> Approval:
        """From the judgement to the intent in one turn of the loop."""
        trades, now = self.trades, self.trades.clock.now()
        fresh = replace(decision, as_of=now, expires_at=found.expires_at)
        situation = trades.gate.situation_of(
            fresh,
            view,
            now,
            strategy=next((s for s in self.book.active() if s.id == found.strategy_id), None),
            circumstances=Circumstances(
                epoch=epoch, is_paced=_is_leg(decision), approval=risk.Approval.GIVEN
            ),
        )
        state = trade_for(
            fresh, reserve=risk.cost_to_reserve(situation), now=now, policy=trades.desk.policy
        )
        after = machine.consumed(
            found, state.order, self._configuration, by=by, reason=reason, now=now
        )
        judgement = risk.judge(situation)
        if judgement.denials:
            said = _entry("approval.refused", found, actor, by=by, **judgement.stored())
            await trades.scribe.fact((), (said,))
            why = ", ".join(f"{denial.code}: {denial.message}" for denial in judgement.denials)
            raise IllegalTransition(
                f"approval {found.id}: the risk rules refuse it now: {why}",
                state=found.state,
                allowed=("approve", "deny"),
            )
        said = _entry("approval.approved", after, actor, by=by, reason=reason)
        await trades.crew.begin(state, epoch=epoch, rows=(Update(after),), entries=(said,))
        return after

    async def _found(self, approval_id: ApprovalId) -> tuple[Approval, Decision]:
        records, agent_id = self.trades.records, self.settings.agent_id
        approval = await records.approval(agent_id, approval_id)
        decision = (
            None if approval is None else await records.decision(agent_id, approval.decision_id)
        )
        if approval is None or decision is None:
            raise NotFound(
                f"there is no approval {approval_id}; `tradesaga approvals ls` lists them"
            )
        return approval, decision

    async def _pending(self) -> Sequence[Approval]:
        return await self.approvals(limit=PENDING_MAX, state=ApprovalState.PENDING)

    async def _commit(self, after: Approval, kind: str, actor: str) -> None:
        await self.trades.scribe.fact((Update(after),), (_entry(kind, after, actor),))

    async def _view(self, symbol: str) -> MarketView:
        spent = self.trades.desk.holdings.spent  # before the account is asked
        account = await self.trades.venue.account()
        await self.trades.gate.watchers.losses.saw(account.equity)
        held = {s for s, quantity in self.trades.desk.holdings.positions.items() if quantity}
        quotes = await self.trades.market_data.quotes(sorted({symbol, *held}))  # exposure: all
        watched = frozenset(name for s in self.book.active() for name in s.symbols)
        if self.settings.rebalance is not None:
            watched |= self.settings.rebalance.targets.keys()
        return MarketView(quotes=quotes, account=account, tradable=watched, spent=spent)

    def _session_end(self, now: datetime) -> datetime | None:
        if not self.settings.market_hours_only:
            return None
        session = self.trades.gate.market.calendar.regular_at(now)
        return None if session is None else session.close

    @property
    def _configuration(self) -> str:
        return self.settings.identity.configuration


def _is_leg(decision: Decision) -> bool:
    """Whether it is one of a rebalance, which the rules on pace leave alone."""
    return decision.strategy_id is None and decision.model == Origin.REBALANCE


def _ids_of(approval: Approval) -> dict[str, str]:
    """What a line of the log says it is about."""
    decision = str(approval.decision_id)
    return {
        "approval_id": str(approval.id),
        "decision_id": decision,
        "correlation_id": decision,
    }


def _entry(kind: str, approval: Approval, actor: str, **more: object) -> Entry:
    body = {
        "symbol": approval.symbol,
        "side": approval.side,
        "quantity": approval.quantity,
        "digest": approval.digest,
        "state": approval.state,
        "by": approval.decided_by,
        "reason": approval.reason,
        "until": approval.expires_at,
        **more,
    }
    return Entry(
        kind=kind,
        subject=str(approval.id),
        actor=actor,
        body=body,
        correlation_id=str(approval.decision_id),
    )
