"""JSON Schema for tests: as much of it as our documents use, and a refusal of everything else.

A schema word that is not known here raises, so that no promise of a document goes unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

Schema = Mapping[str, Any]
_SAYS_NOTHING = {
    "title", "description", "default", "examples", "$schema", "$defs", "$ref", "contentType",
}  # fmt: skip
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(value: Any, schema: Schema, root: Schema, where: str = "$") -> Iterator[str]:
    """What in `value` breaks `schema`; references are looked up in `root`."""
    if "$ref" in schema:
        yield from faults(value, _target(root, schema["$ref"]), root, where)
    for word, demand in schema.items():
        if word not in _SAYS_NOTHING:
            yield from _broken(word, demand, value, schema, root, where)


def _target(root: Schema, reference: str) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, Mapping)
    return found


def _broken(
    word: str, demand: Any, value: Any, schema: Schema, root: Schema, where: str
) -> Iterator[str]:
    match word:
        case "allOf":
            for part in demand:
                yield from faults(value, part, root, where)
        case "anyOf":
            tried = [list(faults(value, part, root, where)) for part in demand]
            if all(tried):
                yield from min(tried, key=len)
        case "properties" | "items" | "additionalProperties":
            yield from _broken_inside(word, demand, value, schema, root, where)
        case _:
            if not _holds(word, demand, value):
                yield f"{where} is {value!r}: {word} {demand}"


def _broken_inside(
    word: str, demand: Any, value: Any, schema: Schema, root: Schema, where: str
) -> Iterator[str]:
    match word:
        case "properties":
            for name, part in demand.items():
                if isinstance(value, dict) and name in value:
                    yield from faults(value[name], part, root, f"{where}.{name}")
        case "items":
            for number, one in enumerate(value if isinstance(value, list) else ()):
                yield from faults(one, demand, root, f"{where}[{number}]")
        case "additionalProperties":
            own = value if isinstance(value, dict) else ()
            others = [n for n in own if n not in schema.get("properties", {})]
            if demand is False and others:
                yield f"{where} has {others}"


def _holds(word: str, demand: Any, value: Any) -> bool:
    match word:
        case "type":
            if isinstance(value, bool):
                return bool(demand == "boolean")
            return isinstance(value, _TYPES[demand])
        case "const":
            return bool(value == demand)
        case "enum":
            return value in demand
        case "required":
            return not isinstance(value, dict) or all(name in value for name in demand)
        case "minLength" | "minItems":
            return not isinstance(value, str | list) or len(value) >= int(demand)
        case "maxLength" | "maxItems":
            return not isinstance(value, str | list) or len(value) <= int(demand)
        case "minimum" | "maximum":
            return not isinstance(value, int | float) or _is_within(word, demand, value)
        case "format" | "pattern":
            return not isinstance(value, str) or _is_written(word, demand, value)
        case _:
            raise AssertionError(f"{word} is not known to tests/json_schema.py")


def _is_within(bound: str, demand: float, value: float) -> bool:
    return value >= demand if bound == "minimum" else value <= demand


def _is_written(word: str, demand: str, value: str) -> bool:
    if word == "pattern":
        return re.search(demand, value) is not None
    return demand != "date-time" or _is_moment(value)


def _is_moment(value: str) -> bool:
    if not re.search(r"(?:Z|[+-]\d\d:\d\d)$", value):
        return False
    return datetime.fromisoformat(value).tzinfo is not None
