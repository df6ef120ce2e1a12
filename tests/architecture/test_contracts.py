"""The import contracts of pyproject.toml hold, and would say so if they did not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = "from importlinter.cli import lint_imports_command as main; main()"

PLANTED = {
    "ports/planted.py": ("import tradesaga.engine", "Layers point inwards"),
    "domain/planted.py": ("import asyncio", "The domain is pure"),
    "engine/planted.py": ("import time", "Engine and ports reach the world only through ports"),
    "api/planted.py": ("import asyncpg", "Each library has one home"),
    "adapters/nats/planted.py": (
        "import tradesaga.adapters.postgres",
        "Adapters do not know each other",
    ),
    "cli/planted.py": (
        "import tradesaga.adapters.system",
        "Only bootstrap names concrete adapters",
    ),
    "paper/planted.py": (
        "import tradesaga.ports.clock",
        "The simulated neighbours and the embedded servers know nothing of the orchestrator",
    ),
    "bootstrap/planted.py": (
        "import tradesaga.testing",
        "Production code never imports the test kit",
    ),
}


def linted(root: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the package under `root`/src."""
    config = str(root / "pyproject.toml")
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, "--config", config, "--no-cache"],
        cwd=root / "src",
        env={"PYTHONPATH": str(root / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timeout(60)
def test_the_contracts_hold() -> None:
    done = linted(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.mark.timeout(60)
def test_planted_violations_are_found(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "tradesaga"
    shutil.copytree(ROOT / "src" / "tradesaga", package, ignore=shutil.ignore_patterns("data"))
    for path, (line, _) in PLANTED.items():
        (package / path).write_text(f'"""Planted."""\n\n{line}\n', encoding="utf-8")
    done = linted(tmp_path)
    assert done.returncode == 1, done.stderr
    said = done.stdout.splitlines()
    broken = [line for line in said if " BROKEN" in line]
    for contract in (contract for _, contract in PLANTED.values()):
        assert any(line.startswith(contract) for line in broken), (contract, broken)
