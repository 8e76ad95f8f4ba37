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
    _nodes("node_selector", node_selector, "tolerations", tolerations)
    for name, part in (resources or {}).items():
        if isinstance(part, Mapping):
            limits.few(f"{name} of resources", len(part), limits.RESOURCES_LIMIT)


def _nodes(
    labels: str, selector: Mapping[str, Any] | None, taints: str, tolerations: Sequence[Mapping[str, Any]] | None
) -> None:
    """Labels of nodes and tolerations; `labels` and `taints` are the names of the two options."""
    limits.few(f"labels in {labels}", len(selector or {}), limits.SELECTOR_LIMIT)
    for name, value in (selector or {}).items():
        limits.short(f"the label {name!r} in {labels}", value, limits.LABEL_LIMIT)
    limits.few(taints, len(tolerations or ()), limits.TOLERATIONS_LIMIT)
    for toleration in tolerations or ():
        for name, most in limits.TAINT_LIMITS.items():
            limits.short(f"the {name} of a toleration", toleration.get(name) or "", most)


def disruption(asked: Mapping[str, Any] | None) -> None:
    """`on_disruption`; an empty one resets it. Raises `ValueError`, and `TypeError` for another kind of value."""
    if not asked:
        return
    _members("on_disruption", asked, {"avoidNode": bool, "lastAttempt": Mapping})
    last = asked.get("lastAttempt")
    if last is None:
        return
    path = "on_disruption['lastAttempt']"
    kinds = {"nodeSelector": Mapping, "tolerations": (list, tuple), "priorityClassName": str}
    _members(path, last, kinds)
    for toleration in last.get("tolerations") or ():
        _kind(f"a toleration in {path}", toleration, Mapping)
    _nodes(f"{path}['nodeSelector']", last.get("nodeSelector"), f"tolerations in {path}", last.get("tolerations"))
    limits.short(f"{path}['priorityClassName']", last.get("priorityClassName") or "", limits.NAME_LIMIT)


def _members(path: str, asked: Any, kinds: Mapping[str, Any]) -> None:
    """An object that has at least one of these members, and no others."""
    _kind(path, asked, Mapping)
    for name, value in asked.items():
        if name not in kinds:
            raise ValueError(f"{path} has no {name!r}; it may have {', '.join(kinds)}")
        if value is not None:
            _kind(f"{path}[{name!r}]", value, kinds[name])
    if all(value is None for value in asked.values()):
        raise ValueError(f"{path} says nothing: give at least one of {', '.join(kinds)}")


_WORDS = {bool: "True or False", str: "a text", Mapping: "a mapping", (list, tuple): "a list"}


def _kind(path: str, value: Any, kind: Any) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{path} must be {_WORDS[kind]}, not {value!r}")


def call(task_name: str, *, upstreams: int, wait_for: int, files: int) -> None:
    """How many other runs and files one call names. Raises `ValueError` that names the task."""
    whose = f"a call of task '{task_name}'"
    limits.few(f"results of other task runs in {whose}", upstreams, limits.UPSTREAMS_LIMIT, _FAN_IN)
    limits.few(f"task runs that {whose} waits for", wait_for, limits.UPSTREAMS_LIMIT, _FAN_IN)
    limits.few(f"files in {whose}", files, limits.FILES_LIMIT, _FILES)
