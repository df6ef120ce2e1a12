"""What a module offers is there."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

import tradesaga

SOURCE = Path(__file__).parents[2] / "src"
OFFERING = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((SOURCE / "tradesaga").rglob("*.py"))
    if "__all__" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", OFFERING)
def test_every_exported_name_exists_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = list(module.__all__)
    assert len(exported) == len(set(exported))
    assert [name for name in exported if not hasattr(module, name)] == []


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert tradesaga.__version__ == project["project"]["version"]
