"""Where values come from: defaults, the file, the environment and flags, each later one winning.

Every source becomes a flat table from path to an assignment; what does not fit the tree of keys
becomes a problem. Nothing is substituted or interpreted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import override

from tradesaga.config.document import Branch, Document, Leaf
from tradesaga.config.keys import KEYS, ROOT, SECTIONS, below, remedy_for_unknown
from tradesaga.config.values import Untyped, shown

PREFIX: Final = "ORCHESTRATOR__"
"""Begins each environment variable that sets a key: `ORCHESTRATOR__SERVER__PORT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a value stands; `line` is 0 outside files."""

    source: str
    line: int = 0

    @override
    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source

    def in_words(self) -> str:
        """The same as a message says it."""
        return f"{self.source} line {self.line}" if self.line else self.source


DEFAULT: Final = Origin(source="default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A value as its source has it; `item_lines` for a list in a file."""

    value: object
    origin: Origin
    item_lines: tuple[int, ...] = ()


Layer = dict[str, Assignment]


def problem(path: str, what: str, origin: Origin, remedy: str) -> str:
    """One line that names the key, what is wrong, where, and what to do."""
    place = ROOT + (f".{path}" if path else "")
    return f"{place}: {what} ({origin.in_words()}); {remedy}"


def from_defaults() -> Layer:
    """The default of every key."""
    return {key.path: Assignment(value=key.default, origin=DEFAULT) for key in KEYS.values()}


def from_document(document: Document, problems: list[str]) -> Layer:
    """What the file assigns."""
    problems += document.problems
    layer: Layer = {}
    source = f"file {document.name}"
    for name, child in document.root.keys.items():
        if name == ROOT:
            _collect("", child, source, layer, problems)
            continue
        remedy = f"put all settings below {ROOT}:"
        problems.append(f"{name}: unknown key ({source} line {child.line}); {remedy}")
    if ROOT not in document.root.keys:
        problems.append(f"{ROOT}: the key is missing ({source}); put all settings below {ROOT}:")
    return layer


def _collect(
    path: str, node: Branch | Leaf, source: str, layer: Layer, problems: list[str]
) -> None:
    origin = Origin(source=source, line=node.line)
    if isinstance(node, Leaf):
        if node.value is not None:  # a section whose keys are all commented out is empty
            names = ", ".join(SECTIONS[path])
            what = f"{shown(node.value)} stands where a section belongs"
            problems.append(problem(path, what, origin, f"write its keys below it: {names}"))
        return
    for name, child in node.keys.items():
        here = below(path, name)
        place = Origin(source=source, line=child.line)
        if here in SECTIONS:
            _collect(here, child, source, layer, problems)
        elif here not in KEYS:
            problems.append(problem(here, "unknown key", place, remedy_for_unknown(path, name)))
        elif isinstance(child, Branch):
            problems.append(problem(here, "keys stand where a value belongs", place, "write one"))
        else:
            layer[here] = Assignment(value=child.value, origin=place, item_lines=child.item_lines)


def from_environment(environment: Mapping[str, str], problems: list[str]) -> Layer:
    """What variables of the form `ORCHESTRATOR__SERVER__PORT` assign, in any case of letters."""
    layer: Layer = {}
    for variable in sorted(environment):
        if not variable.upper().startswith(PREFIX):
            continue
        origin = Origin(source=f"environment {variable}")
        path = _known("", variable[len(PREFIX) :].split("__"), variable, problems)
        if path is None:
            continue
        if path in layer:
            other = layer[path].origin
            problems.append(problem(path, "set twice", origin, f"unset it or {other.source}"))
        layer[path] = Assignment(value=Untyped(environment[variable]), origin=origin)
    return layer


def _known(path: str, names: list[str], variable: str, problems: list[str]) -> str | None:
    """The path that the parts of a variable's name spell, whatever their case."""
    for name in names:
        by_lower = {known.lower(): known for known in SECTIONS.get(path, ())}
        found = by_lower.get(name.lower())
        if found is None:
            what = f"{variable}: names no key"
            remedy = remedy_for_unknown(path, name) if path in SECTIONS else "drop the last part"
            problems.append(f"{what}, {name!r} is unknown (environment); {remedy}")
            return None
        path = below(path, found)
    if path in KEYS:
        return path
    parts = ", ".join(f"{variable}__{name.upper()}" for name in SECTIONS[path])
    problems.append(f"{variable}: names a section (environment); set one of its keys: {parts}")
    return None


def from_overrides(overrides: Mapping[str, str], problems: list[str]) -> Layer:
    """What flags and embedded servers assign."""
    origin = Origin(source="flag")
    layer: Layer = {}
    for path, value in overrides.items():
        if path in KEYS:
            layer[path] = Assignment(value=Untyped(value), origin=origin)
            continue
        parent, _, name = path.rpartition(".")
        if path in SECTIONS:
            remedy = f"name one of its keys: {', '.join(SECTIONS[path])}"
            problems.append(problem(path, "is a section", origin, remedy))
        else:
            known = parent if parent in SECTIONS else ""
            remedy = remedy_for_unknown(known, name)
            problems.append(problem(path, "unknown key", origin, remedy))
    return layer
