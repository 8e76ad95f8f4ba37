"""The Kubernetes API as plain dicts: the few requests the SDK makes, each refusal a sentence (`refusals`).

The official client finds the cluster and authenticates (kubeconfig, exec plugins, service account); its typed
bodies are not used. It is imported by `connect`, so that nobody pays for it before the first flow on a cluster.
Users: `backend` (create, get, cancel), `list_watch` (lists and watches), `pod_logs`, `bucket_access` (ConfigMap).
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from podtask.core.api.names import GROUP, PLURAL, POD_CONTAINER, VERSION
from podtask.core.api.url_path import NoSuchName, url_path
from podtask.kube.errors import Asked, Busy, CertificateRefused, ClusterRefused, ClusterUnreachable, refused
from podtask.kube.tls import verify_as_kubectl

Object = dict[str, Any]
T = TypeVar("T")

USER_AGENT = "podtask-sdk"
MERGE_PATCH = "application/merge-patch+json"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
POOL = 16
"""Connections kept open; watches of many flows at once take more for their time."""
LOG_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class RequestPatience:
    """How long a request is repeated while nobody answers. Seconds."""

    first: float = 5.0
    """Before the cluster answered anything: a wrong address should be told soon."""
    later: float = 60.0
    shortest: float = 0.2
    longest: float = 5.0


class Api:
    """One cluster, one connection pool. Thread-safe."""

    def __init__(
        self,
        client: Any,
        namespace: str,
        patience: RequestPatience = RequestPatience(),
        sleep: Callable[[float], object] = time.sleep,
        context: str = "",
    ) -> None:
        self.namespace = namespace
        """That of the kube context, or `default`."""
        self.context = context
        """Name of the kube context; "" for a service account."""
        self._client = client
        self._patience = patience
        self._sleep = sleep
        self._answered = False

    @property
    def server(self) -> str:
        """The address, for people."""
        return str(self._client.configuration.host)

    def create_run(self, namespace: str, run: Object) -> Object:
        """POST a TaskRun. Repeated while nobody answers, so AlreadyExists may be the echo of an own earlier try."""
        asked = Asked("create", PLURAL, namespace, run["metadata"]["name"])
        # Strict: a field that the CRD does not know would be dropped without a word.
        return self._patiently(
            lambda: self.ask(asked, "POST", runs_path(namespace), {"fieldValidation": "Strict"}, run)
        )

    def get_run(self, namespace: str, name: str) -> Object | None:
        """The live TaskRun, or None."""
        asked = Asked("get", PLURAL, namespace, name)
        return self._patiently(lambda: self.get_or_none(asked, runs_path(namespace, name)))

    def cancel_run(self, namespace: str, name: str) -> None:
        """Ask for the end of a TaskRun; one that is gone has ended. Not repeated: an interrupt waits for this."""
        asked = Asked("patch", PLURAL, namespace, name)
        try:
            self.ask(asked, "PATCH", runs_path(namespace, name), {}, {"spec": {"cancel": True}}, content=MERGE_PATCH)
        except ClusterRefused as no:
            if no.reason != "NotFound":
                raise

    def pod_log(self, namespace: str, pod: str, since: str | None, limit_bytes: int, seconds: float) -> str:
        """Lines of the task's container, each after its time (see `utc`); `since` to the second. Not repeated."""
        query = {"container": POD_CONTAINER, "timestamps": "true", "limitBytes": str(limit_bytes)}
        if since is not None:
            query["sinceTime"] = since
        path = core_path(namespace, "pods", pod, "log")
        with self.asking(Asked("get", "pods/log", namespace, pod), "GET", path, query, read_seconds=seconds) as answer:
            return bytes(answer.data).decode("utf-8", "replace")

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The data of a ConfigMap, or None where there is none or it may not be read."""
        asked = Asked("get", "configmaps", namespace, name)
        try:
            found = self._patiently(lambda: self.get_or_none(asked, core_path(namespace, "configmaps", name)))
        except ClusterRefused:
            return None
        return None if found is None else found.get("data") or {}

    def close(self) -> None:
        """Close all idle connections."""
        self._client.close()

    def get_or_none(self, asked: Asked, path: str) -> Object | None:
        """GET an object; None where it is not there. Not repeated."""
        try:
            return self.ask(asked, "GET", path)
        except ClusterRefused as no:
            if no.status == 404 and no.reason == "NotFound" and asked.name in no.message:
                return None
            raise

    def _patiently(self, call: Callable[[], T]) -> T:
        """Repeat what got no answer, or "later", with growing pauses. Raises the last error."""
        waited, pause = 0.0, self._patience.shortest
        while True:
            try:
                return call()
            except (ClusterUnreachable, Busy) as error:
                if isinstance(error, CertificateRefused) and not self._answered:
                    raise
                if waited >= (self._patience.later if self._answered else self._patience.first):
                    raise
            self._sleep(random.uniform(pause / 2, pause))  # noqa: S311 - so that many drivers do not come back at once
            waited, pause = waited + pause, min(pause * 2, self._patience.longest)

    def ask(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """One request, one JSON object. Not repeated. Raises `ClusterRefused`, `ClusterUnreachable`."""
        with self.asking(asked, method, path, query or {}, body, content=content, accept=accept) as answer:
            parsed = json.loads(answer.data)
        if not isinstance(parsed, dict):
            raise Busy(f"What answers at {self.server} is no API server ({asked}).", 502)
        return parsed

    @contextmanager
    def asking(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        read_seconds: float = ANSWER_SECONDS,
    ) -> Iterator[Any]:
        """An answer below 400, unread; the connection goes back when it was read, else it is closed."""
        from urllib3.exceptions import HTTPError

        answer: Any = None
        try:
            verb, url, headers, payload, _ = self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params={"Accept": accept, "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
            )
            reply = self._client.call_api(verb, url, headers, payload, _request_timeout=(CONNECT_SECONDS, read_seconds))
            answer = reply.response
            self._answered = True
            if answer.status >= 400:
                raise refused(asked, answer.status, bytes(answer.data))
            yield answer
        except (HTTPError, OSError, ValueError) as error:
            if isinstance(error, ClusterUnreachable):
                raise
            raise self._unreachable(asked, error) from error
        except Exception as error:
            if type(error).__name__ != "ApiException":  # what the client makes of TLS failures
                raise
            raise self._unreachable(asked, error) from error
        finally:
            if answer is not None:
                if not answer.isclosed():
                    answer.close()
                answer.release_conn()

    def _unreachable(self, asked: Asked, error: Exception) -> ClusterUnreachable:
        why = str(getattr(error, "reason", None) or error).strip()
        if "CERTIFICATE_VERIFY_FAILED" in why:
            return CertificateRefused(
                f"The certificate of the API server {self.server} cannot be trusted ({asked}): {why}. "
                f"Compare certificate-authority-data and tls-server-name of the kube config; try: kubectl cluster-info."
            )
        return ClusterUnreachable(
            f"The API server {self.server} does not answer ({asked}): {type(error).__name__}: {why}. "
            f"Try: kubectl cluster-info. Another cluster: kubectl config use-context, or KUBECONFIG."
        )


def connect(kubeconfig: str | None = None, context: str | None = None) -> Api:
    """The cluster of the kube context; inside a pod that of its service account. Raises `ClusterUnreachable`.

    `kubeconfig`: a file instead of KUBECONFIG; `context`: another one than the current.
    """
    from kubernetes import client, config  # pyright: ignore[reportAttributeAccessIssue] - lazily exported

    settings: Any = client.Configuration()  # pyright: ignore[reportAttributeAccessIssue]
    settings.retries = False  # ours know what may be repeated
    settings.connection_pool_maxsize = POOL
    try:
        if kubeconfig is None and context is None and _in_pod():
            config.load_incluster_config(client_configuration=settings)
            namespace, name = _IN_CLUSTER.read_text().strip(), ""
        else:
            path = (
                kubeconfig or os.environ.get("KUBECONFIG") or None
            )  # the client reads the variable once, at its import
            config.load_kube_config(path, context, client_configuration=settings)
            used = _context(config, path, context)
            namespace, name = used.get("context", {}).get("namespace") or "", str(used.get("name") or "")
    except Exception as error:  # not found, not YAML, not understood: the client has no word for all of it
        where = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        why = f"there is no context '{context}'" if isinstance(error, StopIteration) else _one_line(error)
        raise ClusterUnreachable(
            f"There is no usable kube config ({where}): {why}. Set KUBECONFIG to the cluster's file, or run "
            f"flows without a cluster: PODTASK_BACKEND=local."
        ) from error
    api_client = client.ApiClient(configuration=settings)  # pyright: ignore[reportAttributeAccessIssue]
    api_client.user_agent = USER_AGENT
    verify_as_kubectl(api_client)
    return Api(api_client, namespace or "default", context=name)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _in_pod() -> bool:
    here = os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser().exists()
    return _IN_CLUSTER.exists() and not here


def _context(config: Any, kubeconfig: str | None, name: str | None) -> Object:
    """The context of that name, or the current one."""
    known, current = config.list_kube_config_contexts(kubeconfig)
    return dict(current if name is None else next(each for each in known if each["name"] == name))


def runs_path(namespace: str, *name: str, plural: str = PLURAL) -> str:
    """TaskRuns of a namespace, or one of them; without a namespace, of all. Raises `ClusterRefused` for no name.

    An empty name is none: the path would be that of all TaskRuns, and a DELETE would remove them.
    """
    scope = ("namespaces", namespace) if namespace else ()
    return _path("apis", GROUP, VERSION, *scope, plural, *name)


def core_path(namespace: str, plural: str, *name: str) -> str:
    """Objects of the core group in a namespace, one of them, or a part of one. Raises `ClusterRefused` for no name."""
    return _path("api", "v1", "namespaces", namespace, plural, *name)


def _path(*segments: str) -> str:
    """What cannot be the name of an object is not asked for: it would be another path."""
    try:
        return url_path(*segments)
    except NoSuchName as error:
        raise ClusterRefused(str(error), 404, "NotFound", str(error)) from None


def utc(when: str) -> str | None:
    """A time of a pod's log in UTC: the runtime writes that of its node, with the offset or "Z". None: it is no time.

    Some lines have none: what the kubelet says where it has no log.
    """
    if LOG_TIME.fullmatch(when) is None:
        return None
    if when.endswith("Z"):
        return when
    moment = datetime.strptime(when[:19] + when[-6:], "%Y-%m-%dT%H:%M:%S%z")
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}{when[19:-6]}Z"
