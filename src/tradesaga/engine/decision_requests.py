"""Questions to the decision makers that wait for their answer.

An answer is matched by the request id that the service echoes, in the payload or as correlation
id; when it echoes none, by its symbol if exactly one question about that symbol is open. An answer
that matches nothing is unsolicited. The bus delivery stays unacknowledged until the decision that
came of it is committed; until then a second telling of it is neither an answer nor unsolicited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import ANALYSIS_REQUESTED, DecisionGenerated, Event, Incoming
from tradesaga.domain.ids import CycleId, DecisionId, question_id
from tradesaga.domain.schedule import EPOCH
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.token_bucket import Rate, TokenBucket
from tradesaga.domain.trace_context import TraceContext
from tradesaga.ports.bus import Delivery
from tradesaga.ports.journal import Entry, InboxEntry, Insert
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.tracing import UNTRACED, Tracer


@dataclass(frozen=True, slots=True)
class Answer:
    """A proposal and the delivery that brought it."""

    proposal: Proposal
    delivery: Delivery


@dataclass(slots=True, eq=False)
class Question:
    """One strategy asked about one symbol; no strategy: an answer that nobody asked for."""

    request_id: str
    strategy: Strategy | None
    symbol: str
    asked_at: datetime
    decision_id: DecisionId | None = None
    """What the answer will be known by, if we have asked: the question's own id."""
    answer: Answer | None = None
    cycle_id: CycleId | None = None
    since: int = 0
    asked_in: TraceContext | None = None
    """When and where it was asked, for whoever traces."""

    @property
    def name(self) -> str:
        """The strategy's external id, for people."""
        return self.strategy.external_id if self.strategy is not None else "unsolicited"


def question_about(symbol: str, strategy: Strategy, cycle_id: CycleId, now: datetime) -> Question:
    """What a cycle asks a strategy; the answer will be known by the question's id."""
    name = question_id(cycle_id, strategy.id, symbol)
    return Question(str(name), strategy, symbol, now, decision_id=name, cycle_id=cycle_id)


def question_entry(
    question: Question, cycle_id: CycleId, *, held: Decimal, equity: Decimal
) -> Entry:
    """What the log and the bus have of a question."""
    strategy = question.strategy
    assert strategy is not None, "only a strategy asks"
    payload = {
        "requestId": question.request_id,
        "cycleId": cycle_id,
        "strategyId": strategy.external_id,
        "symbol": question.symbol,
        "symbols": [question.symbol],
        "analysisType": "full",
        "priority": "normal",
        "requestedAt": question.asked_at,
        "context": {
            "strategy": {"type": strategy.type, "parameters": dict(strategy.parameters)},
            "position": {"quantity": held},
            "equity": equity,
        },
    }
    event = Event(type=ANALYSIS_REQUESTED, payload=payload, correlation_id=question.request_id)
    body: dict[str, str | Decimal] = {"symbol": question.symbol, "held": held}
    return Entry(
        kind="analysis.requested",
        subject=str(cycle_id),
        actor="engine",
        body={"strategyId": strategy.external_id, **body},
        event=event,
    )


@dataclass(slots=True, eq=False)
class Round:
    """The questions of one cycle; `complete` is set with the last answer."""

    questions: Sequence[Question]
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class DecisionRequests:
    """All rounds that are open, and how often may be asked."""

    def __init__(self, rate: Rate | None = None, tracer: Tracer = UNTRACED) -> None:
        self._tracer = tracer
        self._open: list[Round] = []
        self._in_hand: set[str] = set()
        self._bucket = None if rate is None else TokenBucket(rate, 0.0)

    def affordable(
        self, questions: Sequence[Question], held: Container[str], now: datetime
    ) -> Sequence[Question]:
        """Those that the rate allows, in their order; about what is held first, from the reserve.

        The others are for the next cycle: nobody waits here.
        """
        if self._bucket is None:
            return questions
        seconds, found = (now - EPOCH).total_seconds(), list[Question]()
        for question in sorted(questions, key=lambda q: (q.symbol not in held, _is_shadow(q))):
            if not self._bucket.take(seconds, urgent=question.symbol in held):
                found.append(question)
        return [question for question in questions if question in found]

    def ask(self, questions: Sequence[Question]) -> Round:
        """Open a round; close it with `end`."""
        asked = Round(questions)
        if self._tracer.is_on:
            for question in questions:
                question.since, question.asked_in = self._tracer.moment(), self._tracer.here()
        if not questions:
            asked.complete.set()
        self._open.append(asked)
        return asked

    def end(self, asked: Round) -> None:
        """Answers that come from now on are unsolicited."""
        self._open.remove(asked)
        for question in asked.questions:
            if question.answer is None:
                self._told(question, "unanswered")

    def still_wants(self, row: OutboxRow) -> bool:
        """Whether the event is no question, or one whose answer somebody waits for."""
        return row.type != ANALYSIS_REQUESTED or any(
            question.request_id == row.correlation_id
            for asked in self._open
            for question in asked.questions
        )

    def is_in_hand(self, proposal: Proposal) -> bool:
        """Whether a cycle has the decision, and has neither committed it nor given it up."""
        return decision_key(proposal) in self._in_hand

    def settled(self, questions: Sequence[Question]) -> None:
        """What the cycle made of the answers is committed, or the cycle has ended without."""
        for question in questions:
            if question.answer is not None:
                self._in_hand.discard(decision_key(question.answer.proposal))

    def expects(self, proposal: Proposal, delivery: Delivery) -> bool:
        """Whether the proposal names an open question as the one that it answers."""
        return echoed_by(proposal, delivery) is not None and any(
            _matching(asked, proposal, delivery) is not None for asked in self._open
        )

    def answer(self, proposal: Proposal, delivery: Delivery) -> bool:
        """Whether the proposal answers an open question that has no answer yet."""
        for asked in self._open:
            question = _matching(asked, proposal, delivery)
            if question is None:
                continue
            question.answer = Answer(proposal, delivery)
            self._told(question, "answered")
            self._in_hand.add(decision_key(proposal))
            if all(q.answer is not None for q in asked.questions):
                asked.complete.set()
            return True
        return False

    def _told(self, question: Question, outcome: str) -> None:
        """It is over with the question: the first span of the decision's trace."""
        if self._tracer.is_on:
            self._tracer.told(
                "decision",
                since=question.since,
                about=question.request_id,
                first=True,
                links=() if question.asked_in is None else (question.asked_in,),
                cycle_id=str(question.cycle_id),
                decision_id=question.request_id,
                correlation_id=question.request_id,
                outcome=outcome,
            )


def _is_shadow(question: Question) -> bool:
    return question.strategy is not None and question.strategy.is_shadow


def _matching(asked: Round, proposal: Proposal, delivery: Delivery) -> Question | None:
    unanswered = [q for q in asked.questions if q.answer is None]
    echoed = echoed_by(proposal, delivery)
    if echoed is not None:  # a late answer to an older question is no answer to this one
        return next((q for q in unanswered if q.request_id == echoed), None)
    candidates = [
        q
        for q in unanswered
        if q.symbol == proposal.symbol
        and q.strategy is not None
        and proposal.strategy_id in (None, q.strategy.external_id, str(q.strategy.id))
    ]
    return candidates[0] if len(candidates) == 1 else None


def echoed_by(proposal: Proposal, delivery: Delivery) -> str | None:
    """The id of the question that the proposal says it answers; None when it names none."""
    incoming = delivery.incoming
    return proposal.request_id or (incoming.correlation_id if incoming is not None else None)


def decision_key(proposal: Proposal) -> str:
    """The inbox key of a decision: a re-published one has a new event id, but the same of these."""
    return f"decision:{proposal.external_id}"


def nonces_of(incoming: Incoming) -> Sequence[str]:
    """The inbox key of the nonce that a signed decision bears."""
    told = incoming.content
    key = told.nonce_key if isinstance(told, DecisionGenerated) else None
    return () if key is None else (key,)


def taken(answer: Answer, now: datetime) -> list[Insert]:
    """Inbox rows: event, decision under its own id, and nonce never have an effect again."""
    by = answer.delivery.incoming
    assert by is not None, "an unreadable message is no answer"
    return [
        Insert(InboxEntry(event_id=key, event_type=by.type, source=by.source, received_at=now))
        for key in (by.event_id, decision_key(answer.proposal), *nonces_of(by))
    ]
