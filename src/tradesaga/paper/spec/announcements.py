"""What the services tell by themselves: changes of the session, and heartbeats."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tradesaga.domain.market import SessionKind
from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.paper.identifiers import fresh_uuid7
from tradesaga.paper.outbox import Outbox
from tradesaga.paper.sessions import Transition, next_transition, transitions
from tradesaga.paper.spec.events import event
from tradesaga.paper.spec.service import Service
from tradesaga.paper.store import Outgoing, Store

MARKET_DATA = "market-data"
_MARK = "sessions_announced"
_MEMORY = Path("/proc/self/statm")


class SessionAnnouncer:
    """Publishes each change of session once, also those jumped over, also across restarts."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox
        mark = store.mark(_MARK)
        self._until = None if mark is None else datetime_of(int(mark))
        self._next: datetime | None = None

    def announce(self, now: datetime) -> None:
        """Tell of every change up to `now` that has not been told."""
        if self._until is None:
            self._until = now
        if self._next is None:
            self._next = next_transition(self._until).at
        if now < self._next:
            return
        events = [told for change in transitions(self._until, now) for told in _events(change)]
        marks = [(_MARK, str(micros_of(now)))]
        self._outbox.add(self._store.commit(now=now, events=events, marks=marks))
        self._until, self._next = now, None


def _events(change: Transition) -> list[Outgoing]:
    payload = {
        "previousSession": change.before,
        "currentSession": change.after,
        "market": "US_EQUITY",
        "effectiveAt": change.at,
        "nextChange": next_transition(change.at).at,
    }
    kinds = ["market.session.changed"]
    if change.after is SessionKind.REGULAR:
        kinds.append("market.session.opened")
    if change.before is SessionKind.REGULAR:
        kinds.append("market.session.closed")
    return [
        event(kind, MARKET_DATA, change.at, payload, about=(change.at.isoformat(),))
        for kind in kinds
    ]


def heartbeat(
    service: Service, now: datetime, last: Outgoing | None, connected: Callable[[], bool]
) -> Outgoing:
    """The `system.heartbeat` of a service."""
    payload: dict[str, Any] = {
        "service": service.name,
        "instance": f"{service.name}-{os.getpid()}",
        "status": service.status,
        "uptime": service.uptime_seconds,
        "memory": _memory(),
        "cpu": round(time.process_time(), 3),
        "connections": {"database": True, "eventBus": connected(), "cache": True},
    }
    if last is not None:
        payload["lastProcessed"] = {"eventType": last.event_type, "timestamp": now}
    return event("system.heartbeat", service.name, now, payload, about=(str(fresh_uuid7()),))


def _memory() -> dict[str, int]:
    try:
        resident = int(_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return {"used": 0, "total": 0}
    return {"used": resident, "total": total}
