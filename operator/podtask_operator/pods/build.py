"""The pod of an attempt, as a plain dict. The only place that makes pods, so that every rule about them holds.

Before: an attempt was recorded in the status, and its Secret holds a key of grants. Next: POST.
Beside: `pod_template.template` (what users may add), `status` (the way back). Pure: the same run gives the same pod.
Every pod passes Pod Security `restricted` and holds neither credentials nor rights on the Kubernetes API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from podtask.core.api import names
from podtask.core.api.spec import Resources, plain
from podtask.core.api.status import own_pod_name
from podtask.core.lifecycle import deadline
from podtask.core.lifecycle.model import Policy
from podtask.core.storage import layout
from podtask_operator.pod_template import template as podtemplate
from podtask_operator.pod_template.placement import placement
from podtask_operator.pod_template.template import Template
from podtask_operator.pods import driver_token, memory, owner
from podtask_operator.pods.waiting import KUEUE_QUEUE
from podtask_operator.settings import Settings
from podtask_operator.task_runs.image import image_of, python_minor
from podtask_operator.task_runs.parse import Malformed, TaskRun, policy, with_defaults
from podtask_runner import names as runner

USER_ID: Final = 65532
"""`nonroot` of the usual minimal images, and of ours."""
COMMAND: Final = ("python3", "-I", "-X", "utf8", "-m", "podtask_runner")
"""For images of users: their entrypoint is their own. `python3` is the name every Python image has on its PATH.
Our runner images keep theirs (runner-image/Dockerfile), so an administrator's derived image may change it."""
PASSED_LABELS: Final = (names.LABEL_FLOW_RUN, names.LABEL_FLOW, names.LABEL_TASK, KUEUE_QUEUE)
TMP: Final = "/tmp"  # noqa: S108 - the pod's own, the one place it can write
TMP_VOLUME: Final = "podtask-tmp"
USER: Final = "podtask"
"""Name of the user where the image has no entry for its number: libraries ask for it when they are imported."""
GRANTS_VOLUME: Final = "podtask-grants"
OTLP_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
RESERVED_ENV: Final = "PODTASK_"
DEADLINE_MARGIN: Final = 60
"""Seconds that runner and operator get to act before the kubelet's deadline does."""

Json = dict[str, Any]


def build(run: TaskRun, attempt: int, settings: Settings) -> Json:
    """The pod of attempt number `attempt`. Raises `NotAllowed` or `Malformed` for what `validate.invalid` reports."""
    template = podtemplate.read(run.spec.pod_template)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(run, attempt, template),
        "spec": _spec(run, attempt, settings, template),
    }


def _metadata(run: TaskRun, attempt: int, template: Template) -> Json:
    passed = {label: run.labels[label] for label in PASSED_LABELS if label in run.labels}
    ours = {
        names.LABEL_TASK_RUN: run.name,
        names.LABEL_ATTEMPT: str(attempt),
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
    }
    metadata: Json = {
        "name": own_pod_name(run.name, attempt),
        "namespace": run.namespace,
        "labels": {**passed, **template.labels, **ours},
        "ownerReferences": [owner.reference(run)],
    }
    if template.annotations:
        metadata["annotations"] = dict(template.annotations)
    return metadata


def _spec(run: TaskRun, attempt: int, settings: Settings, template: Template) -> Json:
    spec, defaults = run.spec, settings.task_defaults
    fixed = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": template.grace,
        "securityContext": _pod_security(template),
        "volumes": [*_volumes(run, attempt, defaults), *driver_token.volumes(run, settings), *template.volumes],
        "containers": [_container(run, attempt, settings, template)],
    }
    wished = {
        "activeDeadlineSeconds": _deadline(run, template, defaults),
        "serviceAccountName": spec.service_account_name,
        **template.pod,
        **placement(with_defaults(spec, defaults), run.status, defaults, template),
        "imagePullSecrets": [*(defaults.get("imagePullSecrets") or ()), *template.pod.get("imagePullSecrets", ())],
    }
    return {**fixed, **{name: value for name, value in wished.items() if value}}


def _deadline(run: TaskRun, template: Template, defaults: Mapping[str, Any]) -> int | None:
    """The kubelet's backstop for the time the operator is away; runner and operator act earlier.

    It counts from the moment the kubelet accepts the pod, so pulling the image is inside: a plain
    timeout + grace would take a slow pull out of the task's own time. The run's deadline counts from its record.
    """
    spec, attempt = with_defaults(run.spec, defaults), run.status.latest
    times = []
    if spec.timeout_seconds is not None:
        times.append((spec.pending_timeout_seconds or Policy.pending_timeout_seconds) + spec.timeout_seconds)
    if attempt is not None and attempt.recorded_at is not None:
        over = deadline.ends_at(policy(run), run.status, attempt.recorded_at)
        times += [] if over is None else [max(0.0, (over - attempt.recorded_at).total_seconds())]
    return math.ceil(min(times)) + template.grace + DEADLINE_MARGIN if times else None


def _pod_security(template: Template) -> Json:
    user = template.security.get("runAsUser", USER_ID)
    # Without a group the runtime takes the image's, often 0.
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
        **template.security,
    }


def _volumes(run: TaskRun, attempt: int, defaults: Mapping[str, Any]) -> list[Json]:
    limit = defaults.get("tmpSizeLimit")
    items = [{"key": layout.secret_key(attempt), "path": runner.GRANTS_FILE}]
    return [
        {"name": GRANTS_VOLUME, "secret": {"secretName": layout.secret_name(run.name, run.uid), "items": items}},
        {"name": TMP_VOLUME, "emptyDir": {"sizeLimit": limit} if limit else {}},
    ]


def _container(run: TaskRun, attempt: int, settings: Settings, template: Template) -> Json:
    spec = run.spec
    image = image_of(run, settings)
    if image is None:
        raise Malformed(f"There is no runner image for Python {python_minor(run, settings)}.")
    first = resources_of(run, settings)
    container: Json = {
        "name": names.POD_CONTAINER,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "env": _env(run, attempt, settings),
        "resources": memory.grown(first, memory.growth(spec.on_out_of_memory, first), run.status.out_of_memory_used),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        # A folder, not a subPath: only a folder follows when the Secret's grants are refreshed.
        "volumeMounts": [
            {"name": GRANTS_VOLUME, "mountPath": runner.GRANTS_DIR, "readOnly": True},
            {"name": TMP_VOLUME, "mountPath": TMP},
            *driver_token.mounts(run, settings),
            *template.mounts,
        ],
        "terminationMessagePath": runner.TERMINATION_LOG,
        # Not FallbackToLogsOnError: a line of a log must never be taken for the runner's word.
        "terminationMessagePolicy": "File",
    }
    if spec.image:
        container["command"] = list(COMMAND)
    if template.env_from:
        container["envFrom"] = list(template.env_from)
    return container


def _env(run: TaskRun, attempt: int, settings: Settings) -> list[Json]:
    """Defaults, then the user's variables, then ours: of two with one name the kubelet takes the last.

    The paths are set although they are the runner's defaults, because envFrom could bring others.
    """
    ours = {
        runner.ENV_RUN_NAME: run.name,
        runner.ENV_ATTEMPT: str(attempt),
        runner.ENV_GRANTS: f"{runner.GRANTS_DIR}/{runner.GRANTS_FILE}",
        runner.ENV_TERMINATION_LOG: runner.TERMINATION_LOG,
    }
    users = [plain(variable) for variable in run.spec.env if not variable.name.startswith(RESERVED_ENV)]
    taken = {variable["name"] for variable in users}
    values = {"HOME": TMP, "TMPDIR": TMP, "USER": USER, "LOGNAME": USER}
    if settings.task_otlp_endpoint:
        values[OTLP_ENDPOINT] = settings.task_otlp_endpoint
    defaults = [{"name": name, "value": value} for name, value in values.items() if name not in taken]
    return [*defaults, *users, *({"name": name, "value": value} for name, value in ours.items())]


def resources_of(run: TaskRun, settings: Settings) -> Json:
    """What the first attempt's container asks for."""
    return resources(run.spec.resources, settings.task_defaults.get("resources") or {})


def resources(asked: Resources | None, defaults: Mapping[str, Any]) -> Json:
    """What the run asks for; a default holds for a resource of which the run says nothing at all.

    Merged by section, a default limit could be smaller than a request of the run, and no pod would be accepted.
    """
    given: Json = plain(asked) if asked else {}
    mentioned = {name for section in given.values() for name in section}
    merged: Json = {}
    for section in ("requests", "limits"):
        fallback = {name: value for name, value in (defaults.get(section) or {}).items() if name not in mentioned}
        together = {**fallback, **given.get(section, {})}
        if together:
            merged[section] = together
    return merged
