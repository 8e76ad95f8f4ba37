"""The Kubernetes API as plain dicts: the few verbs the operator has rights for.

Answers and errors: `answers`.

Never typed client bodies: kubernetes 37 rejects fields it does not know. The official client brings
authentication (in-cluster, kubeconfig, exec plugins) and TLS; requests go through a session of our own, because its
session reads netrc and the proxy variables again for every request, in a thread (a seventh of all CPU time, measured).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client, config
from yarl import URL

from podtask.core.api.names import (
    FLOW_RUN_PLURAL,
    GROUP,
    LABEL_TASK_RUN,
    PLURAL,
    POD_CONTAINER,
    VERSION,
    WARM_POOL_PLURAL,
)
from podtask.core.api.url_path import NoSuchName, url_path
from podtask_operator.kube import answers, fences, pages
from podtask_operator.kube.answers import ApiError, ApiUnavailable
from podtask_operator.kube.echoes import Echoes
from podtask_operator.kube.pages import PAGE
from podtask_operator.runtime import metrics
from podtask_operator.task_runs import held

Object = dict[str, Any]
Body = dict[str, Any] | list[dict[str, Any]] | None

FIELD_MANAGER = "podtask-operator"
REQUEST_TIMEOUT = 30.0
IN_FLIGHT = REQUEST_TIMEOUT + 5.0
"""Seconds after which a request that was sent has arrived or never will: in admission, in a queue of the API server."""
WATCH_SPARE = 30.0
"""Seconds of silence after a watch should have been ended by the server, until its connection counts as dead."""
LEASE_TIMEOUT = 3.0
"""Seconds for a request about the Lease: several fit into the time in which it must be renewed."""
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
OURS = {"labelSelector": LABEL_TASK_RUN}
"""By a label that is nobody else's: tools write their own name into `app.kubernetes.io/managed-by`."""
ONLY_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


__all__ = ["FIELD_MANAGER", "Api", "ApiError", "ApiUnavailable"]


class Api:
    """One connection pool for all calls."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client
        self._host: str = api_client.configuration.host
        self._server_name: str | None = api_client.configuration.tls_server_name
        self._session = aiohttp.ClientSession(
            # No limit: the queue bounds the requests, and of the watches, one in each namespace, each keeps one open.
            connector=aiohttp.TCPConnector(limit=0, ssl=api_client.rest_client.ssl_context),
            headers={"User-Agent": FIELD_MANAGER},
            proxy=api_client.configuration.proxy or _proxy(self._host),
        )
        self.fence: Callable[[], bool] = lambda: True
        """Asked before each write; False: this operator may not be the only one any more."""
        self.late: Callable[[], float] = lambda: 0.0
        """Seconds in which a write of the operator before this one may still take effect."""
        self.fence_in: Callable[[str], bool] = lambda _: True
        """Asked before each write into a namespace; False: another release may work there by now."""
        self.echoes = Echoes()
        """Versions that these writes have made."""
        self._unanswered: float | None = None
        """When a write of ours had no answer last, by the process's clock."""

    @classmethod
    async def connect(cls) -> Api:
        """In-cluster when there is a service account, else the current kube context."""
        try:
            config.load_incluster_config()
        except config.ConfigException:
            await config.load_kube_config()
        settings = client.Configuration.get_default_copy()
        settings.disable_strict_ssl_verification = True  # as kubectl verifies: see `podtask.kube.tls`
        return cls(client.ApiClient(settings))

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._client.close()

    @property
    def settled(self) -> bool:
        """True where no write of ours can take effect any more that was not answered."""
        return self._unanswered is None or time.monotonic() - self._unanswered > IN_FLIGHT

    async def get_run(self, namespace: str, name: str) -> Object | None:
        """The live TaskRun, or None."""
        return await self._get(_runs, namespace, name)

    async def patch_status(self, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch the status; the patch carries `metadata.resourceVersion`, so a stale one is a 409.

        The caller takes the answer in at once: no watch will tell of it (`echoes`).
        """
        answer = await self._call("PATCH", _runs(namespace, name, "status"), patch, content=MERGE_PATCH)
        self.echoes.wrote(answer["metadata"]["uid"], answer["metadata"]["resourceVersion"])
        return answer

    async def delete_run(self, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this TaskRun; its pods and Secret follow by owner reference."""
        await self._delete(_runs(namespace, name), uid, propagationPolicy="Background")

    async def namespace_uid(self, namespace: str) -> str | None:
        """The UID of a namespace as it is now; None where there is none. Raises `ApiError` where it may not be read."""
        found = await self._get(_namespace, namespace)
        return None if found is None else str(found["metadata"]["uid"])

    async def get_flow_run(self, namespace: str, name: str) -> Object | None:
        """The live FlowRun, or None."""
        return await self._get(_flow_runs, namespace, name)

    def list_flow_runs(self, namespace: str | None, *, only_metadata: bool = False) -> AsyncIterator[Object]:
        """All FlowRuns, page by page."""
        return self._list(_flow_runs(namespace), {}, ONLY_METADATA if only_metadata else None, PAGE)

    async def patch_flow_run_status(self, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch the status; the patch carries `metadata.resourceVersion`, so a stale one is a 409."""
        return await self._call("PATCH", _flow_runs(namespace, name, "status"), patch, content=MERGE_PATCH)

    async def delete_flow_run(self, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this FlowRun; its subflows and TaskRuns follow by owner reference."""
        await self._delete(_flow_runs(namespace, name), uid, propagationPolicy="Background")

    def list_warm_pools(self, namespace: str | None) -> AsyncIterator[Object]:
        """All WarmPools, page by page."""
        return self._list(_warm_pools(namespace), {}, None, PAGE)

    async def patch_warm_pool_status(self, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch the status; with `metadata.uid` inside, another pool of that name is a 409."""
        return await self._call("PATCH", _warm_pools(namespace, name, "status"), patch, content=MERGE_PATCH)

    async def claim_pod(self, namespace: str, name: str, operations: list[Object]) -> Object:
        """JSON patch of an idle pod. A `test` that fails is a 422: the pod is somebody's already."""
        return await self._call("PATCH", _core(namespace, "pods", name), operations, content=JSON_PATCH)

    async def remove_idle_pod(self, namespace: str, name: str, uid: str, version: str) -> None:
        """Remove exactly this pod as it was seen, at once; one that was touched since is a 409, one that is gone a 404.

        At once: a pod that is still there while it ends could still be claimed.
        """
        only = {"uid": uid, "resourceVersion": version}
        options = {"preconditions": only, "gracePeriodSeconds": 0}
        await self._call("DELETE", _core(namespace, "pods", name), options)

    async def get_pod(self, namespace: str, name: str) -> Object | None:
        """The live pod, or None."""
        return await self._get(_core, namespace, "pods", name)

    async def pod_log(self, namespace: str, name: str, lines: int, limit_bytes: int, seconds: float) -> bytes:
        """The last `lines` of what the task printed, of those the first `limit_bytes`."""
        query = {"container": POD_CONTAINER, "tailLines": str(lines), "limitBytes": str(limit_bytes)}
        path = _core(namespace, "pods", name, "log")
        return await self._send("GET", path, query=query, accept="*/*", seconds=seconds)

    async def create_pod(self, namespace: str, pod: Object) -> Object:
        """POST a pod. Strict: a field of a podTemplate that no pod has would be dropped without a word."""
        return await self._call("POST", _core(namespace, "pods"), pod, query={"fieldValidation": "Strict"})

    async def patch_pod(self, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch a pod; with `metadata.uid` inside, another pod of that name is a 409."""
        return await self._call("PATCH", _core(namespace, "pods", name), patch, content=MERGE_PATCH)

    async def delete_pod(self, namespace: str, name: str, uid: str, *, force: bool = False) -> None:
        """Delete exactly this pod; with `force` its object goes at once, without a word of its node."""
        grace = {"gracePeriodSeconds": 0} if force else {}
        await self._delete(_core(namespace, "pods", name), uid, **grace)

    async def apply_secret(self, namespace: str, secret: Object) -> None:
        """Create the Secret or replace what we wrote into it, in one call and without reading it."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = _core(namespace, "secrets", secret["metadata"]["name"])
        await self._call("PATCH", path, secret, content=APPLY_PATCH, query=query)

    async def events_of(self, namespace: str, uid: str, limit: int) -> list[Object]:
        """Events about an object. Dear: the API server reads all of the namespace."""
        query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": str(limit)}
        answer = await self._call("GET", _core(namespace, "events"), query=query)
        return list(answer.get("items") or ())

    async def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret that we wrote; one that is gone is fine."""
        await self._delete(_core(namespace, "secrets", name))

    async def create_event(self, namespace: str, event: Object) -> None:
        """POST an Event."""
        await self._call("POST", _core(namespace, "events"), event)

    async def get_lease(self, namespace: str, name: str) -> Object | None:
        """The Lease, or None."""
        return await self._get(_leases, namespace, name, seconds=LEASE_TIMEOUT)

    async def create_lease(self, namespace: str, lease: Object) -> Object:
        """POST a Lease; one that exists is a 409."""
        return await self._call("POST", _leases(namespace), lease, seconds=LEASE_TIMEOUT, fenced=False)

    async def update_lease(self, namespace: str, name: str, lease: Object) -> Object:
        """PUT the Lease as it is in `lease`, with its resourceVersion: a stale one is a 409."""
        return await self._call("PUT", _leases(namespace, name), lease, seconds=LEASE_TIMEOUT, fenced=False)

    async def list_runs(
        self, namespace: str | None, *, only_metadata: bool = False, page: int = PAGE
    ) -> AsyncIterator[Object]:
        """All TaskRuns, page by page; of one that is too large what `held.bounded` leaves."""
        async for run in self._list(_runs(namespace), {}, ONLY_METADATA if only_metadata else None, page):
            yield run if only_metadata else held.bounded(run)

    def list_pods(self, namespace: str | None) -> AsyncIterator[Object]:
        """The metadata of all pods of ours, page by page."""
        return self._list(_core(namespace, "pods"), OURS, ONLY_METADATA)

    def pod_pages(self, namespace: str | None) -> AsyncIterator[Object]:
        """All pods of ours with all their fields: pages of `items`, each with the `metadata.resourceVersion` of all."""
        return self._pages(_core(namespace, "pods"), OURS, None, PAGE)

    @asynccontextmanager
    async def pod_events(
        self, namespace: str | None, version: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[Object]]:
        """What happens to pods of ours after `version`, once the server has accepted the watch; it ends it after
        `seconds`. Raises `ApiError` for an ERROR event: go on from a new list then."""
        path = _core(namespace, "pods")
        query = {**OURS, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["timeoutSeconds"] = str(seconds)
        silence = aiohttp.ClientTimeout(sock_connect=REQUEST_TIMEOUT, sock_read=seconds + WATCH_SPARE)
        try:
            async with await self._open("GET", path, silence, query=query) as answer:
                if answer.status != 200:
                    answers.check(answer.status, await answer.read(), f"WATCH {path}")
                yield answers.events(answer.content)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise ApiUnavailable(f"WATCH {path}: {type(error).__name__}: {error}") from error

    async def _list(
        self, path: str, query: Mapping[str, str], accept: str | None, size: int = PAGE
    ) -> AsyncIterator[Object]:
        async for page in self._pages(path, query, accept, size):
            for item in page.get("items") or ():
                yield item

    def _pages(self, path: str, query: Mapping[str, str], accept: str | None, size: int) -> AsyncIterator[Object]:
        async def ask(page: Mapping[str, str], most: int | None) -> bytes:
            return await self._send("GET", path, query={**query, **page}, accept=accept, most=most)

        return pages.of(ask, size)

    async def _get(self, path: Callable[..., str], *where: str, seconds: float = REQUEST_TIMEOUT) -> Object | None:
        try:
            return await self._call("GET", path(*where), seconds=seconds)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def _delete(self, path: str, uid: str | None = None, **options: Any) -> None:
        exactly = {} if uid is None else {"preconditions": {"uid": uid}}
        try:
            await self._call("DELETE", path, {**exactly, **options})
        except ApiError as error:
            if error.status != 404:  # gone already
                raise

    async def _call(self, method: str, path: str, body: Body = None, **more: Any) -> Object:
        answer = await self._send(method, path, body, **more)
        return answers.parsed(answer) if answer else {}

    async def _send(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        seconds: float = REQUEST_TIMEOUT,
        fenced: bool = True,
        most: int | None = None,
        **how: Any,
    ) -> bytes:
        """The body of the answer; where it is more than `most` bytes, its beginning, and a little more than those."""
        if fenced and method != "GET" and (why := fences.refusal(path, self.fence, self.fence_in)):
            raise ApiUnavailable(f"{method} {path}: {why}")
        try:
            async with await self._open(method, path, aiohttp.ClientTimeout(seconds), body, **how) as answer:
                data = await answer.read() if most is None else await answers.beginning(answer, most)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            if method != "GET":
                self._unanswered = time.monotonic()
                metrics.wrote(method, path, None)
            raise ApiUnavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        if method != "GET":
            metrics.wrote(method, path, answer.status)
        answers.check(answer.status, data, f"{method} {path}")
        return data

    async def _open(
        self,
        method: str,
        path: str,
        timeout: aiohttp.ClientTimeout,
        body: Body = None,
        *,
        content: str = "application/json",
        query: Mapping[str, str] | None = None,
        accept: str | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        headers = {"Content-Type": content, "Accept": accept or "application/json"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        return self._session.request(
            method,
            URL(self._host + path + (f"?{urlencode(query)}" if query else ""), encoded=True),  # as it is: no "..", no %
            data=None if body is None else json.dumps(body),
            headers=headers,
            timeout=timeout,
            server_hostname=self._server_name,
        )


def _proxy(host: str) -> str | None:
    """The proxy that the environment names for this host."""
    parts = urlsplit(host)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _runs(namespace: str | None, name: str | None = None, *more: str) -> str:
    return _path("apis", GROUP, VERSION, *_scope(namespace), PLURAL, *(() if name is None else (name, *more)))


def _flow_runs(namespace: str | None, name: str | None = None, *more: str) -> str:
    return _path("apis", GROUP, VERSION, *_scope(namespace), FLOW_RUN_PLURAL, *(() if name is None else (name, *more)))


def _warm_pools(namespace: str | None, name: str | None = None, *more: str) -> str:
    return _path("apis", GROUP, VERSION, *_scope(namespace), WARM_POOL_PLURAL, *(() if name is None else (name, *more)))


def _core(namespace: str | None, plural: str, name: str | None = None, *more: str) -> str:
    return _path("api", "v1", *_scope(namespace), plural, *(() if name is None else (name, *more)))


def _namespace(name: str) -> str:
    return _path("api", "v1", "namespaces", name)


def _leases(namespace: str, name: str | None = None) -> str:
    lease = () if name is None else (name,)
    return _path("apis", "coordination.k8s.io", "v1", *_scope(namespace), "leases", *lease)


def _scope(namespace: str | None) -> tuple[str, ...]:
    return () if namespace is None else ("namespaces", namespace)


def _path(*segments: str) -> str:
    """The path of an object. What cannot be the name of one is not asked for: there is no such object."""
    try:
        return url_path(*segments)
    except NoSuchName as error:
        raise ApiError(404, "NotFound", str(error)) from None
