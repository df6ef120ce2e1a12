"""An example of each schema, made of the schema: the same for the same one, and fit for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

REFERENCE: Final = "#/components/schemas/"
DEPTH_MAX: Final = 6
FORMATS: Final = {
    "date-time": "2030-01-04T15:30:00.000000Z",
    "uuid": "01934f0e-0000-7000-8000-0000000000a1",
    "decimal": "100.25",
    "duration": "PT1M",
}
TEXTS: Final = ("text", "SPY", "1", "0 10 * * 1-5", '"1"')
"""What is tried against a pattern, in this order."""
Schemas = Mapping[str, Any]


def example_of(schema: Mapping[str, Any], schemas: Schemas, depth: int = 0) -> Any:
    """A value that `schema` allows, of the first of its alternatives."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(REFERENCE)], schemas, depth)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            ends = depth >= DEPTH_MAX and {"type": "null"} in schema[several]
            return None if ends else example_of(schema[several][0], schemas, depth)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("default") is not None:
        return schema["default"]
    return _of_type(schema, schemas, depth)


def _of_type(schema: Mapping[str, Any], schemas: Schemas, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, schemas, depth)
        case "array":
            ends = depth >= DEPTH_MAX and not schema.get("minItems")
            return [] if ends else [example_of(schema.get("items", {}), schemas, depth + 1)]
        case "string":
            return _text(schema)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case _:
            return None


def _object(schema: Mapping[str, Any], schemas: Schemas, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if properties is None:
        of = schema.get("additionalProperties")
        if not isinstance(of, dict) or not of or depth >= DEPTH_MAX:
            return {}
        return {"name": example_of(of, schemas, depth + 1)}
    return {
        name: example_of(one, schemas, depth + 1)
        for name, one in properties.items()
        if one.get("default", one) is not None  # what is null unless it is said is not said
    }


def _text(schema: Mapping[str, Any]) -> str:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    pattern = re.compile(schema["pattern"]) if "pattern" in schema else None
    most = schema.get("maxLength", 1000)
    fit = (one for one in TEXTS if len(one) <= most and (pattern is None or pattern.search(one)))
    return next(fit, TEXTS[0])


def _number(schema: Mapping[str, Any]) -> int | float:
    if "exclusiveMinimum" in schema:
        return int(schema["exclusiveMinimum"]) + 1
    number = max(1, int(schema.get("minimum", 1)))
    return min(number, int(schema.get("maximum", number)))
