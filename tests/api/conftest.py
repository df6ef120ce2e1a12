"""The application with its fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.fakes import Api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = Api()
    async with made.client:
        yield made
