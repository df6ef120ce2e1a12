"""The documentation against the repository: links, commands, keys and lists that must agree.

What a page names must exist; what a reference page lists must be all there is.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tradesaga import cli, config
from tradesaga.adapters.postgres.migrate import migrations
from tradesaga.adapters.postgres.queries import load
from tradesaga.bootstrap.translation import engine_settings
from tradesaga.bootstrap.venue_check import DESCRIPTIONS
from tradesaga.config.keys import KEYS
from tradesaga.domain import events
from tradesaga.domain.agent import Mode
from tradesaga.domain.risk import BOUNDS, RULES, codes, on_the_wire
from tradesaga.paper.faults import FaultKind
from tradesaga.paper.strategies import PARAMETERS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "tradesaga"
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.rglob("*.md")),
]
PLACES = (ROOT, SOURCES, SOURCES / "adapters" / "postgres")
"""Where a path in backticks may begin."""
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|sql|yaml|md))`")
KEY = re.compile(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)`")
VARIABLE = re.compile(r"\b((?:DB|NATS|TRADESAGA|ORCHESTRATOR)_[A-Z_]*[A-Z])\b")
FLAG = re.compile(r"^--[a-z-]+")
TERMINAL = re.compile(r"^(?: {4,}| *)(tradesaga .*)$", re.MULTILINE)
INLINE = re.compile(r"`(tradesaga [^`\n]+)`")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(text_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            broken.append(target)
    assert broken == []


@every_page
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = PATH.findall(text_of(page))
    gone = [one for one in named if not any((place / one).exists() for place in PLACES)]
    assert [one for one in gone if "NNNN" not in one] == []


@pytest.mark.parametrize(
    ("name", "lines_max"), [("ARCHITECTURE.md", 120), ("CONTRIBUTING.md", 80), ("README.md", 100)]
)
def test_the_first_pages_are_short(name: str, lines_max: int) -> None:
    assert len(text_of(ROOT / name).splitlines()) <= lines_max


def test_readme_says_how_to_run_test_and_read() -> None:
    text = text_of(ROOT / "README.md")
    assert "make run" in text
    assert "make test" in text
    in_the_table = [link for link in LINK.findall(text) if link.startswith("src/tradesaga/")]
    assert sum(link.endswith((".py", ".sql")) for link in in_the_table) >= 5


def test_every_page_can_be_found_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = (link.partition("#")[0] for link in LINK.findall(text_of(page)))
        waiting += [(page.parent / one).resolve() for one in targets if one.endswith(".md")]
    assert sorted({*DOCS.rglob("*.md")} - seen) == []


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    pages = sorted((DOCS / "decisions").glob("0*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    listed = LINK.findall(text_of(DOCS / "decisions" / "README.md"))
    assert sorted(listed) == [page.name for page in pages]
    for page in pages:
        headings = re.findall(r"^## (.+)$", text_of(page), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page.name


# ---- commands ------------------------------------------------------------------------------------


def commands_in(text: str) -> Iterator[list[str]]:
    for line in (*TERMINAL.findall(text), *INLINE.findall(text)):
        try:
            words = shlex.split(line.split("  ")[0], comments=True)[1:]
        except ValueError:  # prose with an apostrophe
            continue
        yield [word.rstrip(".,:;") for word in words]


@cache
def help_of(command: tuple[str, ...]) -> str | None:
    """What `--help` prints; None when there is no such command."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.run([*command, "--help"])
    return said.getvalue() if code == 0 else None


def names_a_command(word: str) -> bool:
    return re.fullmatch(r"[a-z]+(?:-[a-z]+)*", word) is not None


@every_page
def test_commands_and_flags_that_a_page_names_exist(page: Path) -> None:
    unknown = []
    for words in commands_in(text_of(page)):
        command: tuple[str, ...] = ()
        for word in words:
            if not names_a_command(word) or len(command) == 2:
                break
            command = (*command, word)
        told = help_of(command)
        if told is None:
            unknown.append(" ".join(command))
            continue
        flags = {found[0] for word in words if (found := FLAG.match(word.strip("[]")))}
        unknown += [f"{command}: {flag}" for flag in flags - {"--help"} if flag not in told]
    assert unknown == []


def test_an_unknown_command_or_flag_would_be_found() -> None:
    assert help_of(("fly",)) is None
    assert "--fly" not in (help_of(("up",)) or "")
    assert list(commands_in("    tradesaga up --fly  # why\nsee `tradesaga cycles ls`.")) == [
        ["up", "--fly"],
        ["cycles", "ls"],
    ]


# ---- configuration -------------------------------------------------------------------------------


@cache
def source_text() -> str:
    kinds = ("*.py", "*.yaml")
    return "\n".join(text_of(path) for kind in kinds for path in sorted(SOURCES.rglob(kind)))


def is_key_or_section(name: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for key in KEYS)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "rest.md"], ids=name_of)
def test_configuration_keys_that_a_page_names_exist(page: Path) -> None:
    sections = {key.partition(".")[0] for key in KEYS}
    named = [name for name in KEY.findall(text_of(page)) if name.partition(".")[0] in sections]
    # kinds of log entries look the same: `agent.created`; so do the fields of answers in rest.md
    kinds = {name for name in named if f'"{name}"' in source_text()}
    assert [name for name in named if name not in kinds and not is_key_or_section(name)] == []


@every_page
def test_variables_that_a_page_names_exist(page: Path) -> None:
    keys = {key.replace(".", "__").upper() for key in KEYS}
    unknown = []
    for name in VARIABLE.findall(text_of(page)):
        prefix, _, path = name.partition("ORCHESTRATOR__")
        known = path in keys if path and not prefix else name in source_text()
        if not known:
            unknown.append(name)
    assert unknown == []


# ---- reference pages list all that there is ------------------------------------------------------


def reference(name: str) -> str:
    return text_of(DOCS / "reference" / name)


def first_column(text: str) -> set[str]:
    """All names in backticks in the first cell of a table's rows."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def table_rows(text: str) -> list[list[str]]:
    """The cells of every row of a page's tables, headers left out with their lines."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def section(text: str, heading: str) -> str:
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_published_events_are_all_described() -> None:
    declared = {
        value
        for name, value in vars(events).items()
        if name.isupper() and isinstance(value, str) and value.startswith("orchestrator.")
    }
    listed = first_column(section(reference("events.md"), "Published"))
    assert {name for name in declared if name.startswith("orchestrator.strategy.")} == {
        "orchestrator.strategy.activated",
        "orchestrator.strategy.deactivated",
    }
    short = {name.replace("orchestrator.strategy.", ".") for name in declared - listed}
    assert short <= listed
    assert listed - declared <= short


def test_the_tables_and_migrations_are_all_described() -> None:
    text = reference("sql.md")
    known = migrations()
    assert first_column(section(text, "Migrations")) == {
        f"{migration.version}_{migration.name}.sql" for migration in known
    }
    sql = "\n".join(migration.sql for migration in known).lower()
    tables = set(re.findall(r"create table orchestration\.(\w+)", sql))
    assert first_column(section(text, "Tables")) == tables
    views = set(re.findall(r"create view orchestration\.(\w+)", sql))
    assert all(f"`{view}`" in section(text, "Views") for view in views)


def test_the_invariants_are_all_described() -> None:
    described = first_column(section(reference("sql.md"), "Invariants"))
    assert described == {*load("invariants"), "I12_chain", *DESCRIPTIONS}


def test_the_faults_and_rules_of_the_simulated_neighbours_are_all_described() -> None:
    text = reference("paper.md")
    assert {*FaultKind} <= first_column(section(text, "Faults"))
    for kind, parameters in PARAMETERS.items():
        assert kind in first_column(section(text, "ai-decision"))
        assert all(f"`{name}`" in text for name in parameters), kind


def test_every_reason_to_deny_an_order_is_described() -> None:
    text = reference("risk.md")
    rows = {cells[1]: cells for cells in table_rows(section(text, "Rules")) if "`" in cells[1]}
    assert {code: rows[f"`{code}`"][0] for code in codes()} == {
        rule.code: str(rule.number) for rule in RULES
    }
    assert len(rows) == len(RULES)
    for rule in RULES:
        assert rows[f"`{rule.code}`"][-1] == ("bound" if rule.binds_exits else "bypass"), rule.code
    assert "`ACTION_UNKNOWN`" in text


def test_every_limit_and_every_rule_that_is_off_is_described() -> None:
    text = reference("risk.md")
    assert first_column(section(text, "Limits")) == {bounds.wire for bounds in BOUNDS.values()}
    assert first_column(section(text, "Off")) == {"DECISION_BUDGET", "SECTOR_LIMIT", "CLOCK_SKEW"}


def test_the_limits_of_the_modes_are_those_of_the_configuration() -> None:
    """The page's figures, in the order conservative, normal, aggressive."""
    profiles = engine_settings(
        config.load(None, {"DB_HOST": "db", "DB_PORT": "1", "NATS_URL": "nats://h"}).settings
    ).limits
    modes = [
        on_the_wire(profiles[mode]) for mode in (Mode.CONSERVATIVE, Mode.NORMAL, Mode.AGGRESSIVE)
    ]
    for cells in table_rows(section(reference("risk.md"), "Limits")):
        name = cells[0].strip("`")
        if name in modes[0]:
            assert [cell.strip("`") for cell in cells[1:4]] == [
                str(m[name]).lower() for m in modes
            ], name
