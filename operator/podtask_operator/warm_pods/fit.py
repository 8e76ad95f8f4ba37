"""Whether an attempt may run in an idle pod: the pod that would be built is the idle one but for identity. Pure.

    RULES (why it needs a pod of its own) ──> fingerprint(build(run)) == fingerprint(build(pool))

What belongs to one attempt comes with the claim: labels, owner, deadline, grants. All else is compared, whoever adds a
field to pods: both sides are built by `pods.build`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

from podtask.core.api import names
from podtask_operator.pod_template.checks import NotAllowed
from podtask_operator.pods import build
from podtask_operator.pods.waiting import KUEUE_QUEUE
from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import Malformed, TaskRun
from podtask_runner.names import WIRE_VERSION

_PINNED: Final = re.compile(r".+@sha256:[0-9a-f]{64}")
_IDENTITY: Final = frozenset(
    {
        names.LABEL_TASK_RUN,
        names.LABEL_ATTEMPT,
        names.LABEL_MANAGED_BY,
        names.LABEL_FLOW_RUN,
        names.LABEL_FLOW,
        names.LABEL_TASK,
    }
)
"""Labels that the claim adds."""
PREFIX: Final = "p1:"
"""Version of the form."""


def is_queued_by_kueue(run: TaskRun) -> str | None:
    """Kueue admits a pod when it is created; an idle pod exists already."""
    return "Kueue admits its pod." if KUEUE_QUEUE in run.labels else None


def reads_values_from_elsewhere(run: TaskRun) -> str | None:
    """Secrets, ConfigMaps and fields are read when a container starts: in an idle pod that was long ago."""
    elsewhere = any(variable.value_from is not None for variable in run.spec.env)
    template = run.spec.pod_template or {}
    return "Its environment is read from other objects." if elsewhere or template.get("envFrom") else None


def image_is_not_pinned(run: TaskRun) -> str | None:
    """A tag may stand for another image by now. The chart's runner images change with the operator's settings only."""
    image = run.spec.image
    return "Its image is not pinned by a digest." if image is not None and not _PINNED.fullmatch(image) else None


def memory_has_grown(run: TaskRun) -> str | None:
    """After an out-of-memory kill it gets more than the pods of any pool have."""
    return "It gets more memory than at first." if run.status.out_of_memory_used else None


RULES: Final[tuple[Callable[[TaskRun], str | None], ...]] = (
    is_queued_by_kueue,
    reads_values_from_elsewhere,
    image_is_not_pinned,
    memory_has_grown,
)
"""In order; the first that answers says why the run gets pods of its own."""


def unfit(run: TaskRun) -> str | None:
    """Why no idle pod may serve the run; None: one that is alike may."""
    return next((why for rule in RULES if (why := rule(run)) is not None), None)


def fingerprint(run: TaskRun, settings: Settings) -> str | None:
    """Hash of the pod that would be built, without what belongs to one attempt; None where none can be built."""
    try:
        pod = build.build(run, 1, settings)
    except (NotAllowed, Malformed):
        return None
    text = json.dumps([WIRE_VERSION, normalised(pod)], sort_keys=True, separators=(",", ":"))
    return PREFIX + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def normalised(pod: dict[str, Any]) -> dict[str, Any]:
    """A pod that `build` made, without what belongs to one attempt."""
    meta, spec = pod["metadata"], pod["spec"]
    container = spec["containers"][0]
    env = [variable for variable in container["env"] if not variable["name"].startswith(build.RESERVED_ENV)]
    return {
        "labels": {name: value for name, value in meta["labels"].items() if name not in _IDENTITY},
        "annotations": meta.get("annotations") or {},
        "spec": {
            **{name: value for name, value in spec.items() if name != "activeDeadlineSeconds"},
            "volumes": [volume for volume in spec["volumes"] if volume["name"] != build.GRANTS_VOLUME],
            "containers": [{**container, "env": env}],
        },
    }
