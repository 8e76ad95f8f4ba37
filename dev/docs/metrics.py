"""docs/reference/metrics.md: the operator's Prometheus metrics, from the module that counts them."""

from __future__ import annotations

from dev.docs.markdown import code, page, table

from podtask_operator.runtime import metrics

HEAD = """\
Served at `/metrics` of the operator's health port, in the Prometheus text format; how to scrape them:
[operate](../how-to/operate.md#metrics). Labels come from closed lists, never from names of runs or namespaces. Beside
these there are the `process_…` metrics of the Prometheus client."""


def text() -> str:
    """The whole page."""
    rows = [
        (code(metric.name), metric.kind, ", ".join(code(label) for label in metric.labels), metric.help)
        for metric in sorted(metrics.TABLE, key=lambda metric: metric.name)
    ]
    return page("Metrics", "podtask_operator/metrics.py", HEAD, table(("Metric", "Type", "Labels", "Meaning"), rows))
