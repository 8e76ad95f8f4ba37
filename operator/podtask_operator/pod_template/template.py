"""`spec.podTemplate`: which pod fields a user may add, and what each must look like. An allow-list.

Bypassed deny-lists gave comparable systems three advisories in a row (hostNetwork, securityContext, patches of
patches), so a field that is not named in `FIELDS` is refused by name. Types are checked as deep as we merge;
what is passed on as it is (affinity, volume sources, …) is checked by the API server when the pod is posted.
Before: `parse.TaskRun`. Next: `pods.build` merges a `Template`; `validate` turns `NotAllowed` into InvalidSpec.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podtask.core.api import names
from podtask_operator.pod_template import volumes
from podtask_operator.pod_template.checks import ROOT, NotAllowed, integer, listed, member, objects, text, texts

GRACE_SECONDS: Final = 30
"""terminationGracePeriodSeconds unless the template asks for more."""
UPLOAD_SECONDS: Final = 20
"""The part of it that belongs to the runner: to end the child and store what it has. The rest is the task's."""
LONGEST_GRACE: Final = 3600

POD_FIELDS: Final = (
    "affinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "imagePullSecrets",
    "dnsConfig",
)
"""Merged into the pod's spec as they are."""


@dataclass(frozen=True)
class Template:
    """A checked template: nothing in it is outside the allow-list."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the pod's spec, see `POD_FIELDS`."""
    security: Mapping[str, Any] = field(default_factory=dict)
    """fsGroup, runAsUser, runAsGroup, supplementalGroups."""
    grace: int = GRACE_SECONDS
    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()
    """volumeMounts of the task's container, paths normalised."""
    env_from: tuple[Mapping[str, Any], ...] = ()


def read(template: Mapping[str, Any] | None) -> Template:
    """The checked template. Raises `NotAllowed` for the first thing that may not or cannot be merged."""
    given = {name: value for name, value in (template or {}).items() if value is not None}
    for name in given:
        if name not in FIELDS:
            raise _unknown(name)
    checked = {name: FIELDS[name](f"{ROOT}.{name}", value) for name, value in given.items()}
    mounts = checked.get("volumeMounts", ())
    volumes.check_declared(mounts, checked.get("volumes", ()))
    return Template(
        labels=checked.get("labels", {}),
        annotations=checked.get("annotations", {}),
        pod={name: checked[name] for name in POD_FIELDS if name in checked},
        security=checked.get("securityContext", {}),
        grace=checked.get("terminationGracePeriodSeconds", GRACE_SECONDS),
        volumes=checked.get("volumes", ()),
        mounts=mounts,
        env_from=checked.get("envFrom", ()),
    )


def grace_seconds(template: Mapping[str, Any] | None) -> float:
    """Seconds a task has between SIGTERM and SIGKILL; the default where the template is malformed."""
    try:
        return float(read(template).grace - UPLOAD_SECONDS)
    except NotAllowed:
        return float(GRACE_SECONDS - UPLOAD_SECONDS)


def _metadata(path: str, value: Any) -> Mapping[str, str]:
    """Labels or annotations: strings, and none of ours."""
    given = texts(path, value)
    for key in given:
        if _is_ours(key):
            raise NotAllowed(f"{path} may not set {key[:100]}: the operator sets it", "Choose another key.")
    return given


def _is_ours(key: str) -> bool:
    prefix, slash, _ = key.partition("/")
    return key == names.LABEL_MANAGED_BY or bool(slash and f".{prefix}".endswith(f".{names.GROUP}"))


def _grace(path: str, value: Any) -> int:
    return integer(path, value, GRACE_SECONDS, LONGEST_GRACE)


def _security(path: str, value: Any) -> Mapping[str, Any]:
    """Numbers only: every other field of a securityContext could undo Pod Security `restricted`."""
    given = member(path, value, ("fsGroup", "runAsUser", "runAsGroup", "supplementalGroups"))
    for name, number in given.items():
        if name == "supplementalGroups":
            for index, group in enumerate(listed(f"{path}.{name}", number)):
                integer(f"{path}.{name}[{index}]", group, 0, MAX_ID)
        else:
            integer(f"{path}.{name}", number, 1 if name == "runAsUser" else 0, MAX_ID)
    return given


MAX_ID: Final = 2**31 - 1


def _secrets(path: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {"name": text(f"{path}[{i}].name", member(f"{path}[{i}]", entry, ("name",)).get("name"))}
        for i, entry in enumerate(listed(path, value))
    )


def _object(path: str, value: Any) -> Mapping[str, Any]:
    return member(path, value, None)


FIELDS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "labels": _metadata,
    "annotations": _metadata,
    "affinity": _object,
    "topologySpreadConstraints": objects,
    "priorityClassName": text,
    "runtimeClassName": text,
    "schedulerName": text,
    "imagePullSecrets": _secrets,
    "terminationGracePeriodSeconds": _grace,
    "dnsConfig": _object,
    "securityContext": _security,
    "volumes": volumes.volumes,
    "volumeMounts": volumes.mounts,
    "envFrom": volumes.env_from,
}
"""The allow-list: field -> (path, value) -> the value to merge."""

_SPEC_FIELDS: Final[Collection[str]] = (
    "image",
    "resources",
    "env",
    "serviceAccountName",
    "nodeSelector",
    "tolerations",
)


def _unknown(name: str) -> NotAllowed:
    """The refusal of a field, with the place where its wish can be written, if there is one."""
    cure = f"Remove {ROOT}.{name[:100]}."
    if name in ("metadata", "spec"):
        cure = f"Write the fields directly under {ROOT}, without {name}."
    elif name in _SPEC_FIELDS:
        cure = f"Write it as spec.{name}."
    elif name in ("fsGroup", "runAsUser", "runAsGroup", "supplementalGroups"):
        cure = f"Write it as {ROOT}.securityContext.{name}."
    return NotAllowed(f"{ROOT}.{name[:100]} is not allowed; allowed are {', '.join(FIELDS)}", cure)
