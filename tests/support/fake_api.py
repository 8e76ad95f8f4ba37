"""An API server in a dict, for reconciles in one process: resourceVersions, 404 and 409, and answers that get lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests.support.builders import run_object

from podtask.core.api.names import API_VERSION, FLOW_RUN_KIND
from podtask_operator.kube.client import ApiError, ApiUnavailable
from podtask_operator.task_runs import held

Object = dict[str, Any]


class FakeApi:
    """The verbs of `podtask_operator.kube.client.Api` that reconciles use."""

    def __init__(self) -> None:
        self.runs: dict[str, Object] = {}
        self.flow_runs: dict[str, Object] = {}
        self.pods: dict[str, Object] = {}
        self.secrets: dict[str, Object] = {}
        self.warm_pools: dict[str, Object] = {}
        self.calls: list[str] = []
        self.asked: list[str] = []
        """Names of TaskRuns that were read."""
        self.lost: set[str] = set()
        """Calls whose answer is lost once, after they were carried out."""
        self.refused: dict[str, ApiError] = {}
        """Calls that are refused, each time."""
        self.late_seconds = 0.0
        """How long a write of the operator before may still arrive."""
        self.late: Callable[[], float] = lambda: self.late_seconds
        self.namespaces: dict[str, str] = {"team": "uid-of-team", "kube-system": "uid-of-cluster"}
        """Name -> UID."""
        self.fence = lambda: True
        self.events: list[Object] = []
        self.created_at: str | None = None
        """When pods are created, where they are to say it."""
        self.pod_events: list[Object] = []
        """What the kubelet told about pods."""
        self.unavailable: dict[str, ApiUnavailable] = {}
        """Calls that have no useful answer, each time."""
        self.most_bytes = 1536 * 1024
        """What etcd takes."""
        self._version = 100

    def add(
        self,
        name: str,
        spec: Object | None = None,
        status: Object | None = None,
        uid: str | None = None,
        flow_run: str | None = None,
    ) -> Object:
        """A new TaskRun; `flow_run`: the FlowRun that owns it."""
        metadata: Object = {"uid": uid or f"uid-{name}", "resourceVersion": self._next()}
        if flow_run is not None:
            owner = {"apiVersion": API_VERSION, "kind": FLOW_RUN_KIND, "name": flow_run, "uid": f"uid-{flow_run}"}
            metadata["ownerReferences"] = [owner]
        self.runs[name] = run_object(spec, name=name, status=status, metadata=metadata)
        return held.bounded(copy.deepcopy(self.runs[name]))

    def touch(self, name: str, **spec: Any) -> Object:
        """Somebody else changes a TaskRun."""
        self.runs[name]["spec"].update(spec)
        self.runs[name]["metadata"]["resourceVersion"] = self._next()
        return copy.deepcopy(self.runs[name])

    def touch_pod(self, name: str, status: Object | None = None, **metadata: Any) -> Object:
        """Its kubelet, or somebody else, changes a pod."""
        pod = self.pods[name]
        pod["status"] = status or pod["status"]
        pod["metadata"].update(metadata, resourceVersion=self._next())
        return copy.deepcopy(pod)

    async def namespace_uid(self, namespace: str) -> str | None:
        return self.namespaces.get(namespace)

    async def get_run(self, _: str, name: str) -> Object | None:
        self.asked.append(name)
        run = self.runs.get(name)
        return None if run is None else held.bounded(copy.deepcopy(run))

    async def patch_status(self, _: str, name: str, patch: Object) -> Object:
        run = self.runs.get(name)
        if run is None:
            raise ApiError(404, "NotFound", "not found")
        if any(run["metadata"][field] != value for field, value in patch["metadata"].items()):
            raise ApiError(409, "Conflict", "the object has been modified")
        if "status" in self.refused:
            raise self.refused["status"]
        status = merged(run.get("status") or {}, patch["status"])
        if len(json.dumps({**run, "status": status})) > self.most_bytes:
            raise ApiError(413, "RequestEntityTooLarge", "etcdserver: request is too large")
        run["status"] = status
        run["metadata"]["resourceVersion"] = self._next()
        return held.bounded(self._answer("status", run))

    async def delete_run(self, _: str, name: str, uid: str) -> None:
        if name in self.runs and self.runs[name]["metadata"]["uid"] == uid:
            self._answer("delete run", self.runs[name])
            del self.runs[name]

    async def apply_secret(self, _: str, secret: Object) -> None:
        if "secret" in self.unavailable:
            raise self.unavailable["secret"]
        self._answer("secret", secret)
        self.secrets[secret["metadata"]["name"]] = secret

    async def delete_secret(self, _: str, name: str) -> None:
        if "delete secret" in self.refused:
            raise self.refused["delete secret"]
        self.calls.append(f"delete secret {name}")
        self.secrets.pop(name, None)
        if "delete secret" in self.lost:
            self.lost.discard("delete secret")
            raise ApiUnavailable("delete secret: the answer was lost")

    async def create_pod(self, namespace: str, pod: Object) -> Object:
        name = pod["metadata"]["name"]
        if name in self.pods:
            raise ApiError(409, "AlreadyExists", "already exists")
        if "pod" in self.refused:
            raise self.refused["pod"]
        if "pod" in self.unavailable:
            raise self.unavailable["pod"]
        made = {"uid": f"pod-{name}", "resourceVersion": self._next(), "namespace": namespace}
        when = {} if self.created_at is None else {"creationTimestamp": self.created_at}
        meta = {**pod["metadata"], **made, **when}
        self.pods[name] = {**pod, "metadata": meta, "status": {"phase": "Pending"}}
        return self._answer("pod", self.pods[name])

    def add_flow_run(self, name: str, spec: Object | None = None, status: Object | None = None, **meta: Any) -> Object:
        """A new FlowRun."""
        metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": self._next(), **meta}
        self.flow_runs[name] = {"metadata": metadata, "spec": {"flow": "etl", **(spec or {})}, "status": status or {}}
        return copy.deepcopy(self.flow_runs[name])

    def touch_flow_run(self, name: str, **parts: Object) -> Object:
        """Somebody else changes a FlowRun: `spec`, `status`, `metadata`."""
        self.flow_runs[name] = merged(self.flow_runs[name], parts)
        self.flow_runs[name]["metadata"]["resourceVersion"] = self._next()
        return copy.deepcopy(self.flow_runs[name])

    async def get_flow_run(self, _: str, name: str) -> Object | None:
        self.calls.append(f"get flow run {name}")
        if "get flow run" in self.refused:
            raise self.refused["get flow run"]
        return copy.deepcopy(self.flow_runs.get(name))

    async def patch_flow_run_status(self, _: str, name: str, patch: Object) -> Object:
        found = self.flow_runs.get(name)
        if found is None:
            raise ApiError(404, "NotFound", "not found")
        if any(found["metadata"][field] != value for field, value in patch["metadata"].items()):
            raise ApiError(409, "Conflict", "the object has been modified")
        self.flow_runs[name] = {**found, "status": merged(found["status"], patch["status"])}
        self.flow_runs[name]["metadata"]["resourceVersion"] = self._next()
        return self._answer("flow run status", self.flow_runs[name])

    async def delete_flow_run(self, _: str, name: str, uid: str) -> None:
        self.calls.append(f"delete flow run {name}")
        if name in self.flow_runs and self.flow_runs[name]["metadata"]["uid"] == uid:
            del self.flow_runs[name]

    async def get_pod(self, _: str, name: str) -> Object | None:
        return copy.deepcopy(self.pods.get(name))

    async def patch_pod(self, _: str, name: str, patch: Object) -> Object:
        if name not in self.pods:
            raise ApiError(404, "NotFound", "not found")
        if "spec" not in patch:
            self.pods[name] = merged(self.pods[name], patch)
            self.pods[name]["metadata"]["resourceVersion"] = self._next()
            return self._answer("renew", self.pods[name])
        answer = self._answer("stop", self.pods[name])
        self.pods[name]["spec"].update(patch["spec"])
        return answer

    async def claim_pod(self, _: str, name: str, operations: list[Object]) -> Object:
        pod = self.pods.get(name)
        if pod is None:
            raise ApiError(404, "NotFound", "not found")
        if "claim" in self.refused:
            raise self.refused["claim"]
        if "claim" in self.unavailable:
            raise self.unavailable["claim"]
        self.pods[name] = patched(pod, operations)
        self.pods[name]["metadata"]["resourceVersion"] = self._next()
        return self._answer("claim", self.pods[name])

    async def remove_idle_pod(self, _: str, name: str, uid: str, version: str) -> None:
        pod = self.pods.get(name)
        if pod is None:
            raise ApiError(404, "NotFound", "not found")
        if (pod["metadata"]["uid"], pod["metadata"]["resourceVersion"]) != (uid, version):
            raise ApiError(409, "Conflict", "the object has been modified")
        self._answer("remove", pod)
        del self.pods[name]

    def add_warm_pool(self, name: str, spec: Object | None = None, status: Object | None = None) -> Object:
        """A new WarmPool."""
        metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": self._next()}
        self.warm_pools[name] = {"metadata": metadata, "spec": {"size": 1, **(spec or {})}, "status": status or {}}
        return copy.deepcopy(self.warm_pools[name])

    def touch_warm_pool(self, name: str, **spec: Any) -> Object:
        """Somebody else changes a WarmPool."""
        self.warm_pools[name]["spec"].update(spec)
        self.warm_pools[name]["metadata"]["resourceVersion"] = self._next()
        return copy.deepcopy(self.warm_pools[name])

    async def patch_warm_pool_status(self, _: str, name: str, patch: Object) -> Object:
        pool = self.warm_pools.get(name)
        if pool is None:
            raise ApiError(404, "NotFound", "not found")
        pool["status"] = merged(pool["status"], patch["status"])
        pool["metadata"]["resourceVersion"] = self._next()
        return self._answer("pool status", pool)

    async def delete_pod(self, _: str, name: str, uid: str, *, force: bool = False) -> None:
        if "delete" in self.refused:
            raise self.refused["delete"]
        self.calls.append(f"delete {name}{' by force' if force else ''}")
        if name in self.pods and self.pods[name]["metadata"]["uid"] == uid:
            del self.pods[name]

    async def pod_log(self, *_: Any) -> bytes:
        raise ApiError(404, "NotFound", "not found")

    async def events_of(self, _: str, uid: str, limit: int) -> list[Object]:
        self.calls.append(f"events of {uid}")
        if "events" in self.refused:
            raise self.refused["events"]
        return [event for event in self.pod_events if event["involvedObject"]["uid"] == uid][:limit]

    async def create_event(self, _: str, event: Object) -> None:
        self.events.append(event)

    def _answer(self, call: str, obj: Object) -> Object:
        if call in self.refused:
            raise self.refused[call]
        self.calls.append(f"{call} {obj['metadata']['name']}")
        if call in self.lost:
            self.lost.discard(call)
            raise ApiUnavailable(f"{call}: the answer was lost")
        return copy.deepcopy(obj)

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


def patched(obj: Object, operations: list[Object]) -> Object:
    """RFC 6902, as far as it is used: a test that fails is a 422, and nothing of the patch is applied."""
    result = copy.deepcopy(obj)
    for operation in operations:
        *way, last = (step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:])
        target = result
        for step in way:
            target = target[step]
        if operation["op"] == "test":
            if target.get(last) != operation["value"]:
                raise ApiError(422, "Invalid", f"testing path {operation['path']}: test failed")
        elif operation["op"] == "replace" and last not in target:
            raise ApiError(422, "Invalid", f"replace operation does not apply: {operation['path']}")
        else:
            target[last] = operation["value"]
    return result


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        result[name] = merged(result.get(name), value)
        if value is None:
            del result[name]
    return result
