"""The YAML file as a tree that knows its lines.

The schema of YAML 1.2 is read: numbers are decimal, `16:00` is text, `yes` is text, and a number
with a point becomes a Decimal, never a float. Refused, each with its line: keys that stand twice,
anchors and aliases, tags, more than one document, more than 1 MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import yaml
from typing_extensions import override

from tradesaga.domain.errors import Invalid

BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 20
_TAG = "tag:yaml.org,2002:"
_TRUE = ("true", "True", "TRUE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A value: text, whole number, Decimal, truth value, None or a list of such."""

    line: int
    value: object
    item_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A mapping; `keys` in the order of the file."""

    line: int
    keys: dict[str, Branch | Leaf]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that could be read; `problems` are what stands in it twice or too deep."""

    name: str
    root: Branch
    problems: tuple[str, ...]


class _Refused(yaml.MarkedYAMLError):
    """YAML that is well-formed, but not taken here."""


def _refused(what: str, event: yaml.Event) -> _Refused:
    return _Refused(problem=what, problem_mark=event.start_mark)  # type: ignore[arg-type] # pure Python's mark, never libyaml's


class _Composer(yaml.SafeLoader):
    """Composes nodes and stops at what a file of settings has no use for."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- the name that yaml reads
    depth = 0

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # a gap in the stubs
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors and aliases are not taken", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags are not taken", event)
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise _refused("nested too deeply", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern, _first in (
    ("null", r"|~|null|Null|NULL", ["", "~", "n", "N"]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,30}", list("-+0123456789")),
    ("float", r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?",
     list("-+.0123456789")),
):  # fmt: skip
    _Composer.add_implicit_resolver(_TAG + _tag, re.compile(rf"(?:{_pattern})\Z", re.ASCII), _first)


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        Invalid: It cannot be read, is not YAML, or is not a mapping.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        remedy = "name an existing file, or none to run on the defaults"
        raise Invalid([f"{path}: cannot be read: {error.strerror}; {remedy}"]) from error
    if len(data) > BYTES_MAX:
        raise Invalid([f"{path}: is larger than {BYTES_MAX} bytes; name a file of settings"])
    try:
        return parse(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise Invalid([f"{path}: byte {error.start} is not UTF-8; save it as UTF-8"]) from error


def read_below(path: Path, *sections: str) -> Document:
    """Read a file that holds the keys of one section alone. Raises Invalid as `read`."""
    found = read(path)
    root = found.root
    for section in reversed(sections):
        root = Branch(line=root.line, keys={section: root})
    return Document(name=found.name, root=root, problems=found.problems)


def parse(text: str, name: str) -> Document:
    """Turn YAML into a tree; `name` stands for the file in messages.

    Raises:
        Invalid: It is not YAML or not a mapping.
    """
    try:
        loader = _Composer(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise Invalid([_syntax(error, name)]) from error
    except yaml.YAMLError as error:
        what = " ".join(str(error).split())
        raise Invalid([f"{name}: is not YAML: {what}; save it as plain text"]) from error
    if not isinstance(root, yaml.MappingNode):
        raise Invalid([f"{name}: holds no settings; begin it with the key orchestrator:"])
    problems: list[str] = []
    tree = _branch(root, name, problems)
    return Document(name=name, root=tree, problems=tuple(problems))


def _syntax(error: yaml.MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = f" line {mark.line + 1} column {mark.column + 1}" if mark else ""
    what = error.problem or error.context or "unreadable"
    context = f" {error.context}" if error.context and error.context != what else ""
    if isinstance(error, _Refused):
        return f"{name}{line}: {what}; write the value out"
    return f"{name}{line}: is not YAML: {what}{context}; correct the line or the one before it"


def _branch(node: yaml.MappingNode, name: str, problems: list[str]) -> Branch:
    keys: dict[str, Branch | Leaf] = {}
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            problems.append(f"{name} line {line}: a key is not text; write it as one word")
            continue
        key = str(key_node.value)
        if key in keys:
            problems.append(
                f"{name} line {line}: the key {key} stands in line {first[key]} already; remove one"
            )
            continue
        first[key] = line
        keys[key] = _child(value_node, line, name, problems)
    return Branch(line=node.start_mark.line + 1, keys=keys)


def _child(node: yaml.Node, line: int, name: str, problems: list[str]) -> Branch | Leaf:
    if isinstance(node, yaml.MappingNode):
        return _branch(node, name, problems)
    if isinstance(node, yaml.SequenceNode):
        items = list(_items(node, name, problems))
        return Leaf(
            line=line,
            value=[value for _, value in items],
            item_lines=tuple(item_line for item_line, _ in items),
        )
    return Leaf(line=line, value=_scalar(node))


def _items(node: yaml.SequenceNode, name: str, problems: list[str]) -> Iterator[tuple[int, object]]:
    for item in node.value:
        line = item.start_mark.line + 1
        if isinstance(item, yaml.ScalarNode):
            yield line, _scalar(item)
            continue
        problems.append(f"{name} line {line}: a list within a list; write plain values")


def _scalar(node: yaml.Node) -> object:
    value = str(node.value)
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return value in _TRUE
        case "int":
            return int(value)
        case "float":
            return Decimal(value)
        case _:
            return value
