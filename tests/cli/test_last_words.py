"""What a process says that ends by an error which nobody expected: no secret is in it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CANARY = "tsk_CANARYcanaryCANARYcanaryCANARYcanaryCANARYc"
SCRIPT = f"""
import asyncio, sys
import tradesaga.cli.serve as serve
from tradesaga.adapters import logging as log_output
from tradesaga.cli import main

CANARY = {CANARY!r}

async def journal():
    password = CANARY  # a local, which no traceback shows
    raise ConnectionError(f"no answer from postgresql://tradesaga:{{password}}@db/x")

async def bus():
    raise KeyError(CANARY)

async def api():
    await asyncio.sleep(0)
    raise RuntimeError(f"refused with Authorization: Bearer {{CANARY}}")

async def serve_until(loaded, options, stop):
    log_output.configure(level="info", form=sys.argv[1])
    lost = asyncio.get_running_loop().create_future()
    lost.set_exception(ValueError(f"nats://user:{{CANARY}}@bus"))
    del lost  # asyncio tells of an error that nobody has asked for
    async with asyncio.TaskGroup() as group:
        group.create_task(journal())
        group.create_task(bus())
        group.create_task(api())

serve.serve_until = serve_until
main(["serve"])
"""


@pytest.mark.timeout(120)  # a process of its own, on a machine that may be busy
@pytest.mark.parametrize(("form", "traceback"), [("json", ""), ("text", "1")])
def test_a_crash_shows_no_secret(form: str, traceback: str) -> None:
    environment = {
        **os.environ,
        "DB_HOST": "127.0.0.1",
        "DB_PORT": "1",
        "NATS_URL": "nats://127.0.0.1:1",
        "DB_PASSWORD": CANARY,
        "NATS_TOKEN": CANARY,
        "TRADESAGA_TRACEBACK": traceback,
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form],
        env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "unexpected ConnectionError" in said
    assert "***" in said
    assert ("Traceback" in done.stderr) >= bool(traceback)
    assert "never retrieved" in said
    assert "CANARY" not in said
