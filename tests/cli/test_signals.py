"""How a process that serves ends, and that it leaves no core dump: it would hold every secret."""

from __future__ import annotations

import signal
import subprocess
import sys

CODE = """
import asyncio, resource
from tradesaga.cli.signals import run_until_signalled
async def server(stop):
    print(resource.getrlimit(resource.RLIMIT_CORE))
run_until_signalled(server)
"""
STUCK = """
import asyncio
from tradesaga.cli.signals import run_until_signalled
async def server(stop):
    print("serves", flush=True)
    await stop.wait()
    while True:  # as one that waits for the answer of a database that is gone
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
run_until_signalled(server, end_seconds_max=1)
"""


def test_a_process_that_serves_dumps_no_core() -> None:
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert said.stdout == "(0, 0)\n"


def test_one_that_cannot_end_in_good_order_is_ended_after_its_one_signal() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"serves\n"
            process.terminate()
            assert process.wait(15) == -signal.SIGALRM
        finally:
            process.kill()
