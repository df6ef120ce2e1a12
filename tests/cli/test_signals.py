"""A process that serves leaves no core dump: it would hold every secret."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import asyncio, resource
from tradesaga.cli.signals import run_until_signalled
async def server(stop):
    print(resource.getrlimit(resource.RLIMIT_CORE))
run_until_signalled(server)
"""


def test_a_process_that_serves_dumps_no_core() -> None:
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert said.stdout == "(0, 0)\n"
