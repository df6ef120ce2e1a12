"""How settings are shown: as lines for people, as a plain dictionary for programs."""

from __future__ import annotations

import json

from tradesaga.config.keys import ROOT
from tradesaga.config.loading import Loaded
from tradesaga.config.wire import wire_values


def render(loaded: Loaded) -> str:
    """Every value with its origin in three aligned columns; secrets masked, lists item by item."""
    rows: list[tuple[str, str, str]] = []
    for path, value in wire_values(loaded.settings).items():
        name, origin = f"{ROOT}.{path}", loaded.origins[path]
        if isinstance(value, list) and value:
            rows += [(f"{name}[{i}]", _shown(item), origin) for i, item in enumerate(value)]
        else:
            rows.append((name, _shown(value), origin))
    name_width = max(len(name) for name, _, _ in rows)
    width = max(len(value) for _, value, _ in rows)
    lines = [f"{name:<{name_width}}  {value:<{width}}  {origin}" for name, value, origin in rows]
    return "\n".join([*lines, f"{'hash':<{name_width}}  {loaded.hash}"]) + "\n"


def as_json(loaded: Loaded) -> dict[str, object]:
    """The tree under its root, origins by path, and the hash; secrets masked, decimals as text."""
    tree: dict[str, object] = {}
    for path, value in wire_values(loaded.settings).items():
        *parents, name = path.split(".")
        here = tree
        for parent in parents:
            there = here.setdefault(parent, {})
            assert isinstance(there, dict)
            here = there
        here[name] = value
    return {ROOT: tree, "origins": dict(loaded.origins), "hash": loaded.hash}


def _shown(value: object) -> str:
    if isinstance(value, str) and value and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)
