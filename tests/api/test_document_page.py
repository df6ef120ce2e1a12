"""The page of the API for people: whole, true, safe, and without anything from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from typing_extensions import override

from tests.api.fake_access import ADMIN, secret_of
from tests.api.fakes import Api
from tests.api.test_openapi import matches
from tests.api.test_problems import is_problem
from tradesaga.api.app import document, page
from tradesaga.api.document_examples import example_of
from tradesaga.api.document_page import page_of
from tradesaga.api.scopes import DOCUMENTS, needed
from tradesaga.domain.access import AccessScope

DOCUMENT = msgspec.json.decode(document())
SCHEMAS = DOCUMENT["components"]["schemas"]
EMPTY = {"meta", "br"}
LONG = "Basic " + "YTpi" * 9999
BODIES = {
    operation["operationId"]: operation["requestBody"]["content"]["application/json"]["schema"]
    for item in DOCUMENT["paths"].values()
    for operation in item.values()
    if "requestBody" in operation
}


class Read(HTMLParser):
    """What a browser would see; refuses what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in EMPTY:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def basic(password: str) -> dict[str, str]:
    login = base64.b64encode(f"ann:{password}".encode()).decode()
    return {"Authorization": f"Basic {login}"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_every_operation_and_every_schema_is_there() -> None:
    read = Read(page().decode())
    text = "".join(read.texts)
    for method, path, operation in operations():
        assert f"op-{operation['operationId']}" in read.ids
        assert f"{method.upper()} {path}" in text
        assert operation["summary"] in text
        for parameter in operation.get("parameters", ()):
            assert parameter["description"].replace("`", "") in text
    for name, schema in SCHEMAS.items():
        assert f"schema-{name}" in read.ids
        assert set(schema.get("properties", {})) <= set(read.texts)


def test_the_scopes_of_an_operation_stand_with_it() -> None:
    sections = re.split(r'<section id="', page().decode())
    for method, path, operation in operations():
        [section] = [s for s in sections if s.startswith(f'op-{operation["operationId"]}"')]
        if not operation["security"]:
            assert "open to everybody" in section, path
        for scope in needed(operation["operationId"], frozenset({method.upper()})):
            assert (f"<code>{scope}</code>" in section) == bool(operation["security"])


def test_every_link_leads_somewhere_on_this_server() -> None:
    read = Read(page().decode())
    assert len(read.ids) == len(set(read.ids))
    assert len(read.links) > len(SCHEMAS)
    for link in read.links:
        if link.startswith("#"):
            assert unquote(link[1:]) in read.ids, link
        else:
            assert link in DOCUMENTS


def test_it_brings_nothing_along_that_runs_or_asks() -> None:
    read = Read(page().decode())
    allowed = {
        "html", "head", "meta", "title", "style", "body", "nav", "main", "section", "h1", "h2",
        "h3", "h4", "p", "ul", "li", "a", "code", "pre", "span", "table", "thead", "tbody", "tr",
        "th", "td", "br", "details", "summary",
    }  # fmt: skip
    assert set(read.tags) <= allowed
    assert read.attributes <= {
        "lang", "charset", "name", "content", "id", "href", "class", "aria-label"
    }  # fmt: skip
    assert "url(" not in page().decode()
    assert "@import" not in page().decode()


async def test_the_policy_allows_its_style_and_nothing_else(api: Api) -> None:
    answer = await api.client.get("/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


async def test_it_needs_a_token_with_reading(api: Api) -> None:
    assert (await api.client.get("/docs")).status_code == 200
    for scope in AccessScope:
        headers = {"Authorization": f"Bearer {secret_of(scope)}"}
        assert (await api.client.get("/docs", headers=headers)).status_code == 200
    del api.client.headers["Authorization"]
    for path in DOCUMENTS:
        answer = await api.client.get(path)
        is_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_a_browser_shows_the_token_as_a_password_here_and_nowhere_else(api: Api) -> None:
    del api.client.headers["Authorization"]
    for path in DOCUMENTS:
        assert (await api.client.get(path, headers=basic(ADMIN))).status_code == 200
    for path in ("/api/v1/agent/status", "/metrics", "/docs/", "/api/v1/nothing"):
        answer = await api.client.get(path, headers=basic(ADMIN))
        is_problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    stop = await api.client.post("/api/v1/agent/stop", headers=basic(ADMIN))
    is_problem(stop, 401, "unauthenticated")
    assert api.operations.calls == []


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic x",
        "Basic YTpi",
        "Basic YTo=",
        "Basic /w==",
        "Basic " + "YTpi" * 9999,
    ],
)
async def test_a_wrong_login_is_a_wrong_token(api: Api, authorization: str) -> None:
    answer = await api.client.get("/docs", headers={"Authorization": authorization})
    is_problem(answer, 401, "unauthenticated")


def test_text_of_the_document_is_escaped() -> None:
    evil = "<script>alert(1)</script>\"'&`x`"
    schema = {"type": "object", "description": evil, "properties": {evil: {"enum": [evil]}}}
    said = {
        "openapi": evil, "info": {"title": evil, "version": evil, "description": evil},
        "components": {"schemas": {evil: schema}},
        "paths": {f"/{evil}": {"post": {
            "operationId": evil, "summary": evil, "description": evil, "tags": [evil],
            "security": [{"token": [evil]}],
            "parameters": [{"name": evil, "in": "query", "required": True, "description": evil,
                            "schema": {"type": "string", "pattern": "<b>", "default": evil}}],
            "requestBody": {"content": {"application/json": {
                "schema": {"$ref": f"#/components/schemas/{evil}"}}}},
            "responses": {"200": {"description": evil, "headers": {evil: {}},
                                  "content": {evil: {"schema": {"type": evil, "format": evil}}}}},
        }}},
    }  # fmt: skip
    read = Read(page_of(msgspec.json.encode(said)).decode())
    assert read.tags["script"] == read.tags["b"] == 0
    assert any("<script>alert(1)</script>" in text for text in read.texts)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_example_fits_its_schema(name: str) -> None:
    matches(example_of(SCHEMAS[name], SCHEMAS), SCHEMAS[name], SCHEMAS, name)


def test_there_is_no_state_in_it() -> None:
    assert page_of(document()) == page_of(document()) == page()


async def test_the_examples_of_commands_are_taken(api: Api) -> None:
    """What the page tells people to send is valid, as far as the form of a body goes."""
    for method, path, operation in operations():
        if operation["operationId"] not in BODIES:
            continue
        body = example_of(BODIES[operation["operationId"]], SCHEMAS)
        where = path
        for one in operation["parameters"]:
            example = "1" if one["name"] == "letterId" else str(example_of(one["schema"], SCHEMAS))
            where = where.replace(f"{{{one['name']}}}", example)
        answer = await api.client.request(method.upper(), where, json=body)
        assert answer.status_code not in (405, 413, 415, 422, 500)
        # One has a condition between its fields, one is about what stands just now.
        if operation["operationId"] not in {"resolveSaga", "acknowledge"}:
            assert answer.status_code != 400, (path, body, answer.text)
