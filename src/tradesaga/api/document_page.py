"""The OpenAPI document for people: one page of HTML, made of the document and of nothing else.

Every operation with its scopes, parameters, body, answers, an example and a line for the shell, and
every schema, each linked to where it is used. No script, no frame, no request to anywhere: the one
style sheet stands in the page, and the policy that goes along allows exactly that. Whatever the
document says is escaped.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

import msgspec

from tradesaga.api.document_examples import REFERENCE, example_of

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: #06c; }
@media (prefers-color-scheme: dark) { :root { --link: #6af; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
nav { position: fixed; inset: 0 auto 0 0; width: 19rem; overflow: auto; padding: 1rem;
  border-right: 1px solid var(--line); font-size: 13px; }
nav h2 { font-size: 12px; text-transform: uppercase; margin: 1rem 0 .2rem; opacity: .7; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { padding: .1rem 0; }
main { margin-left: 19rem; padding: 1rem 2rem 6rem; max-width: 68rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem; }
h2 { margin: 1rem 0 .3rem; } h3 { margin: .6rem 0; } h4 { margin: 1rem 0 .3rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .6rem .8rem; white-space: pre-wrap; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; margin: .3rem 0; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { font-size: 12px; opacity: .7; font-weight: 600; }
summary { cursor: pointer; padding: .2rem 0; }
.method { display: inline-block; min-width: 3.6rem; font-weight: 700; }
.get { color: #0a7d33; } .post { color: #b25b00; } .put, .patch { color: #7a3fb0; }
.delete { color: #c0222b; }
.soft { opacity: .75; }
@media (max-width: 60rem) { nav { position: static; width: auto; border: 0; }
  main { margin: 0; padding: 1rem; } }
"""
_STYLE_HASH: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LIMITS: Final = {
    "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
    "minLength": "{} characters or more", "maxLength": "up to {} characters",
    "minItems": "{} or more", "maxItems": "up to {} of them", "maxProperties": "up to {} of them",
    "pattern": "matches {}",
}  # fmt: skip


def page_of(document: bytes) -> bytes:
    """The page for an OpenAPI 3.1 document; the same bytes for the same document."""
    said = msgspec.json.decode(document)
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, item in said["paths"].items():
        for method, operation in item.items():
            by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))
    schemas = said["components"]["schemas"]
    title = f"{said['info']['title']} {said['info']['version']}"
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}: REST API</title><style>{STYLE}</style></head>\n<body>",
        *_navigation(by_tag, schemas),
        f"<main><h1>{escape(title)}: REST API</h1>",
        f"<p>{escape(said['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI '
        f'{escape(said["openapi"])}), <a href="/asyncapi.json">asyncapi.json</a> (events).</p>',
    ]
    for tag, operations in sorted(by_tag.items()):
        parts.append(f'<h2 id="tag-{_id(tag)}">{escape(tag)}</h2>')
        for method, path, operation in operations:
            parts += _operation(method, path, operation, schemas)
    parts.append('<h2 id="schemas">Schemas</h2>')
    for name, schema in sorted(schemas.items()):
        parts += _schema(name, schema)
    return "\n".join([*parts, "</main></body></html>\n"]).encode()


def _navigation(by_tag: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield '<nav aria-label="Operations">'
    for tag, operations in sorted(by_tag.items()):
        yield f'<h2><a href="#tag-{_id(tag)}">{escape(tag)}</a></h2><ul>'
        for _, _, operation in operations:
            target = _id(operation["operationId"])
            yield f'<li><a href="#op-{target}">{escape(operation["summary"])}</a></li>'
        yield "</ul>"
    yield '<h2><a href="#schemas">Schemas</a></h2><ul>'
    for name in sorted(schemas):
        yield f'<li><a href="#schema-{_id(name)}">{escape(name)}</a></li>'
    yield "</ul></nav>"


def _operation(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[str]:
    name = operation["operationId"]
    called = f'<span class="method {_id(method)}">{escape(method.upper())}</span> '
    yield f'<section id="op-{_id(name)}"><h3>{called}<code>{escape(path)}</code></h3>'
    yield f"<p>{_prose(operation['summary'])}. {_prose(operation.get('description', ''))}</p>"
    yield f'<p class="soft">{_scopes(operation)} · <code>{escape(name)}</code></p>'
    if parameters := operation.get("parameters"):
        yield "<h4>Parameters</h4>"
        rows = (
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"]) + (", required" if one.get("required") else ""),
                _kind(one["schema"]),
                _prose(one.get("description", "")) + _limits(one["schema"]),
            )
            for one in parameters
        )
        yield from _table(("name", "in", "type", ""), rows)
    body = operation.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        yield f"<h4>Body: {_kind(schema)}{'' if body.get('required') else ', may be left out'}</h4>"
        yield _example(example_of(schema, schemas))
    yield _shell(method, path, operation, schemas)
    yield from _answers(operation["responses"], schemas)
    yield "</section>"


def _answers(responses: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    good = {status: one for status, one in responses.items() if status < "400"}
    yield "<h4>Answers</h4>"
    rows = []
    for status, one in sorted(responses.items()):
        kinds = [
            f"{_kind(content['schema']) if content.get('schema') else 'text'} "
            f'<span class="soft">{escape(media)}</span>'
            for media, content in one.get("content", {}).items()
        ]
        headers = ", ".join(f"<code>{escape(name)}</code>" for name in one.get("headers", {}))
        said = escape(one["description"]) + (f"; headers {headers}" if headers else "")
        rows.append((f"<code>{escape(status)}</code>", said, "<br>".join(kinds)))
    yield from _table(("status", "", "content"), rows)
    for status, one in good.items():
        for content in one.get("content", {}).values():
            if "$ref" in content.get("schema", {}):
                shown = _example(example_of(content["schema"], schemas))
                yield f"<details><summary>Example of {escape(status)}</summary>{shown}</details>"


def _scopes(operation: Mapping[str, Any]) -> str:
    needed = [name for one in operation["security"] for names in one.values() for name in names]
    if not needed:
        return "open to everybody"
    return "scope " + " or ".join(f"<code>{escape(name)}</code>" for name in needed)


def _shell(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    words = ["curl"]
    if method != "get":
        words.append(f"-X {method.upper()}")
    if operation["security"]:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = json.dumps(example_of(schema, schemas)).replace("'", "'\\''")
        words.append(f"-H 'Content-Type: application/json' -d '{body}'")
    needed = [
        f"{one['name']}={example_of(one['schema'], schemas)}"
        for one in operation.get("parameters", ())
        if one["in"] == "query" and one.get("required")
    ]
    query = f"?{'&'.join(needed)}" if needed else ""
    words.append(f"'http://127.0.0.1:3005{path}{query}'")
    return f"<pre>{escape(' '.join(words))}</pre>"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section id="schema-{_id(name)}"><h3>{escape(name)}</h3>'
    yield f"<p>{_prose(schema.get('description', ''))}</p>"
    if "properties" not in schema:
        yield f"<p>{_kind(schema)}{_limits(schema)}</p></section>"
        return
    required = set(schema.get("required", ()))
    rows = (
        (
            f"<code>{escape(field)}</code>",
            _kind(one),
            "required" if field in required else _default(one),
            _prose(_described(one)) + _limits(one),
        )
        for field, one in schema["properties"].items()
    )
    yield from _table(("field", "type", "", ""), rows)
    if schema.get("additionalProperties") is False:
        yield '<p class="soft">Other fields are refused.</p>'
    yield "</section>"


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in words, with links to the schemas that it names; safe HTML."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REFERENCE)
        return f'<a href="#schema-{_id(name)}">{escape(name)}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_kind(one) for one in schema[several])
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    if isinstance(kind, list):
        return escape(" or ".join(kind))
    return escape(kind) + (f" ({escape(schema['format'])})" if "format" in schema else "")


def _limits(schema: Mapping[str, Any]) -> str:
    alternatives = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = [
        words.format(f"<code>{escape(_plain(one[name]))}</code>")
        for one in alternatives
        for name, words in _LIMITS.items()
        if name in one
    ]
    return f'<br><span class="soft">{", ".join(found)}</span>' if found else ""


def _plain(limit: object) -> str:
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


def _described(schema: Mapping[str, Any]) -> str:
    alternatives = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return next((str(one["description"]) for one in alternatives if "description" in one), "")


def _default(schema: Mapping[str, Any]) -> str:
    if schema.get("default") is None:
        return "may be left out"
    return f"else <code>{escape(json.dumps(schema['default']))}</code>"


def _prose(text: str) -> str:
    """Text with `words in backquotes` as code."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:
        return "`".join(parts)
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield (
        "<table><thead><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr></thead><tbody>"
    )
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table>"


def _example(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"


def _id(name: str) -> str:
    """A name that can stand in an attribute and after #, whatever it is made of."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "-" for one in name)
