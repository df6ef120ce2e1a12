"""The application with its fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.fakes import Api


@pytest.fixture(scope="session")
def built() -> Api:
    return Api()


@pytest.fixture
async def api(built: Api) -> AsyncIterator[Api]:
    fresh = built.fresh()
    async with fresh.client:
        yield fresh
