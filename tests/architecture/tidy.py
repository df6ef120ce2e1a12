"""What the house style promises and no linter checks.

    python tests/architecture/tidy.py src/tradesaga [more folders]

prints one line for each broken promise and ends with 1 if there is any. For every module: its
length and that of its functions, a module docstring of bounded length, a name that says something,
no TODO without its issue. For the package `tradesaga` also: a domain that is synchronous, imports
only what is listed here and keeps floats away from money, and no module that nobody imports.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
DOCSTRING_LINES_MAX = 20
EMPTY_NAMES = frozenset(
    ("base", "common", "generic", "helper", "helpers", "manager", "misc", "shared", "util", "utils")
)
MONEY_MODULES = frozenset({
    "decisions", "limits", "money", "orders", "pace_rules", "performance", "rebalance",
    "situation",
    "size_rules", "state_rules", "trade_messages", "trade_saga", "verdicts",
})  # fmt: skip
"""Modules of the domain in which a float would be somebody's money."""
DOMAIN_MAY_IMPORT = frozenset({
    "__future__", "bisect", "collections", "cronsim", "dataclasses", "datetime", "decimal", "enum",
    "functools", "hashlib", "itertools", "math", "re", "struct", "tradesaga", "types", "typing",
    "uuid", "zoneinfo",
})  # fmt: skip
ENTRY_POINTS = frozenset({"__main__"})
"""Modules that are run, not imported."""
EXAMPLE = "TODO(#12)"
OPEN_END = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))")


@dataclass(frozen=True)
class Module:
    """One source file, parsed once. `package` is the folder that was asked about."""

    package: Path
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def parts(self) -> tuple[str, ...]:
        """Its dotted name below the package; `__init__` is dropped."""
        parts = self.path.relative_to(self.package).with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def name(self) -> str:
        return ".".join((self.package.name, *self.parts))

    def at(self, node: ast.stmt | ast.expr) -> str:
        return f"{self.path}:{node.lineno}"


def modules_of(package: Path) -> list[Module]:
    """Every module under the folder, in the order of their paths."""
    return [Module(package, path) for path in sorted(package.rglob("*.py"))]


def findings(package: Path) -> list[str]:
    """All broken promises under the folder."""
    modules = modules_of(package)
    found = [line for module in modules for line in of_module(module)]
    if package.name == "tradesaga":
        for module in modules:
            if module.parts[:1] == ("domain",):
                found += of_domain(module)
        found += unused(modules)
    return found


def of_module(module: Module) -> Iterator[str]:
    """What is promised of every module."""
    lines = module.text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{module.path}: {len(lines)} lines, at most {FILE_LINES_MAX}"
    if module.path.stem in EMPTY_NAMES:
        yield f"{module.path}: name it after what it holds"
    yield from _of_docstring(module)
    readable = io.StringIO(module.text if OPEN_END.search(module.text) else "")
    for token in tokenize.generate_tokens(readable.readline):
        if token.type == tokenize.COMMENT and OPEN_END.search(token.string):
            place = f"{module.path}:{token.start[0]}"
            yield f"{place}: an open end needs its issue, as in {EXAMPLE}"
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                what = f"{node.name} has {length} lines"
                yield f"{module.at(node)}: {what}, at most {FUNCTION_LINES_MAX}"


def _of_docstring(module: Module) -> Iterator[str]:
    said = ast.get_docstring(module.tree)
    if said is None:
        # a test's name says what it is, so there only what else supports it must say more
        if module.text.strip() and not module.path.stem.startswith("test_"):
            yield f"{module.path}: no module docstring"
    elif len(said.splitlines()) > DOCSTRING_LINES_MAX:
        yield f"{module.path}: module docstring of more than {DOCSTRING_LINES_MAX} lines"


def of_domain(module: Module) -> Iterator[str]:
    """What is promised of the domain alone."""
    for node in module.nodes:
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{module.at(node)}: the domain is synchronous"
            case ast.Import() | ast.ImportFrom():
                roots = {name.partition(".")[0] for name in _imported(node)}
                for root in sorted(roots - DOMAIN_MAY_IMPORT):
                    yield f"{module.at(node)}: the domain does not import {root}"
            case ast.Name(id="float") | ast.Constant(value=float()):
                if module.path.stem in MONEY_MODULES:
                    yield f"{module.at(node)}: a float among money"


def unused(modules: Iterable[Module]) -> Iterator[str]:
    """Modules that no other one imports or names in a string ("package.module:name", loaded late).

    The test kit is imported by tests alone.
    """
    modules = list(modules)
    importers: dict[str, set[str]] = {}
    for module in modules:
        own = module.name
        for node in module.nodes:
            for name in _named(node, module):
                importers.setdefault(name, set()).add(own)
    for module in modules:
        run, kit = module.path.stem in ENTRY_POINTS, module.parts[:1] == ("testing",)
        package = module.path.stem == "__init__"
        if not (run or kit or package or importers.get(module.name, set()) - {module.name}):
            yield f"{module.path}: nobody imports it"


def _named(node: ast.AST, module: Module) -> Iterator[str]:
    match node:
        case ast.Import() | ast.ImportFrom():
            yield from _imported(node)
        case ast.Constant(value=str(text)):
            place, colon, _ = text.partition(":")
            yield place
            if colon and module.path.stem == "__init__":
                yield f"{module.name}.{place}"


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.module is not None:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


if __name__ == "__main__":
    broken = [line for folder in sys.argv[1:] for line in findings(Path(folder))]
    sys.stdout.writelines(f"{line}\n" for line in broken)
    sys.exit(1 if broken or len(sys.argv) == 1 else 0)
