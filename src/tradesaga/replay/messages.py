"""The messages of a recorded life: each in its turn, and never before what it answers.

A decision answers a request, an event about an order follows its submit. Another engine may ask
later than that of the recording did; the message waits for it then. Cycles have the ids that they
had, and so have their requests; to a request with another id goes what was said to the one that it
takes the place of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tradesaga.adapters.nats.envelope import Envelope
from tradesaga.domain.events import ANALYSIS_REQUESTED
from tradesaga.domain.orders import VenueReport
from tradesaga.domain.signed_decisions import Refusal
from tradesaga.replay.bus import CarryingBus
from tradesaga.replay.reels import Reel
from tradesaga.replay.tape import ADMITTED, Line
from tradesaga.replay.telling import ToldClock

_WORD = re.compile(r'"([^"\\]{8,128})"')


class _Question(msgspec.Struct, rename="camel"):
    request_id: str
    strategy_id: str
    symbol: str


_question = msgspec.json.Decoder(_Question).decode
_report = msgspec.json.Decoder(VenueReport | None).decode


class Messages:
    """Hands the recorded messages to the bus."""

    def __init__(self, clock: ToldClock, lines: Sequence[Line]) -> None:
        self._clock = clock
        questions = [line for line in lines if line.kind == "question"]
        self._questions = Reel(questions, lambda line: _about(_question(line.body)))
        self._causes = {each: each for each in (_question(q.body).request_id for q in questions)}
        self._since: dict[str, datetime] = {}
        for line in lines:
            if line.name == "submit":
                self._causes[line.key] = line.key
                self._since.setdefault(line.key, line.at)
                if (report := _report(line.body)) is not None:
                    self._causes[report.venue_order_id] = line.key
        self._there: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._held = defaultdict[str, list[Line]](list)
        self.bus: CarryingBus | None = None

    def sent(self, client_order_id: str) -> None:
        """An order has left: what was said of it may come."""
        self._caused(client_order_id)

    def hear(self, event_type: str, body: bytes) -> None:
        """A question of the engine's: it takes the place of the recorded one."""
        if event_type != ANALYSIS_REQUESTED:
            return
        asked = _question(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["payload"])
        if asked.request_id in self._causes:
            self._caused(asked.request_id)
            return
        line = self._questions.take(_about(asked), self._clock.standing)
        if line is not None:
            then = _question(line.body).request_id
            self._renamed[then] = asked.request_id
            self._caused(then)

    def come(self, line: Line) -> None:
        """It is its turn."""
        text = msgspec.json.decode(line.body, type=str)
        words = (self._causes.get(word) for word in _WORD.findall(text))
        cause = next((word for word in words if word is not None), None)
        # What was said of an order before its submit was said of one that a former life had sent.
        follows = cause is not None and line.at >= self._since.get(cause, line.at)
        if cause is not None and follows and cause not in self._there:
            self._held[cause].append(line)
            return
        if cause in self._renamed:
            text = text.replace(cause, self._renamed[cause])
        assert self.bus is not None, "somebody listens"
        verdict = _verdict(line.code) if line.code else None
        self.bus.come(line.name, text.encode(), line.at, verdict)

    def _caused(self, cause: str) -> None:
        self._there.add(cause)
        for line in self._held.pop(cause, []):
            self.come(line)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What was said of a signature then; implements `adapters.nats.payloads.Check`."""

    refused: Refusal | None

    def refusal(self, _envelope: Envelope, _now: datetime) -> Refusal | None:
        return self.refused


def _verdict(code: str) -> _Verdict:
    return _Verdict(None if code == ADMITTED else Refusal(code))


def _about(asked: _Question) -> tuple[str, str]:
    return asked.strategy_id, asked.symbol
