"""`tradesaga up --paper` as a process: watched through its database, and killed in parts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from faults.processes import children_of
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.paper.recordings import DEFAULT_DATA

POLL_SECONDS = 0.004
STRATEGIES = [
    {"name": "quick-cross", "type": "sma_crossover", "symbols": ["SPY"],
     "parameters": {"fast": 2, "slow": 4, "gap_percent": 0, "exit_before_close_minutes": 0}},
    {"name": "quick-breakout", "type": "breakout", "symbols": ["SPY"],
     "parameters": {"period": 3, "exit_period": 2, "exit_before_close_minutes": 0}},
]  # fmt: skip


def write_recording(directory: Path, *, minutes: int, skip: int = 0) -> Path:
    """The first `minutes` of the recorded SPY sessions, after `skip` of them."""
    lines = Path(DEFAULT_DATA[0]).read_text(encoding="utf-8").splitlines()
    path = directory / "bars.csv"
    path.write_text("\n".join([lines[0], *lines[1 + skip : 1 + skip + minutes]]) + "\n")
    return path


def write_strategies(directory: Path) -> Path:
    """Strategies that trade every few minutes."""
    path = directory / "strategies.json"
    path.write_text(json.dumps(STRATEGIES))
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Up:
    """One life of the whole; `stop` ends it, whatever became of it."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        variables: Mapping[str, str] | None = None,
        schema: str = SCHEMA,
    ) -> None:
        self.state_dir = state_dir
        self.schema = schema
        self.port = free_port()
        self.output_path = state_dir.parent / f"{state_dir.name}-up.txt"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "NATS_"))}
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "tradesaga", "up", "--paper",
                    "--state-dir", str(state_dir), "--port", str(self.port), *arguments,
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment | {"NO_COLOR": "1"} | dict(variables or {}), start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self.output_path.read_text(errors="replace")

    async def connect(self, seconds: float = 30) -> asyncpg.Connection[asyncpg.Record]:
        """A connection to the product's own database, as soon as there is one."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return await connect(self.state_dir, self.schema)
            except (OSError, asyncpg.PostgresError, IndexError, ValueError):
                assert self.process.poll() is None, self.output
                assert time.monotonic() < deadline, self.output
                await asyncio.sleep(0.05)

    async def until(
        self, query: str, *arguments: object, wanted: object = True, seconds: float = 60
    ) -> None:
        """Wait until the query's one value is `wanted`; reconnects when the server dies."""
        deadline = time.monotonic() + seconds
        connection = await self.connect()
        try:
            while True:
                try:
                    if await connection.fetchval(query, *arguments) == wanted:
                        return
                except (
                    OSError,
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,  # the server died while it answered
                ):
                    connection = await self.connect()
                assert time.monotonic() < deadline, f"{query} {arguments}\n{self.output}"
                assert self.process.poll() is None, f"{query} {arguments}\n{self.output}"
                await asyncio.sleep(POLL_SECONDS)
        finally:
            connection.terminate()

    async def ask(self, query: str) -> Any:
        """The query's one value, on a connection of its own."""
        connection = await self.connect()
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def pid_of(self, word: str) -> int | None:
        """The child whose command line has `word` as an argument or program name."""
        for pid in children_of(self.process.pid):
            try:
                parts = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if word in {Path(part.decode(errors="replace")).name for part in parts if part}:
                return pid
        return None

    async def kill(self, word: str) -> int:
        """SIGKILL one child; waits for it to be there."""
        deadline = time.monotonic() + 30
        while (pid := self.pid_of(word)) is None:
            assert time.monotonic() < deadline, self.output
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def ended(self, seconds: float) -> int:
        """The exit code."""
        deadline = time.monotonic() + seconds
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, self.output
            await asyncio.sleep(0.05)
        return code

    async def ended_but_for_cycles(self, seconds: float) -> bool:
        """Whether it ended well, or with failed cycles and no other complaint.

        A cycle that loses its process, or its database for longer than a commit waits, has failed;
        what it had begun is ended by those that follow.
        """
        code = await self.ended(seconds)
        complaints = re.findall(
            r"^(FAILED|UNRESOLVED|UNSETTLED|BROKEN) ", self.output, re.MULTILINE
        )
        return code == 0 or (code == 1 and set(complaints) == {"FAILED"})

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


async def connect(state_dir: Path, schema: str = SCHEMA) -> asyncpg.Connection[asyncpg.Record]:
    """To the database `ai_trader` over the embedded server's socket."""
    socket_file = next((state_dir / "run").glob(".s.PGSQL.*[0-9]"), None)
    if socket_file is None:
        raise ValueError("no socket yet")
    port = int(socket_file.name.rpartition(".")[2])
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        host=str(state_dir / "run"), port=port, user="tradesaga", database="ai_trader", timeout=15,
        command_timeout=15, server_settings={"search_path": schema},
    )  # fmt: skip
    return connection


async def rows(
    connection: asyncpg.Connection[asyncpg.Record], query: str
) -> Sequence[Mapping[str, Any]]:
    return [dict(row) for row in await connection.fetch(query)]
