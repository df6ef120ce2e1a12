"""Changed copies of frozen values: the fast form of `dataclasses.replace`, for the saga's path.

A trade copies its values some twenty times, and `replace`, with its loop and `__init__`, took a
fifth of all. So a copy function is compiled for each class at its first use, as `dataclasses` does
for `__init__`: it writes the slots and nothing else. Therefore only for slotted dataclasses that
check nothing at birth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")
_Writers = dict[str, Callable[[Any, object], None]]
_compiled: dict[type, tuple[Callable[[Any], Any], _Writers]] = {}


def changed(value: T, **changes: object) -> T:
    """A copy of `value` with `changes`; the caller answers for their types.

    Raises:
        KeyError: a change names no field.
    """
    cls = type(value)
    copy_of, writers = _compiled.get(cls) or _compile(cls)
    copy: T = copy_of(value)
    for name, content in changes.items():
        writers[name](copy, content)
    return copy


def _compile(cls: type) -> tuple[Callable[[Any], Any], _Writers]:
    assert not hasattr(cls, "__post_init__"), f"{cls.__name__} checks itself at birth"
    writers: _Writers = {field.name: getattr(cls, field.name).__set__ for field in fields(cls)}
    lines = [f" write_{name}(copy, value.{name})" for name in writers]
    source = "\n".join(("def copy_of(value):", " copy = new(cls)", *lines, " return copy"))
    names: dict[str, Any] = {"new": object.__new__, "cls": cls}
    names |= {f"write_{name}": write for name, write in writers.items()}
    exec(source, names)  # noqa: S102 -- of the class's own field names, no input
    return _compiled.setdefault(cls, (names["copy_of"], writers))
