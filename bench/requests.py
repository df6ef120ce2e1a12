"""Requests to the API at a steady rate, over connections that are kept, and a flood of them.

Arrivals follow the clock whatever is still open, and a request's time counts from when it was due,
so a stall is paid by everything that waits.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

CONNECTIONS_MAX = 64
Request = tuple[str, str, bytes]
"""Method, path, body."""
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Client:
    """Keeps some connections to one address; one request at a time on each.

    `statuses` counts answers by status, 0 for one that was cut off.
    """

    port: int
    token: str
    waits: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    _idle: list[_Connection] = field(default_factory=list)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS_MAX))

    async def ask(self, request: Request, due: float, kind: str) -> None:
        """Send one; milliseconds since `due` are kept under `kind`."""
        async with self._free:
            try:
                reader, writer = await self._connection()
                writer.write(bytes_of(request, self.token))
                self.statuses[await answer_status(reader)] += 1
                self._idle.append((reader, writer))
            except (OSError, asyncio.IncompleteReadError):
                self.statuses[0] += 1
        self.waits.setdefault(kind, []).append((time.perf_counter() - due) * 1000)

    async def steadily(
        self, requests: Sequence[tuple[Request, str]], per_second: float, seconds: float
    ) -> None:
        """Send them in turn for so long."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_second * seconds)):
                due = began + number / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                request, kind = requests[number % len(requests)]
                group.create_task(self.ask(request, due, kind))

    def close(self) -> None:
        """Let go of the connections."""
        for _, writer in self._idle:
            writer.close()

    async def _connection(self) -> _Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()  # the server lets go of those that stand idle
        return await asyncio.open_connection("127.0.0.1", self.port)


def bytes_of(request: Request, token: str) -> bytes:
    """The request as it is sent."""
    method, path, body = request
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answer_status(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, which is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = head.partition("content-length:")[2].partition("\r")[0]
    await reader.readexactly(int(length or 0))
    return int(head.split(" ", 2)[1])


async def flood(port: int, connections: int, seconds: float) -> Counter[int]:
    """Requests without a token, as fast as answers come, on so many connections; what came."""
    statuses: Counter[int] = Counter()
    until = time.perf_counter() + seconds

    async def one() -> None:
        while time.perf_counter() < until:
            writer = None
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                while time.perf_counter() < until:
                    writer.write(bytes_of(("GET", "/api/v1/agent/status", b""), ""))
                    statuses[await answer_status(reader)] += 1
            if writer is not None:
                writer.close()
            statuses[0] += time.perf_counter() < until  # cut off
            await asyncio.sleep(0)

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds + 1), asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())
    return statuses


def main() -> None:
    """Flood an address of this machine for a bounded time, and print what came as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    statuses = asyncio.run(flood(options.port, options.connections, options.seconds))
    print(" ".join(f"{status}:{number}" for status, number in sorted(statuses.items())))


if __name__ == "__main__":
    main()
