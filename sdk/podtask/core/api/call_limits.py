"""What a call asks of its pod and of other runs, within the bounds of a TaskRun: refused at once, on every backend.

`podtask.core.api.limits` has the numbers. Asked by `podtask.options` (options of a task) and by
`podtask.engine.flow_run` (each call). Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podtask.core.api import limits

_FAN_IN = "combine parts of them in tasks of their own, and pass the results of those"
_FILES = "pack them into one file, or pass where they are"
_LARGE_VALUE = "pass the value as an argument, or let the task read it from a file or a Secret (pod_template)"
_MANY_VALUES = "pass values as arguments, or take them from a ConfigMap (pod_template: envFrom)"


def pod(
    *,
    image: str | None,
    env: Mapping[str, Any] | None,
    node_selector: Mapping[str, Any] | None,
    tolerations: Sequence[Mapping[str, Any]] | None,
    resources: Mapping[str, Any] | None,
    service_account: str | None,
) -> None:
    """Options that only pods have. Raises `ValueError` that names the option."""
    limits.short("image", image or "", limits.IMAGE_LIMIT)
    limits.short("service_account", service_account or "", limits.NAME_LIMIT)
    limits.few("variables in env", len(env or {}), limits.ENV_LIMIT, _MANY_VALUES)
    for name, value in (env or {}).items():
        limits.short("the name of a variable in env", name, limits.NAME_LIMIT)
        limits.short(f"the value of {name!r} in env", value, limits.ENV_VALUE_LIMIT, _LARGE_VALUE)
    limits.few("labels in node_selector", len(node_selector or {}), limits.SELECTOR_LIMIT)
    for name, value in (node_selector or {}).items():
        limits.short(f"the label {name!r} in node_selector", value, limits.LABEL_LIMIT)
    limits.few("tolerations", len(tolerations or ()), limits.TOLERATIONS_LIMIT)
    for toleration in tolerations or ():
        for name, most in limits.TAINT_LIMITS.items():
            limits.short(f"the {name} of a toleration", toleration.get(name) or "", most)
    for name, part in (resources or {}).items():
        if isinstance(part, Mapping):
            limits.few(f"{name} of resources", len(part), limits.RESOURCES_LIMIT)


def call(task_name: str, *, upstreams: int, wait_for: int, files: int) -> None:
    """How many other runs and files one call names. Raises `ValueError` that names the task."""
    whose = f"a call of task '{task_name}'"
    limits.few(f"results of other task runs in {whose}", upstreams, limits.UPSTREAMS_LIMIT, _FAN_IN)
    limits.few(f"task runs that {whose} waits for", wait_for, limits.UPSTREAMS_LIMIT, _FAN_IN)
    limits.few(f"files in {whose}", files, limits.FILES_LIMIT, _FILES)
