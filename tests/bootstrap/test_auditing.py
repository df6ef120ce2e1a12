"""`tradesaga audit`: what it prints, how it ends, and that its export can be checked again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import change
from tradesaga.bootstrap import auditing, verifying
from tradesaga.bootstrap.auditing import AuditOptions, export_log, verify_file, verify_log
from tradesaga.cli import audit as command
from tradesaga.cli import run
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.domain.errors import Invalid
from tradesaga.domain.ids import AgentId

AGENT = AgentId(UUID("00000000-0000-7000-8000-000000000001"))
"""The default of the configuration."""


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn, agent=AGENT) as parts:
        await parts.journal.commit(change(agent_id=AGENT))
        yield parts


@pytest.fixture
def there(parts: Running, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = verifying.system_of

    def system(*given: object) -> object:
        made = found(*given)  # type: ignore[arg-type]  # handed on as it came
        return type(made)(
            settings=made.settings, dsn=parts.dsn, venue=made.venue, market_clock=None
        )

    monkeypatch.setattr(auditing, "system_of", system)
    return {
        "DB_HOST": "db.test", "DB_PORT": "5432", "NATS_URL": "nats://bus.test:4222",
    }  # fmt: skip


async def test_what_was_exported_can_be_checked(there: dict[str, str], tmp_path: Path) -> None:
    found = await verify_log(AuditOptions(), there, anchors=[])
    assert (found.rows, found.faults) == (2, [])
    path = tmp_path / "log.jsonl"
    with path.open("xb") as out:
        assert await export_log(AuditOptions(), there, after=0, until=None, out=out) == 2
    anchor = auditing.anchor_of(found.head)
    assert verify_file(path, anchors=[anchor]).head == found.head
    with pytest.raises(Invalid, match="NUMBER:HASH"):
        verify_file(path, anchors=["somewhere"])
    with pytest.raises(Invalid, match="cannot be read"):
        verify_file(tmp_path / "none", anchors=[])


async def test_text_json_and_exit_code(
    there: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.jsonl"
    with path.open("xb") as out:
        await export_log(AuditOptions(), there, after=0, until=None, out=out)
    assert run(["audit", "verify", "--file", str(path)]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "the chain is whole, its head is"
    assert run(["audit", "verify", "--file", str(path), "--anchor", lines[-1]]) == ExitCode.OK
    capsys.readouterr()
    path.write_bytes(path.read_bytes().replace(b'"epoch":1', b'"epoch":2', 1))
    assert command.verify(file=path, output="json") == ExitCode.FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["whole"], told["faults"][0]["seq"], told["agentId"]) == (False, 1, str(AGENT))
    assert run(["audit", "verify", "--file", str(path)]) == ExitCode.FAILED
    assert capsys.readouterr().out.startswith("row 1: its hash is not that of its content")
