"""What the simulated neighbours must not lose, in one SQLite file: books, decisions, outbox.

Everything that a call has changed, and the events that tell of it, goes in one transaction before
anybody hears of it; so the process may be killed at any moment. Write-ahead log without a sync per
commit: it survives the death of the process, and a power failure costs the last moments at most.

Refuses a state directory that holds a run on other data: its positions would have no prices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct

from tradesaga.domain.errors import Invalid
from tradesaga.domain.market_clock import datetime_of, micros_of
from tradesaga.paper.orders import Account, Order

DECISIONS_KEPT = 10_000
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists orders (number integer primary key, body blob not null);
create table if not exists decisions (
  number integer primary key, decision_id text not null unique, body blob not null
);
create table if not exists outbox (
  number integer primary key autoincrement, body blob not null
);
"""
_encode = msgspec.json.Encoder().encode
_order = msgspec.json.Decoder(Order).decode
_account = msgspec.json.Decoder(Account).decode


class Outgoing(Struct, frozen=True, kw_only=True):
    """An event on its way to the bus; `body` is the whole message, `trace` its traceparent."""

    event_id: str
    event_type: str
    source: str
    symbol: str | None
    body: bytes
    trace: str | None = None


_outgoing = msgspec.json.Decoder(Outgoing).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The state as the last life of the process left it."""

    account: Account
    orders: list[Order]
    outbox: list[tuple[int, Outgoing]]
    last_moment: datetime | None


class Store:
    """The SQLite file; all methods are synchronous and take well under a millisecond."""

    def __init__(self, path: Path, *, fingerprint: str, start_cash: Decimal) -> None:
        """Open or make the file. Raises Invalid when it belongs to other data."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_SCHEMA)
        self._start_cash = start_cash
        self._moment_us = 0
        known = self._meta("fingerprint")
        if known not in (None, fingerprint):
            self._db.close()
            raise Invalid(
                [
                    f"{path}: holds a run on other recorded data; choose another state directory, "
                    "or remove this file and market-clock beside it to begin anew"
                ]
            )
        self._put("fingerprint", fingerprint)

    def load(self) -> Loaded:
        """Everything that was committed."""
        account = self._meta("account")
        moment = self._meta("moment")
        outbox = self._db.execute("select number, body from outbox order by number")
        orders = self._db.execute("select body from orders order by number")
        return Loaded(
            account=Account(cash=self._start_cash, positions={})
            if account is None
            else _account(account),
            orders=[_order(body) for (body,) in orders],
            outbox=[(number, _outgoing(body)) for number, body in outbox],
            last_moment=None if moment is None else datetime_of(int(moment)),
        )

    def commit(
        self,
        *,
        now: datetime,
        account: Account | None = None,
        orders: Iterable[Order] = (),
        decision: tuple[str, bytes] | None = None,
        events: Iterable[Outgoing] = (),
        marks: Iterable[tuple[str, str]] = (),
    ) -> list[tuple[int, Outgoing]]:
        """Make it all durable at once; answers the events with their places in the outbox."""
        placed: list[tuple[int, Outgoing]] = []
        with self._transaction():
            if account is not None:
                self._put("account", _encode(account).decode())
            for order in orders:
                self._db.execute(
                    "insert or replace into orders (number, body) values (?, ?)",
                    (order.number, _encode(order)),
                )
            if decision is not None:
                self._db.execute(
                    "insert or ignore into decisions (decision_id, body) values (?, ?)", decision
                )
            for event in events:
                cursor = self._db.execute("insert into outbox (body) values (?)", (_encode(event),))
                assert cursor.lastrowid is not None
                placed.append((cursor.lastrowid, event))
            for key, value in marks:
                self._put(key, value)
            self._moment_us = max(self._moment_us, micros_of(now))
            self._put("moment", str(self._moment_us))
        return placed

    def sent(self, number: int) -> None:
        """Forget the events up to and with that place: the bus has them."""
        self._db.execute("delete from outbox where number <= ?", (number,))

    def mark(self, key: str) -> str | None:
        """A value written by `marks`."""
        return self._meta(key)

    def decision(self, decision_id: str) -> bytes | None:
        """The stored answer of that id."""
        row = self._db.execute(
            "select body from decisions where decision_id = ?", (decision_id,)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def decisions(self, before: int | None, limit: int) -> list[tuple[int, bytes]]:
        """The newest answers with their numbers, those below `before` if it is given."""
        rows = self._db.execute(
            "select number, body from decisions where number < ? order by number desc limit ?",
            (before if before is not None else 1 << 62, limit),
        )
        return [(number, bytes(body)) for number, body in rows]

    def prune(self) -> None:
        """Keep the newest ten thousand decisions."""
        self._db.execute(
            "delete from decisions where number <= (select max(number) from decisions) - ?",
            (DECISIONS_KEPT,),
        )

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("select value from meta where key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _put(self, key: str, value: str) -> None:
        self._db.execute("insert or replace into meta (key, value) values (?, ?)", (key, value))
