"""Where the pod of an attempt may run: chart, spec and podTemplate, and what `spec.onDisruption` changes. Pure.

    spec + recorded attempts ──> nodeSelector, tolerations, priorityClassName, affinity ──> `pods.build`

Nothing but the spec and the attempts in the status decides, so a restarted operator builds the same pod. A warm pool
fits where the pod that is built is like those of the pool, so an attempt that avoids nodes is cold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from podtask.core.api.names import Ended
from podtask.core.api.spec import TaskRunSpec, plain
from podtask.core.api.status import Status
from podtask.core.lifecycle.model import Policy
from podtask_operator.pod_template.template import Template

WEIGHT: Final = 100
"""The most that a preference can have."""
_NODE: Final = "nodeAffinity"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"

Json = dict[str, Any]


def placement(spec: TaskRunSpec, status: Status, defaults: Mapping[str, Any], template: Template) -> Json:
    """Fields of the pod's spec; some may be empty. `spec` has the chart's default for maxDisruptions already."""
    asked = spec.on_disruption
    last = asked.last_attempt if asked is not None and none_left(spec, status) else None
    selector, tolerations, priority = spec.node_selector, spec.tolerations, template.pod.get("priorityClassName")
    if last is not None:
        selector = selector if last.node_selector is None else last.node_selector
        tolerations = tolerations if last.tolerations is None else last.tolerations
        priority = last.priority_class_name or priority
    avoided = disrupted_on(status) if asked is not None and asked.avoid_node else ()
    return {
        "nodeSelector": {**(defaults.get("nodeSelector") or {}), **(selector or {})},
        "tolerations": [*(defaults.get("tolerations") or ()), *map(plain, tolerations)],
        "priorityClassName": priority or defaults.get("priorityClassName"),
        "affinity": avoiding(template.pod.get("affinity"), avoided),
    }


def none_left(spec: TaskRunSpec, status: Status) -> bool:
    """True where one more disruption would end the run, also for a retry after a failure of the task."""
    allowed = Policy.max_disruptions if spec.max_disruptions is None else spec.max_disruptions
    return status.disruptions_used >= allowed


def disrupted_on(status: Status) -> tuple[str, ...]:
    """Nodes where an attempt was disrupted, of the attempts that the status keeps; each once, in their order."""
    disrupted = (attempt.node for attempt in status.attempts if attempt.outcome is Ended.DISRUPTION)
    return tuple(dict.fromkeys(node for node in disrupted if node))


def avoiding(affinity: Any, nodes: Sequence[str]) -> Any:
    """The affinity of a podTemplate, with a preference for other nodes.

    Preferred, not required: in a cluster of one node, or where the other nodes are full, a required one would leave the
    pod pending until that, too, counts as a disruption. A node that is gone does no harm. By the node's name, because
    that is what the attempt records; the label kubernetes.io/hostname may differ from it. One term for all nodes: where
    none but these can take the pod, they are equal again. What is malformed is the API server's to refuse.
    """
    if not nodes:
        return affinity
    merged = {} if affinity is None else affinity
    node = merged.get(_NODE) or {}
    preferred = (node.get(_PREFERRED) or []) if isinstance(node, Mapping) else None
    if not isinstance(preferred, list):
        return affinity
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in nodes]
    term = {"weight": WEIGHT, "preference": {"matchFields": fields}}
    return {**merged, _NODE: {**node, _PREFERRED: [*preferred, term]}}
