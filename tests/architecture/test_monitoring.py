"""Alert rules and dashboard: they ask for metrics that exist, by names, types and labels.

`promtool check rules` and `promtool test rules` judge the syntax where Prometheus is at hand.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tradesaga.adapters.prometheus import PrometheusMetrics

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "monitoring"
METRIC = re.compile(r"orchestrator_\w+")
PROMTOOL = shutil.which("promtool")


def served() -> dict[str, str]:
    """What a scraper sees, by sample name with its type; histograms by their three series."""
    metrics = PrometheusMetrics(version="1", now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    types: dict[str, str] = {}
    for family in text_string_to_metric_families(metrics.text()[0].decode()):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        for end in ends.get(family.type, ("",)):
            types[family.name + end] = family.type
    return types


def rules() -> list[dict[str, Any]]:
    text = (PLACE / "alerts.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    dashboard = json.loads((PLACE / "grafana.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_what_is_served(expression: str) -> None:
    types = served()
    asked = METRIC.findall(expression)
    assert asked
    assert [name for name in asked if name not in types] == []
    counted = re.findall(r"(?:rate|increase)\((orchestrator_\w+)", expression)
    assert [name for name in counted if types[name] == "gauge"] == [], "a rate of a gauge"
    if "histogram_quantile" in expression:
        assert all(name.endswith("_bucket") for name in asked)


def test_every_metric_that_can_worry_is_watched_or_shown() -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    unseen = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served()} - bare
    assert unseen == {
        "orchestrator_build_info",
        "orchestrator_cycle_duration_ms",  # the same in seconds is
        "orchestrator_last_reconciliation_timestamp_seconds",  # its lag is
        "orchestrator_rows_archived_total",
    }


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    page = (ROOT / "docs/howto/monitor.md").read_text(encoding="utf-8")
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) > 10
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warn"), rule["alert"]
        assert (ROOT / rule["annotations"]["runbook"]).is_file(), rule["alert"]
        assert f"`{rule['alert']}`" in page, rule["alert"]


def test_panels_do_not_overlap() -> None:
    panels = json.loads((PLACE / "grafana.json").read_text(encoding="utf-8"))["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_every_alert_is_shown_to_come_and_to_stay_away() -> None:
    cases = yaml.safe_load((PLACE / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    looks = [look for case in cases for look in case["alert_rule_test"]]
    for comes in (True, False):
        shown = {look["alertname"] for look in looks if bool(look["exp_alerts"]) is comes}
        assert shown == {rule["alert"] for rule in rules()}
    told = {rule["alert"]: rule for rule in rules()}
    for look in looks:
        for alert in look["exp_alerts"]:
            rule = told[look["alertname"]]
            assert alert["exp_labels"].items() >= rule["labels"].items()
            assert alert["exp_annotations"]["runbook"] == rule["annotations"]["runbook"]


@pytest.mark.parametrize(
    "command", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts_test.yaml")]
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    if PROMTOOL is None:  # the checks above stand on their own
        assert all(
            set(rule) <= {"alert", "expr", "for", "labels", "annotations"} for rule in rules()
        )
        return
    _agrees(PROMTOOL, *command, at=PLACE)


def test_promtool_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:number{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    assert len(recorded) > len(rules())
    file = {"groups": [{"name": "dashboard", "rules": recorded}]}
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump(file), encoding="utf-8")
    if PROMTOOL is not None:
        _agrees(PROMTOOL, "check", "rules", "panels.yaml", at=tmp_path)


def _agrees(*command: str, at: Path) -> None:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
