"""FlowRuns as plain dicts: the few requests that the driver and the command make about them.

Below: `podtask.kube.client` (requests, refusals as sentences). Users: `podtask.backends.kubernetes.flow_records` (the
driver), `podtask.cli` (the command).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from podtask.core.api.names import FLOW_RUN_PLURAL
from podtask.kube.client import ANSWER_SECONDS, MERGE_PATCH, Api, Object, runs_path
from podtask.kube.errors import Asked
from podtask.kube.list_watch import ListWatch


class FlowRunApi:
    """FlowRuns of one cluster. Nothing is repeated."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, namespace: str, body: Object, *, seconds: float = ANSWER_SECONDS) -> Object:
        """POST a FlowRun; `seconds`: how long the answer may take."""
        asked = Asked("create", FLOW_RUN_PLURAL, namespace, body["metadata"]["name"])
        return self._write(asked, "POST", _path(namespace), body, seconds)

    def get(self, namespace: str, name: str) -> Object | None:
        """The live FlowRun, or None."""
        return self._api.get_or_none(Asked("get", FLOW_RUN_PLURAL, namespace, name), _path(namespace, name))

    def patch(self, namespace: str, name: str, body: Object) -> Object:
        """Change the spec: `cancel`, `ttlSecondsAfterFinished`."""
        asked = Asked("patch", FLOW_RUN_PLURAL, namespace, name)
        return self._write(asked, "PATCH", _path(namespace, name), body, ANSWER_SECONDS)

    def patch_status(self, namespace: str, name: str, body: Object, *, seconds: float = ANSWER_SECONDS) -> Object:
        """Change the status, as the driver of the flow does."""
        asked = Asked("patch", f"{FLOW_RUN_PLURAL}/status", namespace, name)
        return self._write(asked, "PATCH", f"{_path(namespace, name)}/status", body, seconds)

    def delete(self, namespace: str, name: str, uid: str) -> None:
        """Delete this very FlowRun. Raises `ClusterRefused`, also where it is gone."""
        asked = Asked("delete", FLOW_RUN_PLURAL, namespace, name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        self._api.ask(asked, "DELETE", _path(namespace, name), {}, body)

    def listed(self, namespace: str, selector: str = "", fields: str = "") -> ListWatch:
        """FlowRuns with these labels, as a list and as a watch. Namespace "": of all."""
        return ListWatch(self._api, namespace, FLOW_RUN_PLURAL, selector, fields)

    def _write(self, asked: Asked, method: str, path: str, body: Mapping[str, Any], seconds: float) -> Object:
        content = MERGE_PATCH if method == "PATCH" else "application/json"
        with self._api.asking(asked, method, path, {}, dict(body), content=content, read_seconds=seconds) as answer:
            made: Object = json.loads(answer.data)
        return made


def _path(namespace: str, name: str = "") -> str:
    return runs_path(namespace, *([name] if name else []), plural=FLOW_RUN_PLURAL)
