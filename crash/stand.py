"""The stand: a database, the server for what is outside, and lanes of zygotes that run lives."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from crash.life import TELL, End, Plan
from crash.oracle import Oracle
from crash.server import Server
from crash.wire import frame, read
from tradesaga.adapters.postgres.decoding import set_codecs

LIFE_SECONDS_MAX = 10.0
TELL_SECONDS = 0.5
"""So long one that hangs has to tell where."""
ROOT = Path(__file__).parents[1]


class Lane:
    """One zygote: one life at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._to, self._from = process.stdin, process.stdout
        self._frozen: int | None = None

    async def live(self, plan: Plan) -> End:
        """Run one life to its end; one that does not become quiet in time is ended by force."""
        self._to.write(frame(plan))
        pid: int = await read(self._from)
        try:
            async with asyncio.timeout(LIFE_SECONDS_MAX):
                end: End = await read(self._from)
        except TimeoutError:
            # The zygote has not reaped it: the number is still its own.
            os.kill(pid, TELL)
            await asyncio.sleep(TELL_SECONDS)
            os.kill(pid, signal.SIGKILL)
            told = await read(self._from)
            where = told.error or "it ended after all"
            why = f"not quiet after {LIFE_SECONDS_MAX:.0f} s: {where}"
            return End(error=why, hung=True)
        self._frozen = pid if end.frozen else None
        return end

    def thaw(self) -> bool:
        """Let a frozen life go on; whether there is one."""
        if self._frozen is None:
            return False
        os.kill(self._frozen, signal.SIGCONT)  # the zygote has not reaped it either
        self._frozen = None
        return True

    async def end(self) -> None:
        """Let the zygote end."""
        self._to.close()
        await self._process.wait()


class Stand:
    """What all schedules share."""

    def __init__(self, dsn: str, socket: Path, server: Server, oracle: Oracle) -> None:
        self.dsn = dsn
        self.socket = socket
        self.server = server
        self.oracle = oracle
        self.lanes: asyncio.Queue[Lane] = asyncio.Queue()
        self.lanes_number = 0


@asynccontextmanager
async def stand(dsn: str, directory: Path, lanes: int) -> AsyncIterator[Stand]:
    """Everything up, on a migrated database."""
    socket = directory / "outside.sock"
    server = Server()
    async with AsyncExitStack() as stack:
        connections = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=2 * lanes,
            max_cacheable_statement_size=0,  # the question of the invariants is a long one
            init=set_codecs,
            server_settings={
                "search_path": "orchestration",
                "timezone": "UTC",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
            },
        )
        stack.push_async_callback(connections.close)
        listening = await server.start(socket)
        stack.callback(listening.close)
        found = Stand(dsn, socket, server, Oracle(connections))
        for _ in range(lanes):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "crash.zygote", str(os.getpid()), cwd=ROOT,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            lane = Lane(process)
            stack.push_async_callback(lane.end)
            found.lanes.put_nowait(lane)
            found.lanes_number += 1
        yield found
