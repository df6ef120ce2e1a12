"""The tidy check over the repository, and proof that it finds what is planted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tidy

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)  # seconds of work, on a machine that may be busy
@pytest.mark.parametrize("folder", ["src/tradesaga", "tests", "bench", "sim"])
def test_the_repository_is_tidy(folder: str) -> None:
    assert tidy.findings(ROOT / folder) == []


DOC = '"""What it is."""\n'
PLANTED = {
    "a long file": ("engine/long.py", DOC + "x = 1\n" * 400, "401 lines, at most 400"),
    "a long function": (
        "engine/deep.py",
        DOC + "def deep() -> None:\n" + "    x = 1\n" * 70,
        "deep.py:2: deep has 71 lines, at most 70",
    ),
    "a long coroutine": (
        "engine/deep.py",
        DOC + "async def deep() -> None:\n" + "    x = 1\n" * 70,
        "deep has 71 lines",
    ),
    "no docstring": ("engine/mute.py", "x = 1\n", "no module docstring"),
    "a long docstring": ("engine/talk.py", '"""' + "word\n" * 21 + '"""\n', "more than 20 lines"),
    "an empty name": ("engine/utils.py", DOC, "name it after what it holds"),
    "an open end": ("engine/open.py", DOC + "x = 1  # TO" + "DO later\n", "open.py:2: an open end"),
    "a float type": ("domain/money.py", DOC + "x: float\n", "money.py:2: a float among money"),
    "a float number": ("domain/orders.py", DOC + "x = 0.5\n", "orders.py:2: a float among money"),
    "a coroutine": ("domain/saga.py", DOC + "async def f() -> None: ...\n", "is synchronous"),
    "a clock": (
        "domain/saga.py",
        DOC + "import time\n",
        "saga.py:2: the domain does not import time",
    ),
    "a library": (
        "domain/saga.py",
        DOC + "from msgspec import Struct\n",
        "does not import msgspec",
    ),
    "an orphan": ("engine/alone.py", DOC, "alone.py: nobody imports it"),
}


def planted(folder: Path, path: str, text: str) -> Path:
    """A package `tradesaga` with one module and one that imports it."""
    package = folder / "tradesaga"
    module = package / path
    module.parent.mkdir(parents=True)
    module.write_text(text, encoding="utf-8")
    main = package / "__main__.py"
    name = ".".join(Path(path).with_suffix("").parts)
    main.write_text(f"{DOC}import tradesaga.{name}\n", encoding="utf-8")
    return package


@pytest.mark.parametrize("offence", PLANTED)
def test_a_planted_offence_is_found(offence: str, tmp_path: Path) -> None:
    path, text, expected = PLANTED[offence]
    package = planted(tmp_path, path, text)
    if offence == "an orphan":
        (package / "__main__.py").write_text(DOC, encoding="utf-8")
    (found,) = tidy.findings(package)
    assert expected in found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("engine/full.py", DOC + "x = 1\n" * 399),
        ("engine/deep.py", DOC + "def deep() -> None:\n" + "    x = 1\n" * 69),
        ("engine/talk.py", '"""' + "word\n" * 19 + '"""\n'),
        ("engine/open.py", DOC + "x = 1  # TO" + "DO(#12) later\n"),
        ("domain/market_clock.py", DOC + "import struct\nx = 0.5\n"),
    ],
)
def test_at_the_limit_nothing_is_found(path: str, text: str, tmp_path: Path) -> None:
    assert tidy.findings(planted(tmp_path, path, text)) == []


def test_a_package_that_only_imports_itself_is_an_orphan(tmp_path: Path) -> None:
    package = planted(tmp_path, "engine/alone.py", DOC + "import tradesaga.engine.alone\n")
    (package / "__main__.py").write_text(DOC, encoding="utf-8")
    assert len(tidy.findings(package)) == 1


def test_the_command_says_what_is_broken_and_fails(tmp_path: Path) -> None:
    package = planted(tmp_path, "engine/utils.py", DOC)
    script = str(ROOT / "tests" / "architecture" / "tidy.py")
    done = subprocess.run(
        [sys.executable, script, str(package)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "utils.py: name it after what it holds" in done.stdout
    (package / "engine" / "utils.py").rename(package / "engine" / "words.py")
    (package / "__main__.py").write_text(DOC + "import tradesaga.engine.words\n", encoding="utf-8")
    again = subprocess.run([sys.executable, script, str(package)], check=False)
    assert again.returncode == 0


def test_a_module_named_in_a_string_is_loaded_late(tmp_path: Path) -> None:
    package = planted(tmp_path, "cli/late.py", DOC)
    (package / "__main__.py").write_text(DOC, encoding="utf-8")
    (package / "cli" / "__init__.py").write_text(DOC + 'COMMAND = "late:run"\n', encoding="utf-8")
    assert tidy.findings(package) == []
