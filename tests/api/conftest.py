"""The application with its fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.fakes import Api
from tradesaga.api import gate


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers who ask too often are not kept waiting in tests, but where that is looked at."""
    monkeypatch.setattr(gate, "HELD_SECONDS", 0.0)


@pytest.fixture(scope="session")
def built() -> Api:
    return Api()


@pytest.fixture
async def api(built: Api) -> AsyncIterator[Api]:
    fresh = built.fresh()
    async with fresh.client:
        yield fresh
