"""A terminal in which commands run against a server that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.fake_access import ADMIN
from tests.api.fakes import Api
from tradesaga.cli import run


@pytest.fixture(scope="module")
def built() -> Api:
    return Api()


@pytest.fixture
async def api(built: Api) -> AsyncIterator[Api]:
    fresh = built.fresh()
    async with fresh.client:
        yield fresh


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs commands in a thread: each has an event loop of its own, the server has ours."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    async def types(self, *tokens: str, url: str) -> Said:
        self._capture.readouterr()
        code = await asyncio.to_thread(run, [*tokens, "--url", url])
        out, err = self._capture.readouterr()
        return Said(code, out, err)


@pytest.fixture(autouse=True)
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands show the token of all scopes, from the file that the environment names."""
    path = tmp_path / "admin-token"
    path.touch(mode=0o600)
    path.write_text(ADMIN + "\n")
    monkeypatch.setenv("TRADESAGA_TOKEN_FILE", str(path))
    return path


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)
