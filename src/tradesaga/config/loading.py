"""From a file, an environment and flags to one frozen tree of settings, or to all problems.

Flag over environment over file over default, key by key. Only the winning value of a key is
substituted and read, so a variable that is missing below an overridden key is no problem.
Two sets of settings that mean the same have the same hash, whatever their sources; secrets are
not part of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar, assert_never

from tradesaga.config import document, layers
from tradesaga.config.keys import KEYS, ROOT, below, members
from tradesaga.config.layers import Assignment, Layer, Origin, problem
from tradesaga.config.section import KeyRole, Section, SectionRole
from tradesaga.config.settings import Settings
from tradesaga.config.substitution import has_variables, substitute
from tradesaga.config.values import Unfit, Unfits, Untyped
from tradesaga.config.wire import digest
from tradesaga.domain.errors import Invalid

_S = TypeVar("_S", bound=Section)
_BROKEN: Final = object()
"""Stands for a value whose problem is noted already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings that are fit for use, each value's origin by path, and the hash of the whole."""

    settings: Settings
    origins: Mapping[str, str]
    hash: str


def process_environment() -> Mapping[str, str]:
    """The environment of this process; the one place that reads it."""
    return MappingProxyType(dict(os.environ))


def load(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, str] = MappingProxyType({}),
    *,
    limits: Path | None = None,
) -> Loaded:
    """Read, merge, substitute and check; `overrides` are flags by path, as `server.port`.

    `limits` is a file of the keys below `risk` alone; what it says wins over everything.

    Raises:
        Invalid: Anything is wrong; `problems` name all of it.
    """
    problems: list[str] = []
    merged = layers.from_defaults()
    if path is not None:
        merged |= layers.from_document(document.read(path), problems)
    merged |= layers.from_environment(environment, problems)
    merged |= layers.from_overrides(overrides, problems)
    if limits is not None:
        merged |= layers.from_document(document.read_below(limits, ROOT, "risk"), problems)
    return _checked(merged, environment, problems)


def _checked(merged: Layer, environment: Mapping[str, str], problems: list[str]) -> Loaded:
    final = {
        path: _substituted(path, assignment, environment, problems)
        for path, assignment in merged.items()
    }
    settings = _build(Settings, "", final, problems)
    if settings is None or problems:
        raise Invalid(problems)
    origins = {path: str(assignment.origin) for path, assignment in final.items()}
    return Loaded(settings=settings, origins=MappingProxyType(origins), hash=digest(settings))


def _build(kind: type[_S], path: str, final: Layer, problems: list[str]) -> _S | None:
    """Read a section with all below it; None when a problem of it was noted, now or before."""
    arguments: dict[str, object] = {}
    whole = True
    for attribute, wire, role in members(kind):
        here = below(path, wire)
        match role:
            case SectionRole():
                arguments[attribute] = _build(role.kind, here, final, problems)
                whole = whole and arguments[attribute] is not None
            case KeyRole():
                whole = _read(attribute, here, final, arguments, problems) and whole
            case _:
                assert_never(role)
    if not whole:
        return None
    made = kind(**arguments)
    unfit = [
        _line(path, each, final)
        for each in made.conflicts()
        if not (each.yields and final[below(path, each.key)].origin == layers.DEFAULT)
    ]
    problems += unfit
    return None if unfit else made


def _read(
    attribute: str, path: str, final: Layer, arguments: dict[str, object], problems: list[str]
) -> bool:
    value = final[path].value
    if value is _BROKEN:
        return False
    try:
        if value is None:
            raise Unfit("has no value", "write one, or remove the key")  # noqa: TRY301 -- as a reader would
        arguments[attribute] = KEYS[path].read(value)
    except Unfit as error:
        problems.append(_line(path, error, final))
    except Unfits as error:
        problems += [_line(path, each, final) for each in error.found]
    return attribute in arguments


def _substituted(
    path: str, assignment: Assignment, environment: Mapping[str, str], problems: list[str]
) -> Assignment:
    """The assignment with its variables replaced; what came from outside the file is literal."""
    value = assignment.value
    texts = value if isinstance(value, list) else [value]
    if isinstance(value, Untyped) or not any(map(has_variables, texts)):
        return assignment
    found: list[object] = []
    variables: dict[str, None] = {}
    broken = False
    for number, text in enumerate(texts):
        if not has_variables(text):
            found.append(text)
            continue
        done = substitute(str(text), environment)
        found.append(done.text)
        variables |= dict.fromkeys(done.variables)
        broken = broken or bool(done.unfit)
        place = f"{path}[{number}]" if isinstance(value, list) else path
        origin = _item_origin(assignment, number)
        problems += [problem(place, each.what, origin, each.remedy) for each in done.unfit]
    if broken:
        return Assignment(value=_BROKEN, origin=assignment.origin)
    whole = found if isinstance(value, list) else found[0]
    if variables:
        return Assignment(value=whole, origin=Origin(source=f"environment {', '.join(variables)}"))
    return Assignment(value=whole, origin=assignment.origin, item_lines=assignment.item_lines)


def _item_origin(assignment: Assignment, number: int) -> Origin:
    if number < len(assignment.item_lines):
        return Origin(source=assignment.origin.source, line=assignment.item_lines[number])
    return assignment.origin


def _line(path: str, unfit: Unfit, final: Layer) -> str:
    if unfit.key.startswith("["):
        number = int(unfit.key.strip("[]"))
        origin = _item_origin(final[path], number)
        return problem(path + unfit.key, unfit.what, origin, unfit.remedy)
    place = f"{path}.{unfit.key}".strip(".")
    return problem(place, unfit.what, final[place].origin, unfit.remedy)
