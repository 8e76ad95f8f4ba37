"""Alerts and dashboard of the chart: off unless asked for, of metrics that there are, and each alert by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from tests.unit.chart_kit import CHART, MINIMAL, TOP, Render, example

from podtask.core.api.names import CacheOutcome, Ended, State
from podtask_operator.runtime.metrics import TABLE

ALERTS, DASHBOARD = CHART / "files" / "alerts.yaml", CHART / "files" / "dashboard.json"
TESTS = TOP / "tests" / "unit" / "alerts.test.yaml"
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
SERIES = {f"{metric.name}{suffix}": metric for metric in TABLE for suffix in SUFFIXES[metric.kind]}
OTHERS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
OURS = re.compile(r"\b((?:podtask|process)_\w+)(?:\{([^}]*)\})?")
BY = re.compile(r"by \(([^)]*)\)")
ADDED = {"namespace", "pod", "instance", "le"}
"""Labels of the scrape, and of histograms."""
VALUES = {
    "outcome": {str(one) for one in (*Ended, *CacheOutcome)},
    "state": {str(one) for one in State},
    "kind": {"error", "later"},
    "why": {"owner", "many"},
}


def rules() -> list[dict[str, object]]:
    found: list[dict[str, object]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


def expressions() -> Iterator[str]:
    yield from (str(rule["expr"]) for rule in rules())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_only_metrics_labels_and_words_that_there_are(expression: str) -> None:
    used = OURS.findall(expression)
    assert used
    labels = set(ADDED)
    for name, selector in used:
        assert name in SERIES or name in OTHERS, name
        own = set(SERIES[name].labels) if name in SERIES else set()
        labels |= own
        for label, _, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selector):
            assert label in own, (name, label)
            if label in VALUES:
                assert set(value.split("|")) <= VALUES[label], value
    for group in BY.findall(expression):
        assert {label.strip() for label in group.split(",")} <= labels, group


def test_every_metric_but_the_doorbell_is_on_the_dashboard() -> None:
    shown = {SERIES[name].name for text in expressions() for name, _ in OURS.findall(text) if name in SERIES}
    assert {metric.name for metric in TABLE} - shown == {"podtask_doorbell_total", "podtask_swept_bytes_total"}


def test_every_alert_says_what_to_do_and_has_tests() -> None:
    names = [str(rule["alert"]) for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}  # type: ignore[call-overload]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")  # type: ignore[index]
    tests = [one["name"] for one in yaml.safe_load(TESTS.read_text())["tests"]]
    assert {f"{name} {what}" for name in names for what in ("fires", "is quiet")} <= set(tests)


def test_both_are_off() -> None:
    render = Render(MINIMAL)
    assert render.all("PrometheusRule") == []
    assert [one["metadata"]["name"] for one in render.all("ConfigMap")] == ["podtask-client"]


def test_they_are_in_the_chart_word_for_word() -> None:
    """Marks of Prometheus and Grafana are not Helm's."""
    (rule,) = example("everything").all("PrometheusRule")
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    board = example("everything").one("ConfigMap", "tasks-dashboard")
    assert json.loads(board["data"]["podtask.json"]) == json.loads(DASHBOARD.read_text())
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["namespace"] == "monitoring"


def test_panels_are_apart_and_have_names() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == len({panel["title"] for panel in panels})
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= own


@pytest.mark.long
def test_promtool_agrees() -> None:
    """Each alert in a world in which it fires, and in one in which it is quiet."""
    promtool = shutil.which("promtool")
    if promtool is None:
        subprocess.run([TOP / "dev" / "tools", "promtool"], check=True)
        folder = subprocess.run([TOP / "dev" / "tools", "path"], capture_output=True, text=True, check=True)
        promtool = shutil.which("promtool", path=folder.stdout.strip())
    assert promtool is not None
    for command in (["check", "rules", ALERTS], ["test", "rules", TESTS]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
