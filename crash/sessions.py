"""Database sessions that outlive the lives that use them.

A session that has planned the product's statements costs a tenth of a new one, so each zygote
keeps two sets of them and its lives take turns. What the server sees of a kill stays the same: a
statement that was under way runs to its end, whoever waits for it, and may land while the next
life, on the other set, is starting. Before a set is lent again its sessions are rolled back and
forget their prepared statements. A life finds its sessions by the very words with which it would
have opened them; for words never heard before it opens one of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncpg.protocol import Protocol
from typing_extensions import override

SECONDS_MAX = 5.0
TERMINATE = b"X\x00\x00\x00\x04"
READY, DATA_ROW, ERROR = b"Z", b"D", b"E"
SYNC = b"S\x00\x00\x00\x04"
TOKEN = b"forgotten"
FORGET = b"rollback; deallocate all; reset all; select '%s'\x00" % TOKEN
Opening = tuple[str, bytes]
"""Where a session is opened, and with which words."""


@dataclass(slots=True)
class Session:
    """One session, as its keeper has it; `greeting` is what the server said to the opening."""

    line: socket.socket
    greeting: bytes

    @classmethod
    def opened(cls, opening: Opening) -> Session:
        """A fresh one. Raises OSError."""
        path, words = opening
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(SECONDS_MAX)
        line.connect(path)
        line.sendall(words)
        said = b""
        while True:
            kind, body = _message(line)
            said += kind + (len(body) + 4).to_bytes(4, "big") + body
            if kind == READY:
                return cls(line, said)
            if kind == ERROR:
                raise ConnectionError(body.decode(errors="replace"))

    def forget(self) -> None:
        """Back to where it was opened, whatever its last user left behind. Raises OSError."""
        self.line.sendall(SYNC + b"Q" + (len(FORGET) + 4).to_bytes(4, "big") + FORGET)
        heard = False
        while True:
            kind, body = _message(self.line)
            heard |= kind == DATA_ROW and body.endswith(TOKEN)
            if heard and kind == READY:
                return


def _message(line: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(line, 5)
    return head[:1], _exactly(line, int.from_bytes(head[1:], "big") - 4)


def _exactly(line: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = line.recv(size - len(read))
        if not part:
            raise ConnectionError("the server has closed the session")
        read += part
    return read


Lent = Mapping[Opening, list[Session]]


@dataclass(slots=True)
class Keeper:
    """A zygote's sets; every life gets the one that the life before it did not have."""

    _needed: Counter[Opening] = field(default_factory=Counter)
    _sets: list[dict[Opening, list[Session]]] = field(default_factory=lambda: [{}, {}])

    def learn(self, openings: Counter[Opening]) -> None:
        """What a life has needed, the next ones will need."""
        self._needed |= openings

    def lend(self) -> Lent:
        """The sessions for the next life, all as good as new."""
        lent, next_time = self._sets
        self._sets = [next_time, lent]
        for opening, number in self._needed.items():
            kept = [each for each in lent.get(opening, ()) if _forgets(each)]
            kept += [Session.opened(opening) for _ in range(number - len(kept))]
            lent[opening] = kept
        return lent

    def close(self) -> None:
        """End all sessions."""
        for sessions in (sessions for lent in self._sets for sessions in lent.values()):
            for session in sessions:
                session.line.close()


def _forgets(session: Session) -> bool:
    try:
        session.forget()
    except OSError:  # ended by the server, or by the life: another one takes its place
        session.line.close()
        return False
    return True


class _Line:
    """What asyncpg writes to: the first words choose the session, the last are kept back."""

    def __init__(self) -> None:
        self.opening = b""
        self.target: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)

    def get_extra_info(self, name: str) -> Any:
        return None if self.target is None else self.target.get_extra_info(name)

    def write(self, data: Any) -> None:
        if self.target is None:
            self.opening += bytes(data)
        elif data == TERMINATE:  # the session is not ours to end
            self.target.abort()
        else:
            self.target.write(data)


class _Handover(asyncio.Protocol):
    """Gives a connected socket to a protocol that believes it has opened it."""

    def __init__(self, line: _Line, user: Any) -> None:
        self._line, self._user = line, user

    @override
    def connection_made(self, transport: Any) -> None:
        self._line.target = transport
        transport.set_protocol(self._user)


class BorrowingLoop(asyncio.SelectorEventLoop):
    """The event loop of a life: what it opens is taken from `lent` as long as there is some."""

    def __init__(self, lent: Lent) -> None:
        super().__init__()
        self._lent = {opening: list(sessions) for opening, sessions in lent.items()}
        self.opened: Counter[Opening] = Counter()

    @override
    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: str | None = None, **how: Any
    ) -> Any:
        user = protocol_factory()
        if not isinstance(user, Protocol) or path is None:
            return await super().create_unix_connection(lambda: user, path, **how)
        line = _Line()
        user.connection_made(line)
        opening = (path, line.opening)
        self.opened[opening] += 1
        free = self._lent.get(opening)
        if not free:
            await super().create_unix_connection(lambda: _Handover(line, user), path, **how)
            line.target.write(line.opening)
            return line, user
        session = free.pop(0)
        own = socket.socket(fileno=os.dup(session.line.fileno()))
        own.setblocking(False)
        await super().create_unix_connection(lambda: _Handover(line, user), sock=own)
        user.data_received(session.greeting)
        return line, user
