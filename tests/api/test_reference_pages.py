"""The reference pages name all that there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.api.app import document
from tradesaga.api.problem_kinds import KINDS
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.ports.metrics import ErrorType

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_rest_names_every_path_every_field_and_every_problem() -> None:
    page = (REFERENCE / "rest.md").read_text(encoding="utf-8")
    described = msgspec.json.decode(document())
    for path, item in described["paths"].items():
        for method in item:
            assert f"`{method.upper()} {path}" in page
    for name, schema in described["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert f"`{field}`" in page, f"{name}.{field}"
    for code, kind in KINDS.items():
        assert f"| `{code}` | {kind.status} |" in page


def test_metrics_names_every_metric_with_its_type() -> None:
    page = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    body, _ = PrometheusMetrics(version="1", now=lambda: datetime.now(UTC)).text()
    types = [line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    assert types
    for name, kind in types:
        assert f"| `{name}` | {kind} |" in page
    errors = page.partition("## Types of errors")[2]
    assert set(ErrorType) <= set(re.findall(r"`(\w+)`", errors))


def test_cli_names_every_exit_code() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"\n| {code.value} | " in page
