"""The SQL of this package by name: each entry of the files is `-- name: what it answers`.

`{trade}` stands for the columns that `decoding.read_trade` reads, in its order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_ENTRY = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)


def _text(name: str) -> str:
    return files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


_TRADE = _text("trade_columns").partition("\n")[2].strip()


@dataclass(frozen=True, slots=True)
class Query:
    """One entry of a file."""

    description: str
    sql: str


def load(name: str) -> Mapping[str, Query]:
    """The entries of `sql/<name>.sql`, in order."""
    text = _text(name).replace("{trade}", _TRADE)
    parts = _ENTRY.split(text)[1:]
    names, descriptions, bodies = parts[::3], parts[1::3], parts[2::3]
    assert len(set(names)) == len(names), f"a name stands twice in {name}.sql"
    return {
        entry: Query(description.strip(), sql.strip())
        for entry, description, sql in zip(names, descriptions, bodies, strict=True)
    }


QUERIES: Mapping[str, str] = {name: query.sql for name, query in load("queries").items()}
