"""Fixtures of the simulated neighbours: quick, ungoverned, on the run's NATS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.paper.served import MARKET, Client, Heard, hearing, served, settings_of
from tradesaga.paper.settings import PaperSettings

SPEED = 600.0


@pytest.fixture
def settings(tmp_path: Path, nats_url: str, nats_token: str, subject_prefix: str) -> PaperSettings:
    return settings_of(tmp_path / "state", nats_url, nats_token, subject_prefix, SPEED)


@pytest.fixture
async def heard(settings: PaperSettings) -> AsyncIterator[Heard]:
    token = settings.nats_token or ""
    async with hearing(settings.nats_url, token, settings.subject_prefix) as (heard, _):
        yield heard


@pytest.fixture
async def paper(settings: PaperSettings, heard: Heard) -> AsyncIterator[Client]:
    async with served(settings) as client:
        await client.until(MARKET, "/quotes?symbols=SPY", lambda body: body["quotes"])
        yield client
