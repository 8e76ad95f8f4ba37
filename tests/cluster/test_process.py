"""The operator's process: what it tells of itself, and an end by SIGTERM that loses no write."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster.kit import World, eventually, task_run
from tests.cluster.operator_process import Operator, without_installed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

ONCE = "def main():\n    return 1\n"
FAILS = "def main():\n    raise ValueError('no')\n"
MANY = [f"many-{n}" for n in range(12)]


@pytest.fixture(scope="module")
def operator(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with without_installed():
        made = Operator(tmp_path_factory.mktemp("operator"), world.namespace, PODTASK_LOG_FORMAT="json")
        world.apply(task_run("completes", ONCE), task_run("fails", FAILS))
        world.finished("completes")
        world.finished("fails")
        yield made
        made.end()


def scrape(operator: Operator) -> dict[tuple[str, frozenset[str]], float]:
    """Sample name and label values -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value for each in families for sample in each.samples
    }


def test_metrics_tell_what_happened(operator: Operator) -> None:
    ended = {("podtask_taskruns_ended_total", frozenset({state})) for state in ("Completed", "Failed")}
    eventually("both ends are counted, which is after their writes", lambda: ended <= scrape(operator).keys())
    found = scrape(operator)
    assert found["podtask_attempts_total", frozenset({"Completed"})] == 1
    assert found["podtask_attempts_total", frozenset({"Failed"})] == 1
    assert found["podtask_taskruns", frozenset({"Failed"})] == 1
    assert found["podtask_api_writes_total", frozenset({"pods", "POST", "201"})] == 2
    assert found["podtask_seen_to_pod_seconds_count", frozenset()] == 2
    assert found["podtask_holds_lease", frozenset()] == 1
    assert found["podtask_watch_age_seconds", frozenset()] < 150


def test_it_is_ready_once_its_watches_are_accepted(operator: Operator) -> None:
    assert operator.ready() == {"ready": True, "waitingFor": []}


def test_every_line_of_its_log_is_json_and_lines_about_a_run_name_it(operator: Operator, world: World) -> None:
    lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert all(line["namespace"] == world.namespace for line in lines if "taskRun" in line)


def test_sigterm_in_the_middle_of_many_launches_leaves_no_write_half_done(
    operator: Operator, world: World, tmp_path: Path
) -> None:
    world.apply(*(task_run(name, ONCE) for name in MANY))
    world.until("the first pod is there", lambda: any(f"{name}-1" in world.pods for name in MANY))
    assert operator.stop() < 10
    world.kubectl("get", "pods")  # whatever was written before the end has come by the watch after this answer
    recorded = {name for name in MANY if world.runs[name].get("status", {}).get("attempts")}
    listed = json.loads(world.kubectl("get", "pods", "-o", "json"))["items"]
    assert {f"{name}-1" for name in recorded} <= {pod["metadata"]["name"] for pod in listed}
    successor = Operator(tmp_path, world.namespace)
    try:
        for name in MANY:
            run = world.finished(name)
            assert [a["outcome"] for a in run["status"]["attempts"]] == ["Completed"]
    finally:
        successor.end()
