"""schemathesis against the served document, with each scope and with none.

It makes requests from the document, right and wrong ones, and looks at every answer: no 500, no
status, header, media type or field that is not in the document, nothing wrong that is taken, no
method that is not listed. Left out is the check that everything right by the schema is taken:
what a command may do depends on the state, and a cursor or a key on what was sent before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import pytest
from typing_extensions import override

from tests.api.fake_access import secret_of
from tests.api.fake_repeats import Store
from tests.api.fakes import Api
from tests.api.serving import served
from tradesaga.api.app import document
from tradesaga.domain.access import AccessScope
from tradesaga.domain.ids import AgentId
from tradesaga.domain.repeats import KeptAnswer
from tradesaga.ports.journal import Entry, Row

CASES_EACH = 2
SEED = 20260101
FLAGS = (
    *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
    *("--max-examples", str(CASES_EACH), "--seed", str(SEED)),
    *("--no-color", "--warnings", "off", "--request-timeout", "20"),
    *("--exclude-path", "/api/v1/events"),  # without an end
)


SETTINGS = """\
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 415, 421, 422, 429, 431]
"""


class Forgetful(Store):
    """Keeps no answers: a repeat is answered as at first, whatever is wrong with its headers."""

    @override
    async def kept_answer(self, agent_id: AgentId, row_id: UUID) -> KeptAnswer | None:
        return None

    @override
    async def fact(self, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        self.kept.clear()
        await super().fact(rows, entries)


class Hurried(Api):
    """A minute passes between two looks at the clock, so that no bucket is ever empty."""

    @override
    def _monotonic(self) -> float:
        self.seconds += 60
        return self.seconds


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="make installs it")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scope", [*AccessScope, None])
async def test_no_answer_breaks_the_contract(scope: AccessScope | None, tmp_path: Path) -> None:
    api = Hurried(Forgetful())
    phases = "coverage,fuzzing" if scope is AccessScope.ADMIN else "coverage"
    (tmp_path / "openapi.json").write_bytes(document())
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    authorization = () if scope is None else ("-H", f"Authorization: Bearer {secret_of(scope)}")
    async with served(api.app) as address:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("st")),
            *("run", "openapi.json", "--url", address, *authorization, *FLAGS),
            *("--phases", phases),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
    assert process.returncode == 0, "\n".join(line[:300] for line in said.splitlines()[-200:])
    assert api.metrics.errors == []
