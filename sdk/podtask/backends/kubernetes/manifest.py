"""From one call of a task to its TaskRun, as a plain dict. Pure.

    TaskRun (SDK) + Travelling (code and inputs, inline or stored) + cache plan ──build──> POST body

Numbers in it are seconds and counts, which the API server's JSON keeps; values travel pickled, never as JSON.
Before: `packed`, `cache_spec`. Next on the road: `kube.client.Api.create_run`; read by the operator (`parse`,
`grants`).
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podtask.core.api.names import (
    ANNOTATION_RUN_NAME,
    ANNOTATION_TRACEPARENT,
    API_VERSION,
    CLIENT_CALL_DIGEST,
    KIND,
    LABEL_FLOW,
    LABEL_FLOW_RUN,
    LABEL_TASK,
    RUN_NAME_LIMIT,
)

if TYPE_CHECKING:
    from podtask.model.task_run import TaskRun
    from podtask.options import TaskOptions

Object = dict[str, Any]

TTL_SECONDS = 7 * 24 * 3600
"""How long a TaskRun stays after its end."""
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
LABEL_LIMIT = 63
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def build(
    run: TaskRun,
    *,
    namespace: str,
    digest: str,
    code: Mapping[str, Object],
    inputs: Object,
    files: Sequence[Object] = (),
    upstream: Sequence[str],
    wait_for: Sequence[str],
    uids: Mapping[str, str] | None = None,
    cache: Object | None = None,
    owner: Object | None = None,
) -> Object:
    """The TaskRun of a call. `upstream` and `wait_for`: names of TaskRuns; `code`: fields of `spec.task`;
    `inputs`: see `payloads`.

    `uids`: of those of them whose TaskRuns are there already. A TaskRun that has the name later is not taken for one.
    `owner`: reference to the FlowRun of the flow run, where there is one.
    """
    options = run.task.options
    spec: Object = {
        "task": {"name": run.title[:RUN_NAME_LIMIT], "key": run.task.task_key, "python": PYTHON, **code},
        "inputs": inputs,
        "files": _once(files),
        "upstream": [_needed(run, name, uids or {}) for name in upstream],
        "waitFor": [_needed(run, name, uids or {}) for name in wait_for],
        "tags": sorted(run.tags),
        "cache": cache,
        "client": {CLIENT_CALL_DIGEST: digest},
        "ttlSecondsAfterFinished": TTL_SECONDS,
        **_attempts(options),
        **_pod(options),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": run.id,
            "namespace": namespace,
            "labels": {
                LABEL_FLOW_RUN: label_value(run.key.flow_run_id),
                LABEL_FLOW: label_value(run.flow.flow_name),
                LABEL_TASK: label_value(run.task.name),
            },
            "annotations": {
                ANNOTATION_RUN_NAME: run.name[:RUN_NAME_LIMIT],
                **({ANNOTATION_TRACEPARENT: run.traceparent} if run.traceparent is not None else {}),
            },
            **({"ownerReferences": [owner]} if owner else {}),
        },
        "spec": {name: value for name, value in spec.items() if value not in (None, [], {})},
    }


def _needed(run: TaskRun, name: str, uids: Mapping[str, str]) -> Object:
    """Of an upstream the placeholder in the inputs is its name."""
    uid = {"uid": uids[name]} if name in uids else {}
    return {"taskRun": name, **uid, **({"allowFailure": True} if name in run.may_fail else {})}


def _once(files: Sequence[Object]) -> list[Object]:
    """The same content under two names is one object."""
    return list({file["digest"]: dict(file) for file in files}.values())


def label_value(text: str) -> str:
    """The text itself where it is a valid label value; else as much of it as is, and a hash that keeps it apart."""
    if _LABEL.fullmatch(text):
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[: LABEL_LIMIT - 1 - len(mark)].strip("-._")
    return f"{kept}-{mark}" if kept else mark


def selector(flow_run_id: str) -> str:
    """Label selector for all TaskRuns of a flow run."""
    return f"{LABEL_FLOW_RUN}={label_value(flow_run_id)}"


def _attempts(options: TaskOptions) -> Object:
    return {
        "retries": options.retries or None,
        "retryDelaySeconds": list(options.delays) if any(options.delays) else None,
        "retryJitterFactor": options.retry_jitter_factor or None,
        "timeoutSeconds": options.timeout_seconds,
        "deadlineSeconds": options.deadline_seconds,
        "onOutOfMemory": options.on_out_of_memory and dict(options.on_out_of_memory),
        "maxDisruptions": options.max_disruptions,
        "onDisruption": options.on_disruption and dict(options.on_disruption),
        "checkpoints": options.checkpoints or None,
    }


def _pod(options: TaskOptions) -> Object:
    return {
        "image": options.image,
        "resources": options.resources and {part: _quantities(given) for part, given in options.resources.items()},
        "env": [{"name": name, "value": str(value)} for name, value in (options.env or {}).items()],
        "serviceAccountName": options.service_account,
        "nodeSelector": options.node_selector and dict(options.node_selector),
        "tolerations": [dict(toleration) for toleration in options.tolerations or ()],
        "podTemplate": options.pod_template and dict(options.pod_template),
    }


def _quantities(amounts: Any) -> Any:
    """`{"cpu": 0.5}` as Kubernetes takes it: a quantity is an integer or a text, never a float."""
    if not isinstance(amounts, Mapping):
        return amounts
    return {name: str(value) if isinstance(value, float) else value for name, value in amounts.items()}
