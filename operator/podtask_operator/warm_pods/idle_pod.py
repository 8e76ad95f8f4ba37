"""The pod that waits, and the patch by which an attempt takes it. Pure.

An idle pod is the pod of a TaskRun without identity: the runner waits (`--wait`), its Secret is optional and does not
exist, and the claim is an annotation that the pod itself reads. It holds no grant, no token and no code.
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any, Final

from podtask.core.api import names
from podtask.core.api.status import Claim
from podtask_operator.pods import build, owner
from podtask_operator.pods.fields import at, condition, container, mapping, mappings, of_type, text, when
from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import TaskRun
from podtask_operator.warm_pods.pool import WarmPool
from podtask_runner import names as runner

Json = dict[str, Any]

CLAIM_VOLUME: Final = "podtask-claim"
LONGEST: Final = 2**31 - 1
"""`activeDeadlineSeconds` of an idle pod. A claim may lower it; from none at all it would change the quota's scope."""
SPARE_SECONDS: Final = 60
"""The runner ends itself so much later than the operator replaces its pod."""
AGE_MARGIN: Final = 10
"""Seconds by which the clocks of node and API server may differ."""


def idle_pod(pool: WarmPool, name: str, settings: Settings) -> Json:
    """To POST. Raises `NotAllowed` or `Malformed` for what `validate.invalid` reports."""
    pod = build.build(pool.as_run(), 1, settings)
    meta, spec = pod["metadata"], pod["spec"]
    task = spec["containers"][0]
    kept = {label: value for label, value in meta["labels"].items() if not label.startswith(f"{names.GROUP}/")}
    ours = {names.LABEL_TASK_RUN: "", names.LABEL_POOL: pool.key.name, names.LABEL_POOL_STATE: names.POOL_IDLE}
    pod["metadata"] = {
        "name": name,
        "namespace": pool.key.namespace,
        "labels": {**kept, **ours},  # the label of a run, still empty, is what pods are watched by
        "annotations": {**(meta.get("annotations") or {}), names.ANNOTATION_CLAIM: ""},
        "ownerReferences": [pool.reference()],
    }
    spec["activeDeadlineSeconds"] = LONGEST
    grants = {"secretName": name, "optional": True, "items": [{"key": runner.GRANTS_FILE, "path": runner.GRANTS_FILE}]}
    field = {"fieldPath": f"metadata.annotations['{names.ANNOTATION_CLAIM}']"}
    claim = {"items": [{"path": runner.CLAIM_FILE, "fieldRef": field}]}
    others = [volume for volume in spec["volumes"] if volume["name"] != build.GRANTS_VOLUME]
    spec["volumes"] = [
        {"name": build.GRANTS_VOLUME, "secret": grants},
        {"name": CLAIM_VOLUME, "downwardAPI": claim},
        *others,
    ]
    task["args"] = [runner.WAIT]
    task["volumeMounts"] = [
        *task["volumeMounts"],
        {"name": CLAIM_VOLUME, "mountPath": runner.CLAIM_DIR, "readOnly": True},
    ]
    task["env"] = [
        *(each for each in task["env"] if each["name"] not in (runner.ENV_RUN_NAME, runner.ENV_ATTEMPT)),
        {"name": runner.ENV_CLAIM, "value": f"{runner.CLAIM_DIR}/{runner.CLAIM_FILE}"},
        {"name": runner.ENV_IDLE_SECONDS, "value": str(pool.spec.max_idle_seconds + SPARE_SECONDS)},
        {"name": runner.ENV_POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        *_preload(pool, settings),
    ]
    return pod


def _preload(pool: WarmPool, settings: Settings) -> list[Json]:
    """What to import meanwhile, and where to say what came of it."""
    if not pool.spec.preload:
        return []
    values = {runner.ENV_PRELOAD: ",".join(pool.spec.preload), runner.ENV_DOORBELL: settings.doorbell or ""}
    return [{"name": name, "value": value} for name, value in values.items()]


def is_idle(pod: Any) -> bool:
    """Whether no attempt has taken the pod. Once it is not idle it never is again."""
    return text(at(pod, "metadata", "labels", names.LABEL_POOL_STATE)) == names.POOL_IDLE


def is_of(pod: Any, pool: WarmPool) -> bool:
    """Whether the pool controls the pod, as it does until an attempt takes it."""
    owners = mappings(at(pod, "metadata", "ownerReferences"))
    return any(each.get("controller") is True and each.get("uid") == pool.uid for each in owners)


def is_ended(pod: Any) -> bool:
    """Whether it waits no more, and never will."""
    state = mapping(container(pod).get("state"))
    return at(pod, "status", "phase") in ("Succeeded", "Failed") or of_type(state.get("terminated")) is not None


def is_ready(pod: Any) -> bool:
    """Whether an attempt could take it at once: it runs on a node that answers, and nobody has touched it."""
    return (
        is_idle(pod)
        and not is_ended(pod)
        and at(pod, "metadata", "deletionTimestamp") is None
        and not mappings(at(pod, "spec", "ephemeralContainers"))
        and not condition(pod, "DisruptionTarget")
        and of_type(mapping(container(pod).get("state")).get("running")) is not None
        and condition(pod, "Ready").get("status") == "True"
    )


def age(pod: Any, now: datetime) -> float:
    """Seconds since the API server created it."""
    created = when(at(pod, "metadata", "creationTimestamp"))
    return 0.0 if created is None else max(0.0, (now - created).total_seconds())


def claim_text(run: TaskRun, attempt: int, claim: Claim, grants: bytes) -> str:
    """What starts the attempt in the pod, and in no other (`podtask_runner.process.idle`)."""
    return f"{run.uid}/{attempt}/{claim.pod_uid}/{hashlib.sha256(grants).hexdigest()}"


def claim_patch(run: TaskRun, attempt: int, claim: Claim, text: str, seconds: float, settings: Settings) -> list[Json]:
    """The JSON patch by which an attempt takes an idle pod of an age. Of several such patches exactly one is taken.

    Without a resourceVersion: the kubelet's writes to the pod's status are no reason to go away.
    """
    made = build.build(run, attempt, settings)
    state = f"/metadata/labels/{_pointer(names.LABEL_POOL_STATE)}"
    deadline = made["spec"].get("activeDeadlineSeconds")
    labels = [
        {"op": "add", "path": f"/metadata/labels/{_pointer(name)}", "value": value}
        for name, value in made["metadata"]["labels"].items()
    ]
    return [
        {"op": "test", "path": "/metadata/uid", "value": claim.pod_uid},
        {"op": "test", "path": state, "value": names.POOL_IDLE},
        {"op": "replace", "path": state, "value": names.POOL_CLAIMED},
        *labels,
        {"op": "add", "path": "/metadata/ownerReferences", "value": [owner.reference(run)]},
        {"op": "add", "path": f"/metadata/annotations/{_pointer(names.ANNOTATION_CLAIM)}", "value": text},
        *(
            []
            if deadline is None
            else [
                {
                    "op": "add",
                    "path": "/spec/activeDeadlineSeconds",
                    "value": math.ceil(seconds) + AGE_MARGIN + deadline,
                }
            ]
        ),
    ]


def pool_of(pod: Any) -> str | None:
    """Name of the pool that the pod was made for."""
    return text(at(pod, "metadata", "labels", names.LABEL_POOL))


def _pointer(name: str) -> str:
    """A name inside a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
