"""What a TaskRun of the operator's own namespace may not name: what stands there is the operator's. Pure.

The bucket's credentials are a Secret there, and the operator's service account may be a role of the cloud. Who may
create TaskRuns in that namespace (`helm test` does) is not to have either. Asked by: `pods.validate`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from podtask.core.api.names import Reason
from podtask.core.api.spec import plain
from podtask.core.lifecycle.model import Why
from podtask_operator.pod_template import template
from podtask_operator.pod_template.checks import NotAllowed
from podtask_operator.settings import Settings
from podtask_operator.task_runs.parse import TaskRun

HARMLESS: Final = ("emptyDir", "downwardAPI")
"""Kinds of volumes that hold nothing of the namespace."""


def takes_nothing_of_the_operators(run: TaskRun, settings: Settings) -> Why | None:
    """In the operator's own namespace no Secret, ConfigMap, account or volume with data, unless that is watched."""
    home = settings.operator_namespace
    if home is None or run.namespace != home or home in settings.namespaces:
        return None
    path = next(_taken(run, settings.driver_account), None)
    if path is None:
        return None
    return Why(
        Reason.INVALID_SPEC,
        f"{path} is not allowed in namespace '{home}', the operator's own: the bucket's credentials are there.",
        "Create the TaskRun in another namespace. Or let the administrator list this one in watchNamespaces of the"
        " chart: then whoever creates TaskRuns here can read every Secret of it.",
    )


def _taken(run: TaskRun, driver_account: str) -> Iterator[str]:
    """Paths of what names a Secret, a ConfigMap, a volume or an account; that of drivers may handle TaskRuns only."""
    if run.spec.service_account_name not in (None, driver_account):
        yield "spec.serviceAccountName"
    for index, variable in enumerate(run.spec.env):
        if variable.value_from is not None and set(plain(variable.value_from)) != {"fieldRef"}:
            yield f"spec.env[{index}].valueFrom"
    try:
        asked = template.read(run.spec.pod_template)
    except NotAllowed:  # told by another check
        return
    if asked.env_from:
        yield "spec.podTemplate.envFrom"
    if "imagePullSecrets" in asked.pod:
        yield "spec.podTemplate.imagePullSecrets"
    for index, volume in enumerate(asked.volumes):
        if not set(volume) <= {"name", *HARMLESS}:
            yield f"spec.podTemplate.volumes[{index}]"
