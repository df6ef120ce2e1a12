"""Requests made from the served document, right ones and wrong ones, with every scope.

Whatever is sent, the answer is one that the document describes, in status, media type and fields;
no answer is a defect (500).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.fake_access import secret_of
from tests.api.fakes import CYCLE_ID, STRATEGY_ID, Api
from tests.api.test_openapi import matches
from tradesaga.api.app import document
from tradesaga.domain.access import AccessScope

DOCUMENT = msgspec.json.decode(document())
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
EXAMPLES = 12
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
PLACES = st.sampled_from(
    [
        str(CYCLE_ID),
        str(STRATEGY_ID),
        "sma-spy",
        "sample",
        "SPY",
        "read-token",
        "x",
        "%",
        "../..",
        " ",
    ]
) | st.text(min_size=1, max_size=12)


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


def of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema allows, as far as our document uses JSON Schema."""
    if "$ref" in schema:
        return of(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of([of(one) for one in schema[several]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kind = str(schema.get("type"))
    return KINDS[kind](schema) if kind in KINDS else JUNK


def _text(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    longest = min(schema.get("maxLength", 30), 30)
    if "pattern" in schema:
        found = st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=False)
        return found.map(lambda text: text[:longest])
    return st.text(min_size=schema.get("minLength", 0), max_size=longest)


def _object(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not properties:
        return st.dictionaries(st.text(max_size=8), JUNK, max_size=3)
    return st.fixed_dictionaries(
        {name: of(properties[name]) for name in required},
        optional={name: of(one) for name, one in properties.items() if name not in required},
    )


def _number(schema: Mapping[str, Any]) -> st.SearchStrategy[float]:
    low = schema.get("exclusiveMinimum", schema.get("minimum", -1e6))
    return st.floats(low, schema.get("maximum", 1e6), exclude_min=True)


KINDS: Mapping[str, Callable[[Mapping[str, Any]], st.SearchStrategy[Any]]] = {
    "string": _text,
    "integer": lambda one: st.integers(one.get("minimum", -(10**6)), one.get("maximum", 10**6)),
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "array": lambda one: st.lists(of(one["items"]), min_size=one.get("minItems", 0), max_size=4),
    "object": _object,
}


@st.composite
def _requests(draw: st.DrawFn, operation_id: str) -> tuple[str, dict[str, Any]]:
    """A path and what is sent along; half of the time something about it is wrong."""
    _, path, operation = OPERATIONS[operation_id]
    where = re.sub(r"\{\w+\}", lambda _: quote(draw(PLACES), safe=""), path)
    parameters: dict[str, Any] = {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and draw(st.booleans()):
            wanted = of(parameter["schema"]) if draw(st.booleans()) else st.text(max_size=8)
            parameters[parameter["name"]] = draw(wanted)
    if draw(st.integers(0, 9)) == 0:
        parameters[draw(st.text(min_size=1, max_size=5))] = "x"
    sent: dict[str, Any] = {"params": parameters, "headers": {}}
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = draw(st.one_of(of(schema), of(schema), JUNK))
        if isinstance(body, dict) and body and draw(st.booleans()):
            body = {**body, draw(st.sampled_from(sorted(body))): draw(JUNK)}
        sent["content"] = msgspec.json.encode(body) if draw(st.booleans()) else draw(st.binary())
        sent["headers"] = {"Content-Type": "application/json"}
    if operation_id in OPERATIONS and draw(st.integers(0, 4)) == 0:
        sent["headers"]["Idempotency-Key"] = draw(st.sampled_from(["a", "b", "c d"]))
    scope = draw(st.sampled_from([AccessScope.ADMIN, AccessScope.ADMIN, *AccessScope]))
    sent["headers"]["Authorization"] = f"Bearer {secret_of(scope)}"
    return where, sent


@pytest.mark.parametrize("operation_id", OPERATIONS)
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_every_answer_is_one_that_the_document_describes(
    api: Api, operation_id: str, data: st.DataObject
) -> None:
    method, path, operation = OPERATIONS[operation_id]
    where, sent = data.draw(_requests(operation_id))
    api.fresh()
    response = asyncio.run(_asked(api, method, where, sent))
    assert response.status_code != 500, response.text
    elsewhere = where.count("/") != path.count("/") or "/." in where
    if elsewhere and response.status_code in (404, 405):
        return
    described = operation["responses"]
    assert str(response.status_code) in described, (response.status_code, response.text)
    content = described[str(response.status_code)]["content"]
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type in content, (media_type, content)
    if media_type.endswith("json") and content[media_type].get("schema"):
        matches(response.json(), content[media_type]["schema"], SCHEMAS, operation_id)


async def _asked(api: Api, method: str, where: str, sent: dict[str, Any]) -> Any:
    async with api.client as client:
        return await client.request(method, where, **sent)
