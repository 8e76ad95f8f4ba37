"""`podtask run --in-cluster`: the driver of a flow as a TaskRun of its own. Pure but for reading the file.

Its source is the flow's file with three lines behind it, so that `kubectl get -o yaml` shows what runs. Its account is
`podtask-driver`, the only one whose pods get a token (chart: `driver.enabled`). Next: `podtask.driver`, in the pod.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podtask.backends.kubernetes.manifest import PYTHON, TTL_SECONDS, label_value
from podtask.cli.common.exits import CommandFailed
from podtask.core.api.names import API_VERSION, DRIVER_ACCOUNT, KIND, LABEL_FLOW, LABEL_FLOW_RUN, NAME_LIMIT
from podtask.engine.flow_engine import run_id_of
from podtask.kube.client import Object
from podtask.model.task_run import slug

if TYPE_CHECKING:
    from podtask import Flow

FUNCTION = "podtask_drive"
CALL = """

def {function}(**parameters):
    from podtask.driver import drive
    return drive({flow}, parameters)
"""
SOURCE_LIMIT = 128 * 1024
PARAMETERS_LIMIT = 32 * 1024


def manifest(
    place: str,
    flow: Flow[..., Any],
    attribute: str,
    arguments: dict[str, Any],
    image: str,
    bundle: Object | None = None,
) -> Object:
    """The driver's TaskRun for `file.py:flow` or `package.module:flow`. Raises `CommandFailed` for one too large.

    `bundle`: the modules of the project that the file imports, which the driver's tasks get as well.
    """
    where = place.partition(":")[0]
    text = Path(where).read_text(encoding="utf-8") if where.endswith(".py") else f"from {where} import {attribute}\n"
    source = text + CALL.format(function=FUNCTION, flow=attribute)
    if len(source.encode()) > SOURCE_LIMIT:
        cure = "put it into the driver's image (--image) and name it as package.module:flow"
        raise CommandFailed(f"{where} is larger than a TaskRun's source may be ({SOURCE_LIMIT // 1024} KiB); {cure}.")
    if len(json.dumps(arguments).encode()) > PARAMETERS_LIMIT:
        raise CommandFailed("The arguments are larger than 32 KiB; pass where the data is, instead of the data.")
    name = f"{slug(flow.name)[: NAME_LIMIT - 9].rstrip('-')}-{secrets.token_hex(4)}"
    spec: Object = {
        "task": {
            "name": flow.name[:253],
            "source": source,
            "function": FUNCTION,
            "python": PYTHON,
            **({"bundle": bundle} if bundle is not None else {}),
        },
        "parameters": arguments,
        "image": image,
        "serviceAccountName": DRIVER_ACCOUNT,
        "ttlSecondsAfterFinished": TTL_SECONDS,
    }
    labels = {LABEL_FLOW: label_value(flow.name), LABEL_FLOW_RUN: run_id_of(f"{name} {flow.name}")}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "labels": labels}, "spec": spec}
