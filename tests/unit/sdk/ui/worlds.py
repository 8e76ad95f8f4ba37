"""Namespaces as people have them: nothing, one run, a day's work, ten thousand, longest names, everything failed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.unit.sdk.ui.live_api import LiveCluster

from podtask.core.api.names import API_VERSION, LABEL_FLOW, LABEL_FLOW_RUN

Object = dict[str, Any]
NOW = datetime.now(timezone.utc).replace(microsecond=0)  # noqa: TID251 - worlds are of today
NAMESPACE = "team"
LONGEST_NAME = "n" * 52
LONGEST_TASK = "transform-the-whole-of-the-customers-ledger-" * 5 + "x" * 33
NOTES = {
    "Failed": ("Exception", "ValueError: column 'price' has no numbers in row 48,112"),
    "Crashed": ("OutOfMemory", "The container reached its memory limit of 2Gi."),
    "TimedOut": ("TimedOut", "It took more than 30 s."),
    "NotReady": ("UpstreamFailed", "Upstream task run 'load' did not reach a 'COMPLETED' state."),
    "Pending": ("WaitingForUpstream", "It waits for its upstreams."),
    "AwaitingRetry": ("AwaitingRetry", "The next attempt starts in 20 s."),
    "Cancelled": ("Cancelled", "Cancelled by a person."),
}
REASONS: dict[str | None, str] = {
    "Completed": "Completed",
    "Failed": "Exception",
    "Crashed": "Crashed",
    "TimedOut": "TimedOut",
    "Disruption": "Evicted",
    "OutOfMemory": "OutOfMemory",
    "Cancelled": "Cancelled",
}
TRACEBACK = """Traceback (most recent call last):
  File "etl.py", line 41, in load
    return [float(row["price"]) for row in rows]
  File "etl.py", line 41, in <listcomp>
    return [float(row["price"]) for row in rows]
ValueError: column 'price' has no numbers in row 48,112
"""


def at(seconds: float) -> str:
    """A time so long ago."""
    return f"{NOW - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def attempt(number: int, began: float, ended: float | None, outcome: str | None = "Completed", **more: Any) -> Object:
    """An attempt that was recorded three seconds before it began. Times are seconds ago."""
    done = (
        {}
        if ended is None
        else {"finishedAt": at(ended), "outcome": outcome, "reason": more.pop("reason", REASONS[outcome])}
    )
    cause = more.pop("cause", "First" if number == 1 else "Retry")
    made = {"number": number, "cause": cause, "recordedAt": at(began + 3), "startedAt": at(began), "node": "node-a"}
    return {**made, **done, **more}


def task_run(
    name: str,
    state: str = "Completed",
    *,
    task: str = "",
    flow_run: str = "etl-1f3a52b7",
    flow: str = "etl",
    created: float = 300,
    attempts: list[Object] | None = None,
    needs: tuple[str, ...] = (),
    **more: Any,
) -> Object:
    """A TaskRun of namespace `team`."""
    ended = state in ("Completed", "Cached", "Failed", "Crashed", "TimedOut", "Cancelled", "NotReady")
    attempts = attempts if attempts is not None else []
    reason, message = NOTES.get(state, (state, f"It is {state}."))
    labels = {LABEL_FLOW_RUN: flow_run, LABEL_FLOW: flow} if flow_run else {}
    status: Object = {
        "state": state,
        "reason": reason,
        "message": message,
        "attempts": attempts,
        "attemptsTotal": len(attempts),
        "attempt": f"{len(attempts)}/4",
        "retriesUsed": max(0, len(attempts) - 1),
        **({"startedAt": attempts[0]["recordedAt"]} if attempts else {}),
        **more.pop("status", {}),
    }
    if ended:
        last = attempts[-1].get("finishedAt") if attempts else None
        status.setdefault("finishedAt", last or at(created - 2))
    spec = {
        "task": {"name": task or name, "source": "def main(): ...", "function": "main"},
        "retries": 3,
        "upstream": [{"taskRun": up, "parameter": "rows"} for up in needs],
        **more.pop("spec", {}),
    }
    meta = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "creationTimestamp": at(created)}
    assert not more, more
    return {
        "apiVersion": API_VERSION,
        "kind": "TaskRun",
        "metadata": {**meta, "resourceVersion": "1", "labels": labels},
        "spec": spec,
        "status": status,
    }


def flow_run(name: str, state: str = "Completed", *, flow: str = "etl", began: float = 300, **more: Any) -> Object:
    """A FlowRun of namespace `team`; `took` in seconds."""
    took = more.pop("took", 120.0)
    ended = {} if state == "Running" else {"finishedAt": at(began - took)}
    spec = {
        "flow": flow,
        "title": more.pop("title", name),
        "tags": more.pop("tags", []),
        "parameters": more.pop("parameters", []),
        "pin": f"pin-{name}",
        "driver": {"id": "x1", "host": "ada-laptop", "program": "etl.py", "sdkVersion": "0.1.0", "python": "3.11.7"},
        **more.pop("spec", {}),
    }
    status = {"state": state, "startedAt": at(began), "heartbeat": 3, **ended, **more.pop("status", {})}
    assert not more, more
    meta = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "creationTimestamp": at(began)}
    return {
        "apiVersion": API_VERSION,
        "kind": "FlowRun",
        "metadata": {**meta, "resourceVersion": "1"},
        "spec": spec,
        "status": status,
    }


def nothing(cluster: LiveCluster) -> None:
    """A new namespace."""


def one(cluster: LiveCluster) -> None:
    """A first run."""
    cluster.put(flow_run("hello-5f1c", flow="hello", began=60, took=9, title="first-try"))
    status = {"result": _value("hello ada"), "duration": "7s"}
    cluster.put(task_run("hello-ada", task="hello", flow="hello", flow_run="hello-5f1c", created=60,
                         attempts=[attempt(1, 55, 51)], status=status))  # fmt: skip


def day(cluster: LiveCluster) -> None:
    """A day's work: a flow with everything in it that a page shows, and many others."""
    parameters = [
        {"name": "day", "type": "date", "value": '"2026-01-02"'},
        {"name": "limit", "type": "int", "value": "200000"},
        {"name": "password", "type": "SecretStr", "omitted": "Hidden"},
    ]
    said = f"Flow run encountered an exception. {NOTES['Failed'][1]}"
    cluster.put(flow_run("etl-1f3a52b7", "Failed", began=300, took=262, title="brave-otter", tags=["nightly", "prod"],
                         parameters=parameters, status={"message": said}))  # fmt: skip
    cluster.put(*etl())
    cluster.put(flow_run("train-77c0de", "Running", flow="train", began=240, title="swift-heron", tags=["gpu"]))
    cluster.put(*train())
    for index in range(14):
        state = ("Completed", "Completed", "Completed", "Cancelled", "Failed")[index % 5]
        name, began = f"report-{index:02}", 3600.0 * (index + 1)
        cluster.put(flow_run(name, state, flow="report", began=began, took=75 + 13 * index, title=f"calm-lynx-{index}"))
        for part in range(6):
            own = state if part == 5 else "Completed"
            tried = attempt(1, began - 6, began - 60 - part, own)
            cluster.put(task_run(f"{name}-{part}", own, task="render", flow="report", flow_run=name, created=began,
                                 attempts=[tried]))  # fmt: skip
    lost = {"type": "DriverLost", "status": "True", "reason": "Silent", "lastTransitionTime": at(7000)}
    cluster.put(flow_run("ingest-0ff1ce", "Running", flow="ingest", began=9000, status={"conditions": [lost]}))
    cluster.put(task_run("ingest-a", task="read", flow="ingest", flow_run="ingest-0ff1ce", created=9000,
                         attempts=[attempt(1, 8990, 8900)]))  # fmt: skip
    cluster.put(task_run("adhoc", "Completed", flow_run="", created=4000, attempts=[attempt(1, 3990, 3980)]))


def etl() -> list[Object]:
    """A flow run with retries, a disruption, an out-of-memory kill, a cached result, and a failure."""
    error = {"type": "ValueError", "message": "column 'price' has no numbers in row 48,112", "traceback": TRACEBACK}
    failed = [
        attempt(1, 250, 238, "Failed", reason="Exception", message="ValueError: no numbers", exitCode=1),
        attempt(2, 205, 190, "Failed", reason="Exception", message="ValueError: no numbers", exitCode=1),
        attempt(3, 140, 121, "Failed", reason="Exception", message="ValueError: no numbers", exitCode=1),
    ]
    moved = [
        attempt(1, 270, 222, "Disruption", reason="Evicted", message="Its node was drained."),
        attempt(2, 210, 150, cause="Disruption", node="node-b"),
    ]
    grown = [
        attempt(1, 265, 240, "OutOfMemory", reason="OutOfMemory", exitCode=137, message="It reached its memory limit."),
        attempt(2, 226, 170, cause="OutOfMemory", memory="4Gi"),
    ]
    return [
        task_run("config", "Cached", created=300, status={"cache": {"outcome": "Hit", "sourceRun": "config-old"}}),
        task_run("fetch-eu", task="fetch", created=299, attempts=[attempt(1, 290, 275)], needs=("config",)),
        task_run(
            "fetch-us", task="fetch", created=299, attempts=moved, needs=("config",), status={"disruptionsUsed": 1}
        ),
        task_run("clean-eu", task="clean", created=298, attempts=grown, needs=("fetch-eu",)),
        task_run("clean-us", task="clean", created=298, attempts=[attempt(1, 140, 118)], needs=("fetch-us",)),
        task_run("load", "Failed", created=298, attempts=failed, needs=("fetch-eu",), status={"error": error}),
        task_run("summary", "NotReady", created=297, needs=("load", "clean-us"), status={"finishedAt": at(119)}),
        task_run("notify", "NotReady", created=297, needs=("summary",), status={"finishedAt": at(118)}),
    ]


def train() -> list[Object]:
    """A flow run that goes on."""
    runs = [task_run("split", task="split", flow="train", flow_run="train-77c0de", created=240,
                     attempts=[attempt(1, 232, 201)])]  # fmt: skip
    states = ["Completed", "Completed", "Running", "Running", "AwaitingRetry", "Retrying", "Pending", "Pending"]
    for index, state in enumerate(states):
        tried = {
            "Completed": [attempt(1, 190, 60 + 5 * index)],
            "Running": [attempt(1, 100, None)],
            "AwaitingRetry": [attempt(1, 150, 20, "Failed", reason="Exception", message="RuntimeError: no GPU")],
            "Retrying": [attempt(1, 180, 90, "Failed", reason="Exception"), attempt(2, 40, None)],
        }.get(state, [])
        runs.append(task_run(f"fold-{index}", state, task="fit", flow="train", flow_run="train-77c0de", created=200,
                             attempts=tried, needs=("split",)))  # fmt: skip
    needs = tuple(f"fold-{index}" for index in range(len(states)))
    return [*runs, task_run("choose", "Pending", flow="train", flow_run="train-77c0de", created=199, needs=needs)]


def many(cluster: LiveCluster, count: int = 10_000) -> None:
    """A flow run with very many task runs."""
    cluster.put(flow_run("wide-10k", "Running", flow="wide", began=3600))
    per = count // 100
    for index in range(count):
        began = 3500 - 30 * (index // per) + index % 23
        task = ("fetch", "parse", "score", "store")[index % 4]
        state = "Failed" if index % 997 == 5 else "Running" if index > count - 40 else "Completed"
        tried = attempt(1, began, None if state == "Running" else began - 20 - index % 9, state)
        needs = (f"wide-{index - 1:05}",) if index % 4 else ()
        cluster.put(task_run(f"wide-{index:05}", state, task=task, flow="wide", flow_run="wide-10k", created=3590,
                             attempts=[tried], needs=needs))  # fmt: skip


def longest(cluster: LiveCluster) -> None:
    """Names as long as the API lets them be."""
    name = "f" * 63
    tags = ["t" * 63, "ünïcödé-" * 7]
    cluster.put(flow_run(name, "Failed", flow="flow-" + "w" * 248, title="title-" * 42, tags=tags))
    for index, state in enumerate(("Completed", "Failed", "Running", "NotReady")):
        ended = None if state == "Running" else 100
        run = LONGEST_NAME[:-2] + f"{index:02}"
        needs = (LONGEST_NAME[:-2] + "00",) if index else ()
        tried = [] if state == "NotReady" else [attempt(1, 200, ended, state, node="node-" + "y" * 60)]
        message = "M" * 900 + " and a very long sentence about it" * 3
        cluster.put(task_run(run, state, task=LONGEST_TASK, flow="flow", flow_run=name, attempts=tried, needs=needs,
                             status={"message": message, "error": {"type": "E" * 200, "message": message}}
                             if state == "Failed" else {"message": message}))  # fmt: skip


def failed(cluster: LiveCluster) -> None:
    """A bad night."""
    for index in range(30):
        name, began = f"night-{index:02}", 1200.0 * (index + 1)
        state = ("Failed", "Crashed", "TimedOut")[index % 3]
        cluster.put(flow_run(name, state, flow="nightly", began=began, took=33, status={"message": "It went wrong."}))
        for part in range(8):
            own = ("Failed", "Crashed", "TimedOut", "NotReady")[(index + part) % 4]
            tried = [] if own == "NotReady" else [attempt(1, began - 6, began - 20, own)]
            cluster.put(task_run(f"{name}-{part}", own, task=f"step-{part}", flow="nightly", flow_run=name,
                                 created=began, attempts=tried))  # fmt: skip


WORLDS = {"nothing": nothing, "one": one, "day": day, "many": many, "longest": longest, "failed": failed}


def _value(value: str) -> Object:
    text = json.dumps(value)
    return {"value": text, "digest": "0" * 64, "size": len(text), "serializer": "json", "attempt": 1}
