"""Every Prometheus metric of the operator: name, labels and meaning, once. Served at `/metrics` of the health port.

Labels come from closed lists (states, outcomes, kinds of objects), never from names of runs or namespaces. `TABLE` is
all of it for the documentation: `python -m podtask_operator.runtime.metrics` prints it as Markdown.
Counted by: `kube.client` (writes), `status_writer` (transitions), `work_queue`, `health`. Read at the
scrape: `LiveGauges`.
"""

from __future__ import annotations

import sys
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from podtask.core.api.names import State
from podtask.core.api.status import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NO_ANSWER = "none"


@dataclass(frozen=True)
class Metric:
    """One row of the documentation."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


TABLE: list[Metric] = []
_REGISTRY = CollectorRegistry()
ProcessCollector(registry=_REGISTRY)


def _counter(name: str, text: str, *labels: str) -> Counter:
    TABLE.append(Metric(name, "counter", labels, text))
    return Counter(name, text, labels, registry=_REGISTRY)


def _histogram(name: str, text: str, *buckets: float) -> Histogram:
    TABLE.append(Metric(name, "histogram", (), text))
    return Histogram(name, text, buckets=buckets, registry=_REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    TABLE.append(Metric(name, "gauge", labels, text))
    return TABLE[-1]


WRITES = _counter(
    "podtask_api_writes_total",
    "Writes to the Kubernetes API, by kind of object, HTTP method and status code; `none`: no answer came.",
    "resource",
    "method",
    "code",
)
ATTEMPTS = _counter(
    "podtask_attempts_total", "Attempts that were judged, by outcome (`status.attempts[].outcome`).", "outcome"
)
RUNS_ENDED = _counter("podtask_taskruns_ended_total", "TaskRuns that ended, by their last state.", "state")
CACHE = _counter(
    "podtask_cache_total",
    "TaskRuns with `spec.cache` that ended, by what the cache had to do with them (`status.cache.outcome`).",
    "outcome",
)
DOORBELL = _counter(
    "podtask_doorbell_total",
    "Datagrams of runners that stored their outcome; `dropped`: of no running attempt, or too many.",
    "dropped",
)
WARM_CLAIMS = _counter(
    "podtask_warm_claims_total",
    "Attempts that fitted a WarmPool: `claimed`, they took an idle pod; `missed`, none was ready; `lost`, the pod that"
    " was chosen was not to be had. The last two start in pods of their own.",
    "outcome",
)
RECONCILE = _histogram(
    "podtask_reconcile_seconds",
    "Seconds for one look at one TaskRun: reads, decision, writes.",
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RECONCILE_FAILED = _counter(
    "podtask_reconcile_failures_total",
    "Looks that are repeated with back-off: `later`, because something they need is away or changed meanwhile;"
    " `error`, a defect of the operator, with a traceback in its log.",
    "kind",
)
SEEN_TO_POD = _histogram(
    "podtask_seen_to_pod_seconds",
    "Seconds from the first sight of a TaskRun to the creation of its first pod, of those that waited for nothing.",
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WATCHES_ENDED = _counter("podtask_watch_failures_total", "Times that a watch ended and was started again.")
SPANS = _counter(
    "podtask_spans_total",
    "Spans of ended TaskRuns, where traces are on: `exported`; `failed`, the collector did not take them; `dropped`,"
    " the queue was full.",
    "outcome",
)
SWEPT = _counter("podtask_swept_objects_total", "Objects that the sweep removed from the bucket.")
SWEPT_BYTES = _counter("podtask_swept_bytes_total", "Bytes of them.")
SWEEP_REFUSED = _counter(
    "podtask_sweep_refused_total",
    "Namespaces that a sweep left alone: `owner`, their folder in the bucket is not this cluster's; `release`, another"
    " release works there; `many`, most of their runs would have gone. The log says what to do.",
    "why",
)

QUEUE_DEPTH = _gauge("podtask_queue_depth", "TaskRuns that wait for one of the operator's workers.")
RUNS = _gauge("podtask_taskruns", "TaskRuns that the operator knows, by state.", "state")
PODS = _gauge("podtask_pods", "Pods of TaskRuns and WarmPools that the operator knows, ended ones included.")
WARM_READY = _gauge("podtask_warm_pods_ready", "Idle pods of WarmPools that an attempt could take at once.")
MALFORMED = _gauge("podtask_malformed_taskruns", "TaskRuns that cannot be read and are left alone; the log names each.")
WATCH_AGE = _gauge(
    "podtask_watch_age_seconds",
    "Seconds since the watch that is silent longest was heard of; each is opened anew every two minutes.",
)
LOOP_LAG = _gauge("podtask_loop_lag_seconds", "Seconds that the event loop was late at the last look.")
HOLDS_LEASE = _gauge("podtask_holds_lease", "1 while this operator holds the Lease and may write, else 0.")
LEFT_ALONE = _gauge(
    "podtask_namespaces_left_alone",
    "Namespaces in which this operator does nothing because another release works there; the log names each.",
)
UNMARKED = _gauge(
    "podtask_namespaces_unmarked",
    "Namespaces that are served without an owner's mark: its Lease may not be written. Overlap would go unnoticed.",
)


def wrote(method: str, path: str, code: int | None) -> None:
    """A write was answered with `code`; None: it was not answered."""
    steps = path.partition("/namespaces/")[2].split("/")[1:]  # namespace / kind / name / subresource
    resource = "/".join(filter(None, (steps[0], *steps[2:3]))) if steps else "other"
    WRITES.labels(resource, method, NO_ANSWER if code is None else str(code)).inc()


def transition(before: Status, after: Status) -> None:
    """A status was written."""
    judged = {attempt.number for attempt in before.attempts if attempt.judged}
    for attempt in after.attempts:
        if attempt.judged and attempt.number not in judged:
            ATTEMPTS.labels(str(attempt.outcome)).inc()
    if after.finished and not before.finished:
        RUNS_ENDED.labels(str(after.state)).inc()
        if after.cache is not None:
            CACHE.labels(str(after.cache.outcome)).inc()


class LiveGauges(Collector):
    """Gauges that are read when somebody asks."""

    def __init__(self, read: Callable[[], Mapping[Metric, float]], states: Callable[[], Iterator[State]]) -> None:
        self._read = read
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called by prometheus_client at each scrape."""
        for metric, value in self._read().items():
            yield GaugeMetricFamily(metric.name, metric.help, value)
        counted = Tally(map(str, self._states()))
        runs = GaugeMetricFamily(RUNS.name, RUNS.help, labels=RUNS.labels)
        for state in map(str, State):
            runs.add_metric([state], counted[state])
        yield runs

    def text(self) -> bytes:
        """These and all others, in the text format."""
        gauges = CollectorRegistry()
        gauges.register(self)
        return generate_latest(_REGISTRY) + generate_latest(gauges)


def markdown() -> str:
    """`TABLE` for the documentation."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |"
        for metric in sorted(TABLE, key=lambda metric: metric.name)
    ]
    return "\n".join(["| Metric | Type | Labels | Meaning |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
