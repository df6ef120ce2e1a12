"""What may lie in the repository: no trace of a machine, nothing skipped in silence, all pinned."""

from __future__ import annotations

import ast
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tradesaga.adapters.postgres.migrate import migrations

ROOT = Path(__file__).parents[2]
HOME = "(?:" + "|".join(("home", "Users", "root", "work", "tmp/venv")) + ")"
MACHINE_PATH = re.compile(rf"(?<![\w.$}}/~-])/{HOME}/(?!ada\b)[\w.-]+")
"""Ada is nobody: tests that need a home may say hers."""
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|\bhttps?://[^\s\"')>]*/simple\b")
PINNED = re.compile(r"^[A-Za-z0-9._-]+(?:\[[\w,-]+\])?==[^\s;]+( ; .+?)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
WAYS_TO_SKIP = frozenset({"skip", "skipif", "xfail", "importorskip"})


def tracked() -> list[Path]:
    """All text files that are or would be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"not a git checkout: {done.stderr}")
    paths = (ROOT / line for line in done.stdout.splitlines())
    return [p for p in paths if p.is_file() and p.suffix not in {".csv", ".gz", ".png"}]


def lines(path: Path) -> list[tuple[str, str]]:
    """Each line with its place."""
    name = path.relative_to(ROOT)
    text = path.read_text(encoding="utf-8").splitlines()
    return [(f"{name}:{number}", line) for number, line in enumerate(text, 1)]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = [
        (place, match.group())
        for path in tracked()
        for place, line in lines(path)
        if (match := MACHINE_PATH.search(line))
    ]
    assert found == []


def test_no_file_names_a_package_index() -> None:
    found = [
        (place, line.strip())
        for path in tracked()
        if path != Path(__file__)
        for place, line in lines(path)
        if INDEX.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "caught", "passed"),
    [
        (MACHINE_PATH, "see /" + "home/anna/notes", "GET /" + "homes/1"),
        (MACHINE_PATH, '"/' + 'Users/bo"', "$STATE/" + "home/x"),
        (INDEX, "--index" + "-url x", "an index"),
        (INDEX, "https" + "://pypi.example/simple/", "https://example.com/simpler"),
    ],
)
def test_the_patterns_catch_what_they_are_for(
    pattern: re.Pattern[str], caught: str, passed: str
) -> None:
    assert pattern.search(caught)
    assert not pattern.search(passed)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_and_hashed_and_come_from_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in text if line and not line.startswith("#")]
    assert wanted
    odd = [line for line in wanted if not (PINNED.match(line) or HASH.match(line))]
    assert odd == []
    for before, after in pairwise(wanted):
        assert not PINNED.match(before) or HASH.match(after), f"{before} has no hash"


def _skips(tree: ast.Module) -> list[tuple[int, bool]]:
    """Line of every skip, and whether it gives a reason."""
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WAYS_TO_SKIP:
            if ast.unparse(node) not in {f"pytest.{node.attr}", f"pytest.mark.{node.attr}"}:
                continue
            call = calls.get(id(node))
            named = call is not None and any(k.arg == "reason" for k in call.keywords)
            first = call is not None and node.attr in {"skip", "xfail"} and bool(call.args)
            found.append((node.lineno, named or first))
    return found


def test_nothing_is_skipped_without_a_reason() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line, reasoned in _skips(ast.parse(path.read_text(encoding="utf-8")))
        if not reasoned
    ]
    assert silent == []


def test_a_silent_skip_would_be_found() -> None:
    code = "@pytest.mark.skip\ndef a(): ...\npytest.skip()\npytest.skip('why')\nother.skip()\n"
    code += "@pytest.mark.skipif(True, reason='why')\ndef b(): ...\n"
    found = _skips(ast.parse(code))
    assert sorted(found) == [(1, False), (3, False), (4, True), (6, True)]


def test_migrations_are_numbered_without_gaps_and_all_of_them_run() -> None:
    folder = ROOT / "src/tradesaga/adapters/postgres/migrations"
    stems = sorted(path.stem for path in folder.iterdir() if path.suffix == ".sql")
    assert [stem[:4] for stem in stems] == [f"{n:04}" for n in range(1, len(stems) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", stem) for stem in stems)
    assert len(migrations()) == len(stems)


def test_no_file_that_a_tool_makes_is_committed() -> None:
    made = {".pyc", ".pyo", ".log", ".pid", ".sqlite"}
    assert [path for path in tracked() if path.suffix in made] == []
