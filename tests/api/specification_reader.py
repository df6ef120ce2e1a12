"""The platform's specification of the API as it stands there, word for word, read as data.

`specification/rest.txt` and `specification/health.json` are its text and are never edited. What is
read here are its examples: for each operation the fields of request, query and response.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "specification"
HEALTH: Final = (FOLDER / "health.json").read_text(encoding="utf-8")
_OPERATION: Final = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (\S+)")
_FIELD: Final = re.compile(r"(\w+)(\??):\s*(.+)")
_DEFAULT: Final = re.compile(r"\(default: (\w+)\)|Default: (\w+)")

Shape = Mapping[str, "Field"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: the words for its type, or the fields within it (`many`: of each in a list)."""

    optional: bool
    words: str = ""
    within: Shape | None = None
    many: bool = False
    default: str | None = None

    @property
    def choices(self) -> list[str]:
        """The values of a union of texts; empty for another type."""
        return re.findall(r'"([^"]*)"', self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One operation as the specification writes it; a path parameter is `:name`."""

    title: str
    method: str
    path: str
    request: Shape = field(default_factory=dict)
    query: Shape = field(default_factory=dict)
    response: Shape = field(default_factory=dict)

    @property
    def described(self) -> str:
        """The path as OpenAPI writes it."""
        return re.sub(r":(\w+)", r"{\1}", self.path)


def examples() -> Iterator[Example]:
    """Every operation of the text, in its order."""
    text = (FOLDER / "rest.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n\s*\n", text.strip()):
        title, operation, *lines = block.splitlines()
        found = _OPERATION.fullmatch(operation)
        assert found is not None, operation
        sections: dict[str, Shape] = {}
        rest = iter(lines)
        heading = next(rest, None)
        while heading is not None:
            name = heading.removesuffix(":").lower()
            sections[name], heading = _fields(rest, indented=True)
        yield Example(title=title.removeprefix("# "), method=found[1], path=found[2], **sections)


def _fields(lines: Iterator[str], *, indented: bool = False) -> tuple[Shape, str | None]:
    """The fields up to the closing bracket, or to the next heading, which is handed back."""
    fields: dict[str, Field] = {}
    for line in lines:
        if indented and not line.startswith(" "):
            return fields, line
        text, _, comment = line.partition("#")
        text = text.strip()
        if text in {"}", "]"}:
            return fields, None
        if text == "{":  # of a list of objects
            continue
        found = _FIELD.fullmatch(text)
        assert found is not None, line
        name, mark, words = found.groups()
        default = _DEFAULT.search(words) or _DEFAULT.search(comment)
        if words in {"{", "["}:
            within, _ = _fields(lines)
            if words == "[":
                assert next(lines).strip() == "]"
            fields[name] = Field(optional=bool(mark), within=within, many=words == "[")
            continue
        fields[name] = Field(
            optional=bool(mark),
            words=_DEFAULT.sub("", words).strip(),
            default=None if default is None else default[1] or default[2],
        )
    return fields, None
