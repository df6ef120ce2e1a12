"""The page on security is complete and true: each row has tests that exist, or a reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tradesaga.config import load
from tradesaga.config.keys import KEYS
from tradesaga.config.listing import as_json, render

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "tradesaga").rglob("*.py"))
NUMBERS = range(1, 37)
WORDS_OF_A_REASON_MIN = 5
RUNS_CODE = {"pickle", "marshal", "shelve", "dill", "code", "runpy"}
CALLS_CODE = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
CANARY = "canary5ecret"


def rows() -> list[list[str]]:
    text = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in text.splitlines()
        if re.match(r"\| \d", line)
    ]


def test_every_number_has_its_row() -> None:
    assert [int(row[0]) for row in rows()] == list(NUMBERS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_has_tests_that_exist_or_a_reason(row: list[str]) -> None:
    _, what, tests, *reason = row
    assert what
    named = re.findall(r"`(tests/[^`]+)`", tests)
    assert named or len(" ".join(reason).strip(" |").split()) >= WORDS_OF_A_REASON_MIN
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), f"{name} is no file"
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"def {function or 'test_'}", text), f"{name} is no test"


def test_nothing_is_read_that_can_run_code() -> None:
    found = []
    for path in SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{path.name}: {name}" for name in names if name in RUNS_CODE]
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                own_fields = "noqa: S102 -- of " in lines[node.lineno - 1]  # of a class of ours
                if not own_fields and called in (
                    "eval",
                    "exec",
                    "yaml.load",
                    "yaml.unsafe_load",
                    "yaml.full_load",
                ):
                    found.append(f"{path.name}: {called}")
    assert found == []


def test_no_value_is_put_into_sql() -> None:
    """Only names out of a list of ours stand in statements that are put together."""
    # Quoted names, numbers, and files of ours.
    allowed = {"roles.py", "database.py", "migrate.py", "invariants.py"}
    asks = {"execute", "fetch", "fetchval", "fetchrow", "executemany", "cursor", "prepare"}
    found = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        if "postgres" in path.parts and path.name not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in asks
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert found == []


def test_a_secret_of_the_configuration_is_shown_nowhere() -> None:
    secrets = [key.path for key in KEYS.values() if key.secret]
    assert secrets
    environment = {
        "DB_HOST": "db", "DB_PORT": "1", "NATS_URL": "nats://x:1",
        **{"ORCHESTRATOR__" + path.replace(".", "__").upper(): CANARY for path in secrets},
    }  # fmt: skip
    loaded = load(None, environment)
    for shown in (render(loaded), str(as_json(loaded)), repr(loaded), str(loaded.settings)):
        assert CANARY not in shown
