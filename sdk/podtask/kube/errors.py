"""What a cluster can answer instead of doing what it was asked, as sentences with cures.

    PodtaskError
    ├── ClusterUnreachable (ConnectionError)   no kube config, or no answer from the API server
    │   └── CertificateRefused                 … or it answered with a certificate that cannot be trusted
    └── ClusterRefused                         it answered: no; `status` and `reason` are the server's
        └── Busy                               … not now (429, 5xx): asked again by itself, for a while

Made by: `client`. Pure: nothing here talks to anybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from podtask.core.api.names import CRD_NAME, FLOW_RUN_CRD_NAME, FLOW_RUN_PLURAL, OPERATOR_NAMESPACE, PLURAL
from podtask.errors import PodtaskError

BUSY = frozenset({408, 429, 500, 502, 503, 504})
INSTALL = f"helm install podtask charts/podtask --namespace {OPERATOR_NAMESPACE} --create-namespace"


class ClusterUnreachable(PodtaskError, ConnectionError):
    """Nobody answered. Whether a write was applied is not known."""


class CertificateRefused(ClusterUnreachable):
    """The API server's certificate cannot be trusted; where it never could, waiting does not help."""


class ClusterRefused(PodtaskError):
    """The API server's own answer. `reason` is its CamelCase word, `message` its sentence."""

    def __init__(self, text: str, status: int = 0, reason: str = "", message: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.message = message


class Busy(ClusterRefused):
    """An answer that may be another one in a moment."""


@dataclass(frozen=True)
class Asked:
    """One request, as its refusal names it."""

    verb: str
    """As in RBAC: create, get, list, watch, patch."""
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.namespace}/{self.name}".rstrip("/")


def refused(asked: Asked, status: int, body: bytes) -> ClusterRefused:
    """The error for an answer of 400 or more."""
    reason, message = _said(body)
    kind = Busy if status in BUSY else ClusterRefused
    return kind(_sentence(asked, status, reason, message), status, reason, message)


def _said(body: bytes) -> tuple[str, str]:
    """Reason and message of a `Status` object; a proxy's page has neither."""
    try:
        status = json.loads(body)
    except ValueError:
        return "", body[:300].decode("utf-8", "replace").strip()
    if not isinstance(status, dict):
        return "", ""
    return str(status.get("reason") or ""), str(status.get("message") or "")


def _sentence(asked: Asked, status: int, reason: str, message: str) -> str:
    if status == 401:
        return f"The API server does not know you ({asked}: {message}). Log in again: kubectl auth whoami."
    if status == 403 and "being terminated" in message:
        return f"Namespace '{asked.namespace}' is being deleted; set PODTASK_NAMESPACE to another one."
    if status == 403 and "exceeded quota" not in message and " forbidden: User " in message:
        return _forbidden(asked, message)
    if status == 404 and reason == "NotFound" and "namespaces" in message:
        return (
            f"There is no namespace '{asked.namespace}': kubectl create namespace {asked.namespace}, "
            f"or set PODTASK_NAMESPACE."
        )
    if (
        status == 404
        and asked.resource == PLURAL
        and not (asked.name and reason == "NotFound" and asked.name in message)
    ):
        return f"The cluster does not know TaskRuns: the CRD {CRD_NAME} is missing. Install podtask: {INSTALL}"
    if status == 404 and asked.resource == FLOW_RUN_PLURAL and not (asked.name and asked.name in message):
        return (
            f"The cluster does not know FlowRuns: the CRD {FLOW_RUN_CRD_NAME} is missing. Upgrade podtask: "
            "helm upgrade podtask charts/podtask"
        )
    if status == 422 and asked.resource == FLOW_RUN_PLURAL:
        return f"The API server refused FlowRun {asked.namespace}/{asked.name}: {message}"
    if status == 422:
        return f"The API server refused TaskRun {asked.namespace}/{asked.name}: {message}"
    if status == 400 and "strict decoding error" in message:
        return (
            f"The API server refused TaskRun {asked.namespace}/{asked.name}: {message}. Correct the task's option; "
            f"if it is right, the cluster's CRD is older than this podtask: helm upgrade podtask charts/podtask."
        )
    return f"The API server answered {status} {reason} ({asked}): {message}".rstrip(": ")


def _forbidden(asked: Asked, message: str) -> str:
    """RBAC names the user; the cure is a binding in that namespace."""
    user = message.partition('User "')[2].partition('"')[0] or "YOU"
    account = user.removeprefix("system:serviceaccount:").replace(":", "/", 1)
    who = f"--serviceaccount={account.replace('/', ':')}" if account != user else f"--user={user}"
    return (
        f"'{user}' may not {asked.verb} {asked.resource} in namespace '{asked.namespace}'. An administrator can "
        f"allow it: kubectl create rolebinding podtask-edit --clusterrole=edit {who} --namespace={asked.namespace}"
    )
