"""What a client asks of the wire: one request, one answer, or a reason in the words of OSError.

OSError      no connection, connection lost
BadAnswer    one of these: what came is no answer, or too much
NotSent      `leave` said why not; nothing has left us
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}

Leave = Callable[[], str]
"""Why the request may not be sent now; empty when it may."""


class BadAnswer(ConnectionError):
    """What came is no answer to us."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go to; `authority` is what they say of that themselves."""

    is_secure: bool
    host: str
    port: int
    authority: str

    @classmethod
    def of(cls, url: str) -> Origin:
        """Of an http or https URL. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address")
        host = parts.hostname.encode("idna").decode("ascii")
        bracketed = f"[{host}]" if ":" in host else host
        return cls(
            is_secure=parts.scheme == "https",
            host=host,
            port=parts.port or PORTS[parts.scheme],
            authority=bracketed if parts.port is None else f"{bracketed}:{parts.port}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `target` is the encoded path with its query.

    `leave` is asked once there is a connection, and nothing comes between its word and the first
    byte. An answer of more than `bytes_max` is none.
    """

    origin: Origin
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = None
    leave: Leave | None = None
    bytes_max: int

    def encoded(self) -> bytes:
        """As it stands on the wire. Raises ValueError when a part of it would end its line."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Host: {self.origin.authority}")
        if self.body is not None:
            lines.append(f"Content-Length: {len(self.body)}")
        bad = [line for line in lines if not (line.isascii() and line.isprintable())]
        if bad or not (self.target.isascii() and self.target.isprintable()) or " " in self.target:
            raise ValueError(f"no request can say {bad or self.target!r}")
        head = "\r\n".join((f"{self.method} {self.target} HTTP/1.1", *lines, "", ""))
        return head.encode("ascii") + (self.body or b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer in full; the names of `headers` are small, of several of one name the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Carries requests; nothing is sent twice."""

    async def send(self, request: Request) -> Answer:
        """Send it once. Raises OSError and NotSent, as the module says."""

    async def close(self) -> None:
        """Close all connections."""
