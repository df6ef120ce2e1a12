"""Frozen values made and changed fast: the forms of `__init__` and `replace` for the saga's path.

A frozen dataclass writes each field by a call of `object.__setattr__`, and a trade writes some four
hundred fields: a quarter of the engine's time. So code is compiled for a class, as `dataclasses`
does for `__init__`, that writes the fields while the object is of a twin class: the same slots, not
frozen. What anybody else ever sees is of the class itself. Only for slotted dataclasses that check
nothing at birth.

`written` goes on writing on a copy that nobody else has seen: a commit changes a saga seven times
and needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

T = TypeVar("T")
_become = object.__setattr__
_compiled: dict[type, tuple[Callable[[Any], Any], type]] = {}


def quick(cls: type[T]) -> type[T]:
    """Give a frozen dataclass an `__init__` that does the same in a third of the time."""
    target: Any = cls
    twin, named = _twin(cls), fields(target)
    kw_only = ["*"] if named[0].kw_only else []
    assert all(bool(kw_only) == field.kw_only for field in named), cls
    defaults = {f"default_{field.name}": _default(field) for field in named}
    lines = [f" self.{field.name} = {_argument(field)}" for field in named]
    source = "\n".join(
        (
            f"def __init__({', '.join(['self', *kw_only, *map(_parameter, named)])}):",
            ' become(self, "__class__", twin)',
            *lines,
            " self.__class__ = cls",
        )
    )
    made: dict[str, Any] = {"become": _become, "twin": twin, "cls": cls, "none": MISSING}
    made |= defaults
    exec(source, made)  # noqa: S102 -- of the class's own field names, no input
    init = made["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = cls.__init__.__annotations__
    target.__init__ = init
    return cls


def changed(value: T, **changes: object) -> T:
    """A copy of `value` with `changes`; the caller answers for their types.

    Raises:
        AttributeError: a change names no field.
    """
    return written(value, value, **changes)


def written(value: T, original: object, **changes: object) -> T:
    """`value` with `changes`: a copy if it is `original`, else itself, a draft that is being made.

    A draft is a copy that came of this and that nobody else has seen.

    Raises:
        AttributeError: a change names no field.
    """
    cls = type(value)
    copy_of, twin = _compiled.get(cls) or _compile(cls)
    if value is original:
        value = copy_of(value)
    else:
        _become(value, "__class__", twin)
    try:
        for name, content in changes.items():
            setattr(value, name, content)
    finally:
        value.__class__ = cls
    return value


def _compile(cls: type) -> tuple[Callable[[Any], Any], type]:
    """What copies a value of `cls` to a twin, and the twin."""
    twin = _twin(cls)
    lines = [f" copy.{field.name} = value.{field.name}" for field in fields(cls)]
    source = "\n".join(("def copy_of(value):", " copy = new(twin)", *lines, " return copy"))
    names: dict[str, Any] = {"new": object.__new__, "twin": twin}
    exec(source, names)  # noqa: S102 -- of the class's own field names, no input
    return _compiled.setdefault(cls, (names["copy_of"], twin))


def _twin(cls: type) -> type:
    """A class of the same slots that anybody may write."""
    assert not hasattr(cls, "__post_init__"), f"{cls.__name__} checks itself at birth"
    assert cls.__bases__ == (object,), f"{cls.__name__} has slots of others"
    return type(f"{cls.__name__}Draft", (), {"__slots__": tuple(f.name for f in fields(cls))})


def _parameter(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"{field.name}=none"
    return field.name if field.default is MISSING else f"{field.name}=default_{field.name}"


def _argument(field: Field[Any]) -> str:
    """What the field is set to: what was handed in, or what is made anew for each value."""
    if field.default_factory is MISSING:
        return field.name
    return f"default_{field.name}() if {field.name} is none else {field.name}"


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory
