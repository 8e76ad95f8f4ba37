"""Is there a cluster, does it know TaskRuns, may I, is the operator there, do the clocks agree?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from podtask import __version__
from podtask.cli.doctor.findings import Finding, failed, ok, skipped, warning
from podtask.core.api.names import (
    CLIENT_CONFIG_MAP,
    CRD_NAME,
    FLOW_RUN_CRD_NAME,
    FLOW_RUN_PLURAL,
    GROUP,
    OPERATOR_NAMESPACE,
    PLURAL,
    VERSION,
    WARM_POOL_CRD_NAME,
    WARM_POOL_PLURAL,
)
from podtask.inspection.cluster import Cluster
from podtask.kube.client_config import client_config
from podtask.kube.errors import INSTALL, Asked, ClusterRefused

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
UPGRADE = f"helm upgrade podtask charts/podtask --namespace {OPERATOR_NAMESPACE} --reuse-values"
RIGHTS: tuple[tuple[str, str, str, str], ...] = (
    # verb, group, resource, what needs it
    ("create", GROUP, PLURAL, "submit, run --on kubernetes"),
    ("get", GROUP, PLURAL, "describe, result"),
    ("list", GROUP, PLURAL, "list"),
    ("watch", GROUP, PLURAL, "wait, watch, run --on kubernetes"),
    ("patch", GROUP, PLURAL, "cancel, suspend, resume"),
    ("delete", GROUP, PLURAL, "delete"),
    ("create", GROUP, FLOW_RUN_PLURAL, "record flow runs"),
    ("patch", GROUP, f"{FLOW_RUN_PLURAL}/status", "record flow runs"),
    ("get", "", "pods", "logs, while the pod is there"),
    ("get", "", "pods/log", "logs, while the pod is there"),
    ("list", "", "events", "describe"),
)
NEEDED = frozenset({"create", "get", "list", "watch"})
"""Verbs on TaskRuns without which nothing works."""
SKEW_SECONDS = 60.0
"""S3 refuses what is signed more than 15 minutes off (Amazon S3 API reference, RequestTimeTooSkewed)."""


def server(cluster: Cluster) -> Iterator[Finding]:
    """Context and API server, and its clock."""
    began = time.monotonic()
    with cluster.api.asking(Asked("get", "version", ""), "GET", "/version", {}) as answer:
        import json

        version = json.loads(answer.data).get("gitVersion", "?")
        date = answer.headers.get("Date")
    took = (time.monotonic() - began) * 1000
    yield ok(
        "API server", f"{cluster.api.server} answers in {took:.0f} ms ({version}); namespace '{cluster.namespace}'"
    )
    yield clock("clock", "the API server", parsedate_to_datetime(date) if date else None)


def clock(check: str, who: str, there: datetime | None) -> Finding:
    """How far this machine's clock is from another one, which told it to the second."""
    from podtask.core import clock as here

    if there is None:
        return skipped(check, f"{who} does not tell its time")
    off = (here.now() - there).total_seconds()
    if abs(off) <= SKEW_SECONDS:
        return ok(check, f"agrees with that of {who} within {max(1, round(abs(off)))} s")
    way = "ahead of" if off > 0 else "behind"
    text = f"this machine is {abs(off):.0f} s {way} {who}"
    return failed(check, f"{text}; S3 refuses requests that are 900 s off", "set the clock, best by NTP (timedatectl)")


@dataclass(frozen=True)
class Kind:
    """A CRD of podtask's, and what is amiss without it."""

    check: str
    crd: str
    plural: str
    without: str
    make: Callable[[str, str, str], Finding]
    """The finding where it is missing."""

    @property
    def path(self) -> str:
        """Of the CRD."""
        return f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{self.crd}"

    def schema(self) -> dict[str, Any]:
        """As this version has it."""
        from podtask.core.crd import crd
        from podtask.core.crd_flow_run import flow_run_crd
        from podtask.core.crd_warm_pool import warm_pool_crd

        made = {PLURAL: crd, FLOW_RUN_PLURAL: flow_run_crd, WARM_POOL_PLURAL: warm_pool_crd}[self.plural]()
        found: dict[str, Any] = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        return found


TASK_RUNS = Kind("CRD", CRD_NAME, PLURAL, "the cluster does not know TaskRuns", failed)
FLOW_RUNS = Kind("CRD of FlowRuns", FLOW_RUN_CRD_NAME, FLOW_RUN_PLURAL, "flow runs are not recorded", warning)
WARM_POOLS = Kind("CRD of WarmPools", WARM_POOL_CRD_NAME, WARM_POOL_PLURAL, "no pod can be kept warm", warning)


def crds(cluster: Cluster) -> Iterator[Finding]:
    """Are the CRDs there, and do they know all fields of this version? Only that of TaskRuns is needed."""
    for kind in (TASK_RUNS, FLOW_RUNS, WARM_POOLS):
        yield from _crd(cluster, kind)


def _crd(cluster: Cluster, kind: Kind) -> Iterator[Finding]:
    try:
        found = cluster.api.get_or_none(Asked("get", "customresourcedefinitions", "", kind.crd), kind.path)
    except ClusterRefused as no:
        if no.status != 403:
            raise
        yield _discovered(cluster, kind)
        return
    if found is None:
        yield _missing(kind)
        return
    versions = {one["name"]: one for one in found.get("spec", {}).get("versions", ())}
    if VERSION not in versions or not versions[VERSION].get("served"):
        yield kind.make(kind.check, f"{kind.crd} serves {', '.join(versions) or 'nothing'} and not {VERSION}", UPGRADE)
        return
    missing = sorted(_fields(kind.schema()) - _fields(versions[VERSION].get("schema", {}).get("openAPIV3Schema", {})))
    if missing:
        known = f"{', '.join(missing[:5])}{' and more' if missing[5:] else ''}"
        yield warning(kind.check, f"{kind.crd} {VERSION} is older than this podtask; it lacks {known}", UPGRADE)
        return
    yield ok(kind.check, f"{kind.crd} {VERSION} knows every field of podtask {__version__}")


def _discovered(cluster: Cluster, kind: Kind) -> Finding:
    """What everybody may ask."""
    try:
        known = cluster.api.ask(Asked("get", VERSION, "", VERSION), "GET", f"/apis/{GROUP}/{VERSION}")
    except ClusterRefused as no:
        if no.status != 404:
            raise
        known = {}
    if not any(one.get("name") == kind.plural for one in known.get("resources", ())):
        return _missing(kind)
    return ok(kind.check, f"{kind.crd} {VERSION} is there; its fields may not be read by you")


def _missing(kind: Kind) -> Finding:
    return kind.make(kind.check, f"{kind.without}: {kind.crd} is missing", INSTALL if kind is TASK_RUNS else UPGRADE)


def _fields(schema: Any, path: str = "") -> set[str]:
    """Paths of all properties."""
    found: set[str] = set()
    for name, inner in (schema.get("properties") or {}).items():
        here = f"{path}.{name}".lstrip(".")
        found |= {here} | _fields(inner, here) | _fields(inner.get("items") or {}, here)
    return found


def rights(cluster: Cluster) -> Iterator[Finding]:
    """What the caller may do in the namespace."""
    refused = [right for right in RIGHTS if not _may(cluster, right)]
    if not refused:
        yield ok("rights", f"you may do all that podtask does in namespace '{cluster.namespace}'")
        return
    said = "; ".join(f"{verb} {resource} ({purpose})" for verb, _, resource, purpose in refused)
    cure = (
        f"an administrator can allow it: kubectl create rolebinding podtask-edit --clusterrole=edit --user=YOU "
        f"--namespace={cluster.namespace}"
    )
    vital = any(resource == PLURAL and verb in NEEDED for verb, _, resource, _ in refused)
    make = failed if vital else warning
    yield make("rights", f"in namespace '{cluster.namespace}' you may not: {said}", cure)


def _may(cluster: Cluster, right: tuple[str, str, str, str]) -> bool:
    verb, group, resource, _ = right
    name, _, sub = resource.partition("/")
    asked = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": name, "subresource": sub}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    what = Asked("create", "selfsubjectaccessreviews", cluster.namespace)
    return bool(cluster.api.ask(what, "POST", REVIEWS, {}, body).get("status", {}).get("allowed"))


def operator(cluster: Cluster) -> Iterator[Finding]:
    """Its version, as the chart publishes it, and its Deployment, where that may be read. The trial shows the rest."""
    namespaces = dict.fromkeys((cluster.namespace, OPERATOR_NAMESPACE))
    published = client_config(cluster.namespace, partial(cluster.api.config_map, name=CLIENT_CONFIG_MAP))
    if published is None:
        yield warning(
            "operator",
            f"no ConfigMap {CLIENT_CONFIG_MAP} in {' or '.join(namespaces)}, so its version is not known",
            f"let the chart publish it (client.readers), or install the operator: {INSTALL}",
        )
    elif published.get("version") != __version__:
        told = f"the operator's chart is {published.get('version')}, this is podtask {__version__}"
        yield warning("operator", told, f"pip install podtask=={published.get('version')}, or {UPGRADE}")
    else:
        yield ok("operator", f"its chart is {published['version']}, as this podtask")
    yield from _deployment(cluster)


def _deployment(cluster: Cluster) -> Iterator[Finding]:
    query = {"labelSelector": "app.kubernetes.io/name=podtask"}
    path = f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments"
    try:
        items = cluster.api.ask(Asked("list", "deployments", OPERATOR_NAMESPACE), "GET", path, query).get("items") or ()
    except ClusterRefused:
        yield skipped("operator's pod", f"deployments of {OPERATOR_NAMESPACE} may not be read by you; the trial tells")
        return
    ready = [one["metadata"]["name"] for one in items if (one.get("status") or {}).get("readyReplicas")]
    if ready:
        yield ok("operator's pod", f"deployment {OPERATOR_NAMESPACE}/{ready[0]} is ready")
    elif items:
        name = items[0]["metadata"]["name"]
        yield warning(
            "operator's pod",
            f"deployment {OPERATOR_NAMESPACE}/{name} has no ready pod",
            f"kubectl -n {OPERATOR_NAMESPACE} get pods, and kubectl -n {OPERATOR_NAMESPACE} logs deployment/{name}",
        )
    else:
        yield warning("operator's pod", f"there is no operator in namespace {OPERATOR_NAMESPACE}", INSTALL)
