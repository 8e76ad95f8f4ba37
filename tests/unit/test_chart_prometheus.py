"""Dashboard and alerts of the chart in a real Prometheus, which scrapes the operator's own metrics from loopback."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from prometheus_client import Counter, Histogram
from tests.unit.chart_kit import TOP
from tests.unit.operator.runtime.test_metrics import live
from tests.unit.test_chart_monitoring import ALERTS, DASHBOARD, OURS, VALUES

from podtask_operator.runtime import metrics

pytestmark = pytest.mark.long
T = TypeVar("T")
PATIENCE_SECONDS = 60.0
COUNTERS = {metric.name: metric for metric in metrics.TABLE if metric.kind == "counter"}


def count_everything() -> None:
    """Every counter with every word that the chart asks for; histograms, too."""
    for metric in vars(metrics).values():
        if isinstance(metric, Histogram):
            metric.observe(0.01)
        elif isinstance(metric, Counter):
            labels = COUNTERS[f"{metric._name}_total"].labels
            for words in itertools.product(*(VALUES.get(label, {"a word"}) for label in labels)):
                (metric.labels(*words) if labels else metric).inc()
    for code in (200, 403):
        metrics.wrote("PATCH", "/api/v1/namespaces/team/pods/hello-1", code)


class Operator(BaseHTTPRequestHandler):
    """`/metrics`, a little more at each scrape."""

    def do_GET(self) -> None:
        count_everything()
        text = live().text()
        self.send_response(200)
        self.send_header("Content-Type", metrics.CONTENT_TYPE)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def program() -> str:
    """As the development tools take it out of Debian's package."""
    found = shutil.which("prometheus")
    if found is None:
        subprocess.run([TOP / "dev" / "tools", "promtool"], check=True)
        folder = subprocess.run([TOP / "dev" / "tools", "path"], capture_output=True, text=True, check=True)
        found = shutil.which("prometheus", path=folder.stdout.strip())
    assert found is not None
    return found


def until(ask: Callable[[], T | None], why: Callable[[], str]) -> T:
    """The first answer that is one."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, why()
        pause.wait(0.2)
    return answer


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def ready(self) -> bool | None:
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=5) as answer:
                return True if answer.status == 200 else None
        except OSError:
            return None

    def ask(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(
            f"{self._base}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10
        ) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        assert not said.get("warnings"), said
        return said["data"]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Operator)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ThreadingHTTPServer(("127.0.0.1", 0), Operator) as free:
        port = free.server_address[1]
    target = {"targets": [f"127.0.0.1:{server.server_address[1]}"], "labels": {"pod": "podtask-0", "namespace": "x"}}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [{"job_name": "podtask", "static_configs": [target]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    log = folder / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                program(),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=sink,
            stderr=sink,
            cwd=folder,
        )
    try:
        made = Prometheus(port)
        until(made.ready, log.read_text)
        scraped = 'count_over_time(up{job="podtask"}[1m]) >= 3'
        until(lambda: made.ask("query", query=scraped)["result"] or None, log.read_text)
        yield made
    finally:
        process.terminate()
        process.wait(30)
        server.shutdown()
        server.server_close()


def expressions() -> dict[str, str]:
    """By panel and alert."""
    found = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for number, target in enumerate(panel["targets"]):
            found[f"{panel['title']} {number}"] = target["expr"].replace("$__rate_interval", "1m")
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        found[rule["alert"]] = rule["expr"]
    return found


@pytest.mark.parametrize("name", expressions())
def test_prometheus_understands_it_and_has_every_metric_of_it(prometheus: Prometheus, name: str) -> None:
    expression = expressions()[name]
    prometheus.ask("query", query=expression)
    known = set(prometheus.ask("label/__name__/values"))
    used = {metric for metric, _ in OURS.findall(expression)}
    assert used
    assert used <= known
    for metric, selector in OURS.findall(expression):
        series = f"{metric}{{{selector}}}" if selector else metric
        assert prometheus.ask("query", query=series)["result"], f"{series} selects nothing"


@pytest.mark.parametrize("name", [name for name in expressions() if " " in name and name.split()[-1].isdigit()])
def test_every_panel_shows_something_of_a_working_operator(prometheus: Prometheus, name: str) -> None:
    assert prometheus.ask("query", query=expressions()[name])["result"]


def test_the_alerts_are_loaded_and_evaluated(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]] | None:
        rules: list[dict[str, Any]] = prometheus.ask("rules")["groups"][0]["rules"]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = until(evaluated, lambda: str(prometheus.ask("rules")))
    assert {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in rules} == {
        rule["alert"]: ("ok", "") for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    }
    assert Path(prometheus.ask("rules")["groups"][0]["file"]) == ALERTS
