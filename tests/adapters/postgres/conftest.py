"""Fixtures for tests of the schema itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.servers import Servers

_numbers = itertools.count()


@pytest.fixture
async def empty_dsn(run_servers: Servers) -> AsyncIterator[str]:
    """DSN of a fresh database without any migration."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"empty_{worker}_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(run_servers.admin_dsn, timeout=15, command_timeout=15)
    try:
        await admin.execute(f"create database {name} template template0")
        yield run_servers.admin_dsn.replace("/postgres?", f"/{name}?")
        await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()
