"""The keys that exist, derived from the tree of settings, and the nearest one to a typo.

A path is a key's place below the root `orchestrator`, in wire names: `cycles.analysis.interval`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Final, assert_never

from tradesaga.config.section import ROLE, KeyRole, Section, SectionRole
from tradesaga.config.settings import Settings

ROOT: Final = "orchestrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: its attribute in the tree, its reader, its default as the file would write it."""

    path: str
    attribute: str
    read: Callable[[object], object]
    default: object
    secret: bool


def members(kind: type[Section]) -> Iterator[tuple[str, str, KeyRole | SectionRole]]:
    """Attribute, wire name and role of each field of a section, in order."""
    for field in fields(kind):
        wire = re.sub(r"_([a-z])", lambda found: found[1].upper(), field.name)
        yield field.name, wire, field.metadata[ROLE]


def _keys(
    kind: type[Section], path: str, attribute: str, defaults: dict[str, object]
) -> Iterator[Key]:
    for name, wire, role in members(kind):
        here, attribute_here = f"{path}{wire}", f"{attribute}{name}"
        match role:
            case SectionRole():
                yield from _keys(role.kind, f"{here}.", f"{attribute_here}.", role.defaults)
            case KeyRole():
                yield Key(
                    path=here,
                    attribute=attribute_here,
                    read=role.read,
                    default=defaults.get(name, role.default),
                    secret=role.secret,
                )
            case _:
                assert_never(role)


KEYS: Final = {key.path: key for key in _keys(Settings, "", "", {})}
"""All keys by path, in the order of the specification."""


def _children() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for path in KEYS:
        parts = path.split(".")
        for depth, part in enumerate(parts):
            found.setdefault(".".join(parts[:depth]), {})[part] = None
    return {path: tuple(names) for path, names in found.items()}


SECTIONS: Final = _children()
"""The names below each section by its path; the root's path is empty."""


def below(path: str, name: str) -> str:
    """The path of `name` in the section `path`."""
    return f"{path}.{name}" if path else name


def remedy_for_unknown(section: str, name: str) -> str:
    """What to write instead of an unknown `name` in a section that is known."""
    names = SECTIONS[section]
    near = _nearest(name, names)
    if near is not None:
        return f"did you mean {near}?"
    elsewhere = [path for path in (*KEYS, *SECTIONS) if path.rpartition(".")[2] == name]
    if elsewhere:
        return f"did you mean {ROOT}.{elsewhere[0]}?"
    return f"known here: {', '.join(names)}"


def _nearest(name: str, names: tuple[str, ...]) -> str | None:
    by_plain = {known.lower(): known for known in names}
    plain = name.lower().replace("_", "").replace("-", "")
    found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None
